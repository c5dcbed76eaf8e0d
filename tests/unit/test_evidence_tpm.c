/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evidence.h"
#include "tests/support/tpm_fixture.h"

#define NOW 1800000000

static EVP_PKEY *p256, *p384, *rsa, *other;
static struct tpm_fixture f;	 /* the evidence of the running case */
static struct evidence_input in; /* and what the verifier knows */
static uint8_t log_bytes[4096];
static uint8_t large[EVENT_LOG_MAX + 1];

static const char claims_text[] = "these bytes stand for serialised Claims";

static struct policy *policy_of(const char *platforms)
{
	struct policy *p = NULL;
	char *error = NULL, text[2048];

	snprintf(text, sizeof(text), "application: a\nversion: 1\nplatforms: %s\n", platforms);
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	return p;
}

#define HEX_04 "0404040404040404040404040404040404040404040404040404040404040404"
#define HEX_05 "0505050505050505050505050505050505050505050505050505050505050505"
#define HEX_09 "0909090909090909090909090909090909090909090909090909090909090909"

#define POLICY_GOOD                                                                                \
	"{tpm: {pcrs: {4: [" HEX_05 ", " HEX_04 "], 9: [" HEX_09 "]}, event_log: allow}}"
#define POLICY_NO_PCRS "{tpm: {event_log: allow}}"
#define POLICY_LOG     "{tpm: {event_log: require}}"
#define POLICY_PCR_4   "{tpm: {pcrs: {4: [" HEX_05 "], 9: [" HEX_09 "]}, event_log: allow}}"
#define POLICY_PCR_7   "{tpm: {pcrs: {7: [" HEX_05 "]}, event_log: allow}}"
#define POLICY_SHA1                                                                                \
	"{tpm: {bank: sha1, pcrs: {4: [0404040404040404040404040404040404040404]}, event_log: "    \
	"allow}}"
#define POLICY_EK   "{tpm: {ek_ca: roots.pem, event_log: allow}}"
#define POLICY_SOFT "{soft: {}}"

static struct view claims(void)
{
	return view_text(claims_text);
}

/* Changes to the evidence before it is packed, so that it is signed as it is then. */

static void use_p384(void)
{
	tpm_fixture_init(&f, p384, claims());
	f.hash = HASH_SHA384;
}

static void use_rsa(void)
{
	tpm_fixture_init(&f, rsa, claims());
}

static void use_rsapss(void)
{
	use_rsa();
	f.scheme = TPM2_ALG_RSAPSS;
	f.public.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSAPSS;
}

static void key_of_any_scheme(void)
{
	f.public.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
}

static void scheme_not_the_keys(void)
{
	use_rsa();
	f.scheme = TPM2_ALG_RSAPSS;
}

static void sha1(void)
{
	use_rsa();
	f.hash = HASH_SHA1;
}

static void name_by_sha1(void)
{
	f.public.nameAlg = TPM2_ALG_SHA1;
}

static void signed_by_another(void)
{
	f.key = other;
}

static void not_restricted(void)
{
	f.public.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
}

static void not_signing(void)
{
	f.public.objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
}

static void decrypting_too(void)
{
	f.public.objectAttributes |= TPMA_OBJECT_DECRYPT;
}

static void not_fixed_tpm(void)
{
	f.public.objectAttributes &= ~TPMA_OBJECT_FIXEDTPM;
}

static void not_fixed_parent(void)
{
	f.public.objectAttributes &= ~TPMA_OBJECT_FIXEDPARENT;
}

static void imported(void)
{
	f.public.objectAttributes &= ~TPMA_OBJECT_SENSITIVEDATAORIGIN;
}

static void small_rsa(void)
{
	use_rsa();
	f.public.unique.rsa.size = 128;
	f.public.parameters.rsaDetail.keyBits = 1024;
}

static void not_on_the_curve(void)
{
	f.public.unique.ecc.y.buffer[31] ^= 1;
}

static size_t edit_magic(uint8_t *attest, size_t len)
{
	attest[0] ^= 1;
	return len;
}

static void other_magic(void)
{
	f.edit_attest = edit_magic;
}

static size_t edit_type(uint8_t *attest, size_t len)
{
	attest[5] = 0x17; /* TPM_ST_ATTEST_CERTIFY */
	return len;
}

