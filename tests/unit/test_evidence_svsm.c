/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "claims.h"
#include "cleanup.h"
#include "quantity.h"
#include "tests/support/alone_try.h"
#include "tests/support/snp_fixture.h"
#include "tests/support/tpm_fixture.h"
#include "verifier/svsm_manifest.h"

/*
 * Evidence of an SVSM's vTPM, of which there is no genuine one at hand: good, but for one thing,
 * and signed as it is then, by an AMD and a TPM of our own.
 */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define CLAIMS	      "these bytes stand for serialised Claims"
#define MANIFEST_ROOM 4096
#define ENTRY	      24 /* of a table of services */
#define VMPL	      0x30

static struct snp_fixture_keys amd;
static EVP_PKEY *ek_key, *other_ek_key, *ak_key, *other_ak_key;

/* One piece of evidence: what a case may change before it is signed, and after. */
struct making {
	struct snp_fixture f;
	struct tpm_fixture t;
	uint8_t manifest[MANIFEST_ROOM], nonce[EVIDENCE_DATA], report[1184];
	size_t manifest_len;
	Assay__ChipReport chip;
	/* What was enrolled. */
	uint8_t ek[1024], name[TPM_NAME_MAX];
	size_t ek_len, name_len;
	const char *platforms;
};

static size_t public_of(EVP_PKEY *key, TPMA_OBJECT attributes, uint8_t *to, size_t size)
{
	TPMT_PUBLIC public = tpm_fixture_public(key, attributes);

	return tpm_fixture_marshal_public(&public, to, size);
}

static void sign(struct making *m)
{
	struct digest d;

	assert_int_equal(digest_of_parts(HASH_SHA512,
					 (struct view[]){ view_of(m->nonce, sizeof(m->nonce)),
							  view_of(m->manifest, m->manifest_len) },
					 2, &d),
			 0);
	memcpy(m->f.report + 0x50, d.bytes, d.size);
	snp_fixture_sign(&m->f, m->f.vcek.key);
}

static void lend(const void *data, size_t len, ProtobufCBinaryData *ret)
{
	*ret = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)data };
}

static void make(struct making *m, void (*before)(struct making *m),
		 void (*after)(struct making *m))
{
	struct digest d;

	memset(m, 0, sizeof(*m));
	snp_fixture_init(&m->f, &amd, "Genoa");
	snp_fixture_certify(&m->f, &m->f.vcek);
	m->ek_len = public_of(ek_key, TPM_FIXTURE_EK, m->ek, sizeof(m->ek));
	memcpy(m->manifest, m->ek, m->ek_len);
	m->manifest_len = m->ek_len;
	assert_int_equal(claims_hash(view_text(CLAIMS), &d), 0);
	memcpy(m->nonce, d.bytes, d.size);
	tpm_fixture_init(&m->t, ak_key, view_text(CLAIMS));
	m->platforms = "platforms: {sev-snp: {}, vtpm: {}}";
	if (before)
		before(m);
	tpm_fixture_pack(&m->t);
	m->name_len = m->t.name_len;
	memcpy(m->name, m->t.name, m->name_len);
	sign(m);
	m->chip = m->t.report;
	m->chip.platform = (char *)"vtpm";
	memcpy(m->report, m->f.report, sizeof(m->report));
	lend(m->report, sizeof(m->report), &m->chip.service_report);
	lend(m->manifest, m->manifest_len, &m->chip.service_manifest);
	if (after)
		after(m);
}

static void judge(struct making *m, struct appraisal *a, struct evidence_result *result)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(policy_freep) struct policy *p = NULL;
	struct evidence_input in = {
		.report = &m->chip,
		.claims = view_text(CLAIMS),
		.key_name = view_of(m->name, m->name_len),
		.ek_public = view_of(m->ek, m->ek_len),
		.roots = &m->f.root,
		.n_roots = 1,
	};
	char text[256], *error = NULL;

	snprintf(text, sizeof(text), "application: a\nversion: 1\n%s\n", m->platforms);
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	assert_int_equal(quantity_instant(SNP_FIXTURE_NOW, &in.now), 0);
	assert_int_equal(endorsements_new(&e), 0);
	snp_fixture_endorse(e, m->f.vcek.x);
	snp_fixture_endorse(e, m->f.ask);
	snp_fixture_endorse(e, m->f.ark);
	in.policy = p;
	in.endorsements = e;
	assert_int_equal(evidence_find("vtpm")->verify(&in, a, result), 0);
	appraisal_finish(a);
}

/* Before it is signed. */

static void at_vmpl_1(struct making *m)
{
	m->f.report[VMPL] = 1;
}

static void debuggable(struct making *m)
{
	m->f.report[0x00a] |= 1 << 3;
}

static void other_nonce(struct making *m)
{
	m->nonce[0] ^= 1;
}

static void manifest_of_a_signing_key(struct making *m)
{
	m->manifest_len = public_of(ek_key, TPM_FIXTURE_AK, m->manifest, sizeof(m->manifest));
}

static void other_ek(struct making *m)
{
	m->manifest_len = public_of(other_ek_key, TPM_FIXTURE_EK, m->manifest, sizeof(m->manifest));
}

static void unrestricted_ak(struct making *m)
{
	m->t.public.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_RESTRICTED;
}

static void other_claims(struct making *m)
{
	m->t.attest.extraData.buffer[0] ^= 1;
}

static void without_chip_in_policy(struct making *m)
{
	m->platforms = "platforms: {vtpm: {}}";
}

static void other_registers(struct making *m)
{
	m->platforms = "platforms: {sev-snp: {}, vtpm: {pcrs: {4: "
		       "[00000000000000000000000000000000"
		       "00000000000000000000000000000000]}}}";
}

/* A table of one service, or of two: that of UEFI variables, and the vTPM. */

static void put_le32(uint8_t *to, size_t n)
{
	for (size_t i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> 8 * i);
}

static void all_services(struct making *m)
{
	static const char table[] = "bb9e8463923d7046a1ff58f9c94b87bb";
	/* a4453a59-9e1b-4787-a033-1986d6adbe55, c476f1eb-0123-45a5-9641-b4e7dde5bfe3. */
	static const char *const services[] = { "593a45a41b9e8747a0331986d6adbe55",
						"ebf176c42301a5459641b4e7dde5bfe3" };
	size_t at = ENTRY + 2 * ENTRY;

	memset(m->manifest, 0, at);
	assert_int_equal(hex_decode_exact(table, m->manifest, 16), 0);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *entry = m->manifest + ENTRY * (i + 1);

		assert_int_equal(hex_decode_exact(services[i], entry, 16), 0);
		put_le32(entry + 16, at);
		put_le32(entry + 20, i == 0 ? 0 : m->ek_len);
	}
	memcpy(m->manifest + at, m->ek, m->ek_len);
	m->manifest_len = at + m->ek_len;
	put_le32(m->manifest + 16, m->manifest_len);
	put_le32(m->manifest + 20, 2);
}

static void table_that_is_longer(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 16, m->manifest_len + 1);
}

static void table_without_services(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 20, 0);
}

static void table_of_too_many(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 20, SVSM_SERVICES_MAX + 1);
}

static void table_that_is_cut(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 20, SVSM_SERVICES_MAX);
}

static void service_that_goes_on(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 2 * ENTRY + 20, m->ek_len + 1);
}

static void service_in_the_table(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 2 * ENTRY + 16, 3 * ENTRY - 1);
}

static void service_far_away(struct making *m)
{
	all_services(m);
	put_le32(m->manifest + 2 * ENTRY + 16, 0xffffffff);
}

static void service_twice(struct making *m)
{
	all_services(m);
	memcpy(m->manifest + ENTRY, m->manifest + 2 * ENTRY, 16);
}

static void no_vtpm(struct making *m)
{
	all_services(m);
	m->manifest[2 * ENTRY] ^= 1;
}

/* After. */

static void altered_manifest(struct making *m)
{
	/* Still a key, and the one that is enrolled. */
	m->manifest[m->manifest_len - 1] ^= 1;
	memcpy(m->ek, m->manifest, m->manifest_len);
}

static void cut_manifest(struct making *m)
{
	m->chip.service_manifest.len--;
}

static void large_manifest(struct making *m)
{
	static uint8_t large[SVSM_MANIFEST_MAX + 1];

	lend(large, sizeof(large), &m->chip.service_manifest);
}

static void without_manifest(struct making *m)
{
	m->chip.service_manifest.len = 0;
}

static void without_report(struct making *m)
{
	m->chip.service_report.len = 0;
}

static void report_of_another_chip(struct making *m)
{
	struct making other;

	make(&other, NULL, NULL);
	/* Signed by a VCEK of the same CA, which is not the one that is endorsed. */
	memcpy(m->report, other.f.report, sizeof(m->report));
	snp_fixture_done(&other.f);
}

static void altered_report(struct making *m)
{
	m->report[0x90] ^= 1;
}

static void level_altered_afterwards(struct making *m)
{
	at_vmpl_1(m);
	sign(m);
	memcpy(m->report, m->f.report, sizeof(m->report));
	m->report[VMPL] = 0;
}

static void no_ek_enrolled(struct making *m)
{
	m->ek_len = 0;
}

static void other_ak_enrolled(struct making *m)
{
	m->name[m->name_len - 1] ^= 1;
}