static void other_type(void)
{
	f.edit_attest = edit_type;
}

static size_t edit_longer(uint8_t *attest, size_t len)
{
	attest[len] = 0;
	return len + 1;
}

static void bytes_behind(void)
{
	f.edit_attest = edit_longer;
}

static size_t edit_shorter(uint8_t *attest, size_t len)
{
	return len - 1;
}

static void cut_short(void)
{
	f.edit_attest = edit_shorter;
}

static void other_claims(void)
{
	f.attest.extraData.buffer[31] ^= 1;
}

static void no_claims(void)
{
	f.attest.extraData.size = 0;
}

static void more_than_claims(void)
{
	f.attest.extraData.size++;
}

static void other_pcr_digest(void)
{
	tpm_fixture_pack(&f);
	f.keep_pcr_digest = true;
	f.attest.attested.quote.pcrDigest.buffer[0] ^= 1;
}

static void pcr_digest_by_another_hash(void)
{
	struct digest d = digest_zero(HASH_SHA384);

	f.keep_pcr_digest = true;
	f.attest.attested.quote.pcrDigest.size = d.size;
}

static void value_too_many(void)
{
	tpm_fixture_pack(&f);
	f.keep_pcr_digest = true;
	tpm_fixture_add_value(&f, HASH_SHA256, 7, 5, 32);
}

static void value_twice(void)
{
	tpm_fixture_pack(&f);
	f.keep_pcr_digest = true;
	tpm_fixture_add_value(&f, HASH_SHA256, 4, 4, 32);
}

static void value_missing(void)
{
	f.n_values--;
}

static void value_of_another_size(void)
{
	f.values[1].value.len = 20;
}

static void value_changed(void)
{
	tpm_fixture_pack(&f);
	f.keep_pcr_digest = true;
	f.value_bytes[1][5] ^= 1;
}

static void selection_of_another_bank(void)
{
	f.attest.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA384;
	f.n_values = 0;
	tpm_fixture_add_value(&f, HASH_SHA384, 0, 0, 48);
	tpm_fixture_add_value(&f, HASH_SHA384, 4, 4, 48);
	tpm_fixture_add_value(&f, HASH_SHA384, 9, 9, 48);
}

static void two_banks(void)
{
	TPML_PCR_SELECTION *l = &f.attest.attested.quote.pcrSelect;

	l->count = 2;
	l->pcrSelections[1] = l->pcrSelections[0];
	l->pcrSelections[1].hash = TPM2_ALG_SHA1;
	tpm_fixture_add_value(&f, HASH_SHA1, 0, 0, 20);
	tpm_fixture_add_value(&f, HASH_SHA1, 4, 4, 20);
	tpm_fixture_add_value(&f, HASH_SHA1, 9, 9, 20);
}

static void bank_twice(void)
{
	TPML_PCR_SELECTION *l = &f.attest.attested.quote.pcrSelect;

	l->count = 2;
	l->pcrSelections[1] = l->pcrSelections[0];
}

static void unknown_bank(void)
{
	f.attest.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA3_256;
	for (size_t i = 0; i < f.n_values; i++)
		f.values[i].alg = TPM2_ALG_SHA3_256;
}

static void pcr_24(void)
{
	TPMS_PCR_SELECTION *s = &f.attest.attested.quote.pcrSelect.pcrSelections[0];

	s->sizeofSelect = 4;
	s->pcrSelect[3] = 1;
	tpm_fixture_add_value(&f, HASH_SHA256, 24, 0, 32);
}

static void nothing_quoted(void)
{
	memset(f.attest.attested.quote.pcrSelect.pcrSelections[0].pcrSelect, 0, 4);
	f.n_values = 0;
}

/* PCR 4 as the log of with_log() replays. */
static void replayed(void)
{
	struct digest d = digest_zero(HASH_SHA256);
	uint8_t aa[32];

	memset(aa, 0xaa, sizeof(aa));
	assert_int_equal(digest_extend(&d, view_of(aa, sizeof(aa))), 0);
	memcpy(f.value_bytes[1], d.bytes, 32);
}

/* Changes to what travels, after it is packed: nothing is signed anew. */

static void no_key_enrolled(void)
{
	in.key_name = view_of(NULL, 0);
}

static void another_key_enrolled(void)
{
	f.name[33] ^= 1;
}