static void ak_of_another(struct making *m)
{
	static uint8_t key[1024];

	lend(key, public_of(other_ak_key, TPM_FIXTURE_AK, key, sizeof(key)), &m->chip.key);
}

static void altered_quote(struct making *m)
{
	m->t.signature_bytes[m->chip.signature.len - 1] ^= 1;
}

static const struct {
	const char *what;
	void (*before)(struct making *m);
	void (*after)(struct making *m);
	const char *rule, *seen; /* NULL: accepted */
} cases[] = {
	{ "good", NULL, NULL, NULL, NULL },
	{ "all services", all_services, NULL, NULL, NULL },
	{ "VMPL 1: the guest's own", at_vmpl_1, NULL, "evidence.vmpl", "1" },
	{ "VMPL 1, and not said", NULL, level_altered_afterwards, "evidence.signature", "" },
	{ "a guest that can be looked into", debuggable, NULL, "platforms.sev-snp.debug", "" },
	{ "another nonce", other_nonce, NULL, "evidence.report_data", "" },
	{ "an altered manifest", NULL, altered_manifest, "evidence.report_data", "" },
	{ "a manifest cut short", NULL, cut_manifest, "evidence.manifest", "" },
	{ "too large a manifest", NULL, large_manifest, "evidence.size", "32769" },
	{ "no manifest", NULL, without_manifest, "evidence.manifest", "" },
	{ "no report of the chip", NULL, without_report, "evidence.size", "0" },
	{ "the report of another chip", NULL, report_of_another_chip, "evidence.signature", "" },
	{ "an altered report", NULL, altered_report, "evidence.signature", "" },
	{ "a signing key for an EK", manifest_of_a_signing_key, NULL, "evidence.manifest",
	  "not a storage key" },
	{ "another EK", other_ek, NULL, "evidence.ek", "another" },
	{ "no EK was enrolled", NULL, no_ek_enrolled, "evidence.ek", "none was" },
	{ "another AK was enrolled", NULL, other_ak_enrolled, "evidence.key", "another" },
	{ "another AK", NULL, ak_of_another, "evidence.key", "another" },
	{ "an AK that signs anything", unrestricted_ak, NULL, "evidence.key", "not restricted" },
	{ "a quote over other Claims", other_claims, NULL, "evidence.claims", "" },
	{ "an altered quote", NULL, altered_quote, "evidence.signature", "" },
	{ "a policy without the chip", without_chip_in_policy, NULL, "platforms", "sev-snp" },
	{ "other registers than the policy's", other_registers, NULL, "platforms.vtpm.pcrs.4",
	  "0404" },
	{ "a table longer than the manifest", table_that_is_longer, NULL, "evidence.manifest",
	  "not as long" },
	{ "a table without services", table_without_services, NULL, "evidence.manifest",
	  "no services" },
	{ "a table of too many", table_of_too_many, NULL, "evidence.manifest", "more than 64" },
	{ "a table cut short", table_that_is_cut, NULL, "evidence.manifest", "" },
	{ "a service that goes on behind", service_that_goes_on, NULL, "evidence.manifest",
	  "outside" },
	{ "a service in the table", service_in_the_table, NULL, "evidence.manifest", "outside" },
	{ "a service far away", service_far_away, NULL, "evidence.manifest", "outside" },
	{ "a service twice", service_twice, NULL, "evidence.manifest", "twice" },
	{ "no vTPM among the services", no_vtpm, NULL, "evidence.manifest", "no vTPM" },
};

static void each_case_has_its_verdict(void **state)
{
	struct evidence_result result;
	struct appraisal a;
	struct making m;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(&m, cases[i].before, cases[i].after);
		appraisal_init(&a);
		judge(&m, &a, &result);
		if (!cases[i].rule && (!appraisal_accepted(&a) || !result.signature_good))
			fail_msg("%s: %s: %s", cases[i].what, a.n ? a.reasons[0].rule : "",
				 a.n ? a.reasons[0].seen : "");
		if (cases[i].rule && (appraisal_accepted(&a) ||
				      !alone_try_refused(&a, cases[i].rule, cases[i].seen)))
			fail_msg("%s: %s: %s", cases[i].what, a.n ? a.reasons[0].rule : "accepted",
				 a.n ? a.reasons[0].seen : "");
		appraisal_done(&a);
		snp_fixture_done(&m.f);
	}
}