static void shorter_name_enrolled(void)
{
	in.key_name.len--;
}

static void bytes_behind_key(void)
{
	f.key_bytes[f.report.key.len++] = 0;
}

static void no_key(void)
{
	f.report.key.len = 0;
}

static void no_signature(void)
{
	f.report.signature.len = 0;
}

static void bytes_behind_signature(void)
{
	f.signature_bytes[f.report.signature.len++] = 0;
}

static void signature_of_another_kind(void)
{
	f.signature_bytes[1] = TPM2_ALG_SM2 & 0xff;
}

static void report_changed(void)
{
	f.report_bytes[f.report.report.len - 1] ^= 1;
}

static void no_report(void)
{
	f.report.report.len = 0;
}

static void report_too_large(void)
{
	f.report.report = (ProtobufCBinaryData){ .len = EVIDENCE_REPORT_MAX + 1, .data = large };
}

static void log_too_large(void)
{
	f.report.event_log = (ProtobufCBinaryData){ .len = sizeof(large), .data = large };
}

static void values_too_many(void)
{
	f.report.n_pcrs = 16 * 24 + 1;
	for (size_t i = 0; i < f.report.n_pcrs; i++)
		f.value_pointers[i] = &f.values[0];
}

static void put_le32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

/* A crypto-agile log with one bank and one record, in PCR index. */
static void make_log(uint16_t alg, uint8_t size, uint32_t index)
{
	uint8_t *p = log_bytes;

	memset(log_bytes, 0, sizeof(log_bytes));
	put_le32(p + 4, 3);
	put_le32(p + 28, 33);
	memcpy(p + 32, "Spec ID Event03", 16);
	put_le32(p + 56, 1);
	p[60] = (uint8_t)alg;
	p[62] = size;
	p += 65;
	put_le32(p, index);
	put_le32(p + 4, 5);
	put_le32(p + 8, 1);
	p[12] = (uint8_t)alg;
	memset(p + 14, 0xaa, size);
	f.report.event_log = (ProtobufCBinaryData){ .len = 65 + 14 + size + 4u, .data = log_bytes };
}

static void with_log(void)
{
	make_log(HASH_SHA256, 32, 4);
}

static void with_log_of_sha1(void)
{
	make_log(HASH_SHA1, 20, 4);
}

static void with_log_of_pcr_7(void)
{
	make_log(HASH_SHA256, 32, 7);
}

static void with_log_of_no_digest(void)
{
	with_log();
	put_le32(log_bytes + 65 + 8, 0);
	put_le32(log_bytes + 65 + 12, 0);
	f.report.event_log.len = 65 + 16;
}

static void with_log_cut_short(void)
{
	with_log();
	f.report.event_log.len--;
}

static void roots_of_no_one(void)
{
	assert_int_equal(policy_attach_ek_ca((struct policy *)in.policy, view_text("no PEM")), 0);
}

static void keep(void)
{
}

/* rule: of the only reason that refuses; NULL: accepted. seen: a part of what it says. */
static const struct {
	const char *what, *platforms;
	void (*before)(void);
	void (*after)(void);
	const char *rule, *seen;
} cases[] = {
	{ "good evidence", POLICY_GOOD, keep, keep, NULL, NULL },
	{ "P-384 with SHA-384", POLICY_GOOD, use_p384, keep, NULL, NULL },
	{ "RSASSA", POLICY_GOOD, use_rsa, keep, NULL, NULL },
	{ "RSAPSS", POLICY_GOOD, use_rsapss, keep, NULL, NULL },
	{ "a key without a scheme of its own", POLICY_GOOD, key_of_any_scheme, keep, NULL, NULL },
	{ "a second bank beside", POLICY_GOOD, two_banks, keep, NULL, NULL },
	{ "the other bank of two", POLICY_SHA1, two_banks, keep, NULL, NULL },

	{ "a platform that is not in the policy", POLICY_SOFT, keep, keep, "platforms", "tpm" },
	{ "a report too large", POLICY_GOOD, keep, report_too_large, "evidence.size", "65537" },
	{ "a log too large", POLICY_GOOD, keep, log_too_large, "evidence.size", "1048577" },
	{ "too many values", POLICY_GOOD, keep, values_too_many, "evidence.size", "385" },

	{ "no key enrolled", POLICY_GOOD, keep, no_key_enrolled, "evidence.key",
	  "none is enrolled" },
	{ "another key enrolled", POLICY_GOOD, keep, another_key_enrolled, "evidence.key", "000b" },
	{ "half a name", POLICY_GOOD, keep, shorter_name_enrolled, "evidence.key", "000b" },
	{ "no key", POLICY_GOOD, keep, no_key, "evidence.key", "its size" },
	{ "bytes behind the key", POLICY_GOOD, keep, bytes_behind_key, "evidence.key", "behind" },
	{ "a name by SHA-1", POLICY_GOOD, name_by_sha1, keep, "evidence.key", "name algorithm" },
	{ "RSA of 1024 bits", POLICY_GOOD, small_rsa, keep, "evidence.key", "another kind" },
	{ "a point off the curve", POLICY_GOOD, not_on_the_curve, keep, "evidence.key",
	  "not valid" },
	{ "an unrestricted key", POLICY_GOOD, not_restricted, keep, "evidence.key.attributes",
	  "not restricted" },
	{ "a key that does not sign", POLICY_GOOD, not_signing, keep, "evidence.key.attributes",
	  "not a signing key" },
	{ "a key that decrypts", POLICY_GOOD, decrypting_too, keep, "evidence.key.attributes",
	  "decryption key" },
	{ "a key that may leave the TPM", POLICY_GOOD, not_fixed_tpm, keep,
	  "evidence.key.attributes", "fixedTPM" },
	{ "a key that may leave its parent", POLICY_GOOD, not_fixed_parent, keep,
	  "evidence.key.attributes", "fixedParent" },
	{ "an imported key", POLICY_GOOD, imported, keep, "evidence.key.attributes",
	  "sensitiveDataOrigin" },

	{ "no signature", POLICY_GOOD, keep, no_signature, "evidence.signature", "its size" },
	{ "bytes behind the signature", POLICY_GOOD, keep, bytes_behind_signature,
	  "evidence.signature", "behind" },
	{ "a signature of another kind", POLICY_GOOD, keep, signature_of_another_kind,
	  "evidence.signature", "not one that is accepted" },
	{ "a signature by another key", POLICY_GOOD, signed_by_another, keep, "evidence.signature",
	  "does not verify" },
	{ "a scheme that is not the key's", POLICY_GOOD, scheme_not_the_keys, keep,
	  "evidence.signature", "not the key's" },
	{ "SHA-1", POLICY_GOOD, sha1, keep, "evidence.signature", "SHA-1" },
	{ "a quote changed after it was signed", POLICY_GOOD, keep, report_changed,
	  "evidence.signature", "does not verify" },
	{ "no quote", POLICY_GOOD, keep, no_report, "evidence.signature", "does not verify" },

	{ "not made in a TPM", POLICY_GOOD, other_magic, keep, "evidence.quote", "magic" },
	{ "not a quote", POLICY_GOOD, other_type, keep, "evidence.quote", "type" },
	{ "bytes behind the quote", POLICY_GOOD, bytes_behind, keep, "evidence.quote", "behind" },
	{ "a quote cut short", POLICY_GOOD, cut_short, keep, "evidence.quote",
	  "not a TPMS_ATTEST" },

	{ "other Claims", POLICY_GOOD, other_claims, keep, "evidence.claims", "" },
	{ "no Claims", POLICY_GOOD, no_claims, keep, "evidence.claims", "" },
	{ "more than the Claims", POLICY_GOOD, more_than_claims, keep, "evidence.claims", "" },

	{ "another PCR digest", POLICY_GOOD, other_pcr_digest, keep, "evidence.pcrs", "shipped" },
	{ "a PCR digest of another size", POLICY_GOOD, pcr_digest_by_another_hash, keep,
	  "evidence.pcrs", "shipped" },
	{ "a changed value", POLICY_GOOD, value_changed, keep, "evidence.pcrs", "shipped" },
	{ "a value too many", POLICY_GOOD, value_too_many, keep, "evidence.pcrs", "4 values" },
	{ "a value twice", POLICY_GOOD, value_twice, keep, "evidence.pcrs", "4 values" },
	{ "a value missing", POLICY_GOOD, value_missing, keep, "evidence.pcrs",
	  "no value for PCR 9" },
	{ "a value of another size", POLICY_GOOD, value_of_another_size, keep, "evidence.pcrs",
	  "20 bytes for PCR 4" },
	{ "a bank twice", POLICY_GOOD, bank_twice, keep, "evidence.pcrs", "selected twice" },
	{ "a bank that no one knows", POLICY_GOOD, unknown_bank, keep, "evidence.pcrs",
	  "PCR 0 of" },
	{ "PCR 24", POLICY_GOOD, pcr_24, keep, "evidence.pcrs", "does not exist" },
	{ "a PCR of the policy is not quoted", POLICY_PCR_7, keep, keep, "evidence.pcrs",
	  "0x000211" },
	{ "another bank than the policy's", POLICY_GOOD, selection_of_another_bank, keep,
	  "evidence.pcrs", "0x000000" },
	{ "nothing quoted", POLICY_GOOD, nothing_quoted, keep, "evidence.pcrs", "0x000000" },

	{ "no log where one is needed", POLICY_LOG, replayed, keep, "evidence.event_log", "none" },
	{ "a log that replays", POLICY_LOG, replayed, with_log, NULL, NULL },
	{ "a log that no one asked for", POLICY_NO_PCRS, replayed, with_log, NULL, NULL },
	{ "a log that does not replay", POLICY_LOG, keep, with_log, "evidence.event_log",
	  "its replay gives" },
	{ "the same where no one asked", POLICY_NO_PCRS, keep, with_log, "evidence.event_log",
	  "its replay gives" },
	{ "a log cut short", POLICY_NO_PCRS, replayed, with_log_cut_short, "evidence.event_log",
	  "cut short" },
	{ "a log of another bank", POLICY_LOG, replayed, with_log_of_sha1, "evidence.event_log",
	  "no digests of bank sha256" },
	{ "the same where no one asked", POLICY_NO_PCRS, replayed, with_log_of_sha1, NULL, NULL },
	{ "a log of other PCRs", POLICY_LOG, replayed, with_log_of_pcr_7, "evidence.event_log",
	  "no record of a quoted PCR" },
	{ "a record without the bank's digest", POLICY_LOG, replayed, with_log_of_no_digest,
	  "evidence.event_log", "without a digest" },

	{ "another boot", POLICY_PCR_4, keep, keep, "platforms.tpm.pcrs.4", "0404" },
	{ "no roots though the policy names them", POLICY_EK, keep, keep, "platforms.tpm.ek_ca",
	  "no certificate of an EK CA" },
	{ "roots that are none", POLICY_EK, keep, roots_of_no_one, "platforms.tpm.ek_ca",
	  "no certificate of an EK CA" },
};