static void every_cut_of_a_manifest_is_refused(void **state)
{
	struct svsm_manifest parsed;
	const char *why;
	struct making m;

	make(&m, all_services, NULL);
	for (size_t len = 0; len < m.manifest_len; len++)
		assert_int_equal(svsm_manifest_parse(view_of(m.manifest, len), &parsed, &why),
				 -EBADMSG);
	assert_int_equal(svsm_manifest_parse(view_of(m.manifest, m.manifest_len), &parsed, &why),
			 0);
	assert_true(parsed.all_services);
	assert_int_equal(parsed.n_services, 2);
	assert_true(view_equal(parsed.vtpm, view_of(m.ek, m.ek_len)));
	snp_fixture_done(&m.f);
}

/* On its own: what the chip says is judged, and the verdict is never good. */
static void on_its_own_the_key_cannot_be_checked(void **state)
{
	static const char zero[129] =
		"00000000000000000000000000000000000000000000000000000000000000"
		"00000000000000000000000000000000000000000000000000000000000000"
		"0000";
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct evidence_file files[5];
	struct alone_try_in in = { .files = files, .n = 5, .at = SNP_FIXTURE_NOW, .n_roots = 1 };
	struct alone_try t;
	struct making m;

	make(&m, NULL, NULL);
	files[0] = (struct evidence_file){ "report", view_of(m.report, sizeof(m.report)) };
	files[1] =
		(struct evidence_file){ "quote", view_of(m.chip.report.data, m.chip.report.len) };
	files[2] = (struct evidence_file){ "manifest", view_of(m.manifest, m.manifest_len) };
	files[3] = (struct evidence_file){ "ak", view_of(m.chip.key.data, m.chip.key.len) };
	files[4] = (struct evidence_file){ "nonce", view_of(m.nonce, sizeof(m.nonce)) };
	assert_int_equal(endorsements_new(&e), 0);
	snp_fixture_endorse(e, m.f.vcek.x);
	snp_fixture_endorse(e, m.f.ask);
	snp_fixture_endorse(e, m.f.ark);
	in.endorsements = e;
	in.roots = &m.f.root;

	alone_try(&in, &t);
	assert_string_equal(t.ops->platform, "vtpm");
	assert_int_equal(t.verdict, EVIDENCE_INVALID);
	assert_true(alone_try_refused(&t.a, "evidence.ek", "could not be checked"));
	/* That is all there is to say against it. */
	assert_int_equal(t.a.n, 1);
	assert_false(t.result.signature_good);
	assert_memory_equal(t.result.report_data, m.nonce, sizeof(m.nonce));
	appraisal_done(&t.a);

	/* Another nonce is expected; none is there. */
	in.report_data = zero;
	alone_try(&in, &t);
	assert_true(alone_try_refused(&t.a, "evidence.report_data", ""));
	appraisal_done(&t.a);
	in.report_data = NULL;
	in.n = 4;
	alone_try(&in, &t);
	assert_true(alone_try_refused(&t.a, "evidence.nonce", "0 bytes"));
	appraisal_done(&t.a);

	/* The chip's report is not there. */
	in.files = files + 1;
	in.n = 3;
	alone_try(&in, &t);
	assert_true(alone_try_refused(&t.a, "evidence.format", "without the chip's report"));
	appraisal_done(&t.a);
	snp_fixture_done(&m.f);
}

static void a_manifest_is_shown(void **state)
{
	struct making m;
	json_t *shown;

	make(&m, all_services, NULL);
	for (const struct evidence_ops *const *ops = evidence_table; *ops; ops++) {
		if (!(*ops)->detect || !(*ops)->detect(view_of(m.manifest, m.manifest_len)))
			continue;
		assert_string_equal((*ops)->platform, "vtpm");
		assert_int_equal((*ops)->show(&m.chip, &shown), 0);
		assert_int_equal(json_integer_value(json_object_get(shown, "services")), 2);
		assert_string_equal(
			json_string_value(json_object_get(json_object_get(shown, "ek"), "kind")),
			"RSA");
		json_decref(shown);
		snp_fixture_done(&m.f);
		return;
	}
	fail_msg("nobody knows it");
}

static int start(void **state)
{
	snp_fixture_make_keys(&amd);
	ek_key = tpm_fixture_key("RSA");
	other_ek_key = tpm_fixture_key("RSA");
	ak_key = tpm_fixture_key("P-256");
	other_ak_key = tpm_fixture_key("P-256");
	return 0;
}

static int stop(void **state)
{
	snp_fixture_free_keys(&amd);
	EVP_PKEY_free(ek_key);
	EVP_PKEY_free(other_ek_key);
	EVP_PKEY_free(ak_key);
	EVP_PKEY_free(other_ak_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_has_its_verdict),
		cmocka_unit_test(every_cut_of_a_manifest_is_refused),
		cmocka_unit_test(on_its_own_the_key_cannot_be_checked),
		cmocka_unit_test(a_manifest_is_shown),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