/* The first reason that refuses; any other must be of the same rule. */
static const struct reason *refusal(const struct appraisal *a, const char *what)
{
	const struct reason *found = NULL;

	for (size_t i = 0; i < a->n; i++) {
		if (a->reasons[i].warning)
			continue;
		if (found && strcmp(found->rule, a->reasons[i].rule) != 0)
			fail_msg("%s: both %s and %s", what, found->rule, a->reasons[i].rule);
		if (!found)
			found = &a->reasons[i];
	}
	return found;
}

static void each_fault_names_its_own_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *what = cases[i].what;
		struct evidence_result result;
		const struct reason *reason;
		struct appraisal a;
		struct policy *p;

		tpm_fixture_init(&f, p256, claims());
		cases[i].before();
		tpm_fixture_pack(&f);
		p = policy_of(cases[i].platforms);
		in = (struct evidence_input){ .report = &f.report,
					      .claims = claims(),
					      .now = NOW,
					      .policy = p,
					      .key_name = view_of(f.name, f.name_len) };
		cases[i].after();

		appraisal_init(&a);
		if (evidence_find("tpm")->verify(&in, &a, &result) != 0)
			fail_msg("%s: not judged", what);
		appraisal_finish(&a);
		reason = refusal(&a, what);
		if (appraisal_accepted(&a) != !cases[i].rule)
			fail_msg("%s: %s %s", what, reason ? reason->rule : "accepted",
				 reason ? reason->seen : "");
		if (reason && (strcmp(reason->rule, cases[i].rule) != 0 ||
			       !strstr(reason->seen, cases[i].seen)))
			fail_msg("%s: %s: expected %s, saw %s", what, reason->rule,
				 reason->expected, reason->seen);
		appraisal_done(&a);
		policy_free(p);
	}
}

static bool accepted(const struct policy *p)
{
	struct evidence_result result;
	struct appraisal a;
	bool yes;

	in.policy = p;
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&in, &a, &result), 0);
	appraisal_finish(&a);
	yes = appraisal_accepted(&a);
	assert_true(yes || a.n > 0);
	appraisal_done(&a);
	return yes;
}

static void flip_every_bit(ProtobufCBinaryData d, const struct policy *p)
{
	for (size_t bit = 0; bit < 8 * d.len; bit++) {
		d.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (accepted(p))
			fail_msg("bit %zu", bit);
		d.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void cut_everywhere(ProtobufCBinaryData *d, const struct policy *p)
{
	size_t len = d->len;

	for (d->len = 0; d->len < len; d->len++) {
		if (accepted(p))
			fail_msg("%zu bytes", d->len);
	}
}

static void no_bit_can_be_changed(void **state)
{
	struct policy *p = policy_of(POLICY_GOOD);

	(void)state;
	tpm_fixture_init(&f, p256, claims());
	tpm_fixture_pack(&f);
	in = (struct evidence_input){ .report = &f.report,
				      .claims = claims(),
				      .now = NOW,
				      .key_name = view_of(f.name, f.name_len) };
	assert_true(accepted(p));
	flip_every_bit(f.report.report, p);
	flip_every_bit(f.report.signature, p);
	flip_every_bit(f.report.key, p);
	for (size_t i = 0; i < f.report.n_pcrs; i++)
		flip_every_bit(f.report.pcrs[i]->value, p);
	cut_everywhere(&f.report.report, p);
	cut_everywhere(&f.report.signature, p);
	cut_everywhere(&f.report.key, p);
	assert_true(accepted(p));
	policy_free(p);
}

static void the_result_tells_what_was_quoted(void **state)
{
	struct policy *p = policy_of(POLICY_LOG), *wrong = policy_of(POLICY_PCR_4);
	struct evidence_result result;
	struct appraisal a;

	(void)state;
	tpm_fixture_init(&f, p256, claims());
	replayed();
	tpm_fixture_pack(&f);
	with_log();
	in = (struct evidence_input){ .report = &f.report,
				      .claims = claims(),
				      .now = NOW,
				      .policy = p,
				      .key_name = view_of(f.name, f.name_len) };
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&in, &a, &result), 0);
	/* Whether all was checked is the caller's to say. */
	assert_false(appraisal_accepted(&a));
	assert_true(result.signature_good);
	assert_true(result.event_log_replayed);
	assert_int_equal(result.bank, HASH_SHA256);
	assert_int_equal(result.pcrs_quoted, 1 << 0 | 1 << 4 | 1 << 9);
	assert_int_equal(result.pcrs[9].bytes[31], 9);
	assert_int_equal(result.reset_count, 8);
	assert_int_equal(result.restart_count, 2);
	assert_int_equal(result.clock, 1234567);
	appraisal_done(&a);

	/* A signature stays good where the boot is wrong; without Claims it never is. */
	in.policy = wrong;
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&in, &a, &result), 0);
	assert_true(result.signature_good);
	assert_true(a.refused);
	appraisal_done(&a);
	in.claims = view_text("others");
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&in, &a, &result), 0);
	assert_false(result.signature_good);
	assert_int_equal(result.pcrs_quoted, 0);
	appraisal_done(&a);
	policy_free(p);
	policy_free(wrong);
}

static void only_known_platforms_are_found(void **state)
{
	(void)state;
	assert_non_null(evidence_find("tpm"));
	assert_false(evidence_find("tpm")->insecure);
	assert_true(evidence_find("soft")->insecure);
	assert_null(evidence_find(""));
	assert_null(evidence_find("tpm "));
}

static int make_keys(void **state)
{
	p256 = tpm_fixture_key("P-256");
	p384 = tpm_fixture_key("P-384");
	other = tpm_fixture_key("P-256");
	rsa = tpm_fixture_key("RSA");
	return 0;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_names_its_own_rule),
		cmocka_unit_test(no_bit_can_be_changed),
		cmocka_unit_test(the_result_tells_what_was_quoted),
		cmocka_unit_test(only_known_platforms_are_found),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
