/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/evidence_try.h"

#define POLICY_NO_PCRS	"{tpm: {event_log: allow}}"
#define POLICY_LOG	"{tpm: {event_log: require}}"
#define POLICY_COMPLETE "{tpm: {event_log: complete}}"
#define POLICY_PCR_4	"{tpm: {pcrs: {4: [" HEX_05 "], 9: [" HEX_09 "]}, event_log: allow}}"
#define POLICY_PCR_7	"{tpm: {pcrs: {7: [" HEX_05 "]}, event_log: allow}}"
#define POLICY_SHA1                                                                                \
	"{tpm: {bank: sha1, pcrs: {4: [0404040404040404040404040404040404040404]}, event_log: "    \
	"allow}}"

#define keep evidence_try_keep

static struct evidence_try_keys keys;
static uint8_t log_bytes[4096];

static void other_pcr_digest(struct evidence_try *t)
{
	tpm_fixture_pack(&t->f);
	t->f.keep_pcr_digest = true;
	t->f.attest.attested.quote.pcrDigest.buffer[0] ^= 1;
}

static void pcr_digest_by_another_hash(struct evidence_try *t)
{
	struct digest d = digest_zero(HASH_SHA384);

	t->f.keep_pcr_digest = true;
	t->f.attest.attested.quote.pcrDigest.size = d.size;
}

static void value_too_many(struct evidence_try *t)
{
	tpm_fixture_pack(&t->f);
	t->f.keep_pcr_digest = true;
	tpm_fixture_add_value(&t->f, HASH_SHA256, 7, 5, 32);
}

static void value_twice(struct evidence_try *t)
{
	tpm_fixture_pack(&t->f);
	t->f.keep_pcr_digest = true;
	tpm_fixture_add_value(&t->f, HASH_SHA256, 4, 4, 32);
}

static void value_missing(struct evidence_try *t)
{
	t->f.n_values--;
}

static void value_of_another_size(struct evidence_try *t)
{
	t->f.values[1].value.len = 20;
}

static void value_changed(struct evidence_try *t)
{
	tpm_fixture_pack(&t->f);
	t->f.keep_pcr_digest = true;
	t->f.value_bytes[1][5] ^= 1;
}

static void selection_of_another_bank(struct evidence_try *t)
{
	t->f.attest.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA384;
	t->f.n_values = 0;
	tpm_fixture_add_value(&t->f, HASH_SHA384, 0, 0, 48);
	tpm_fixture_add_value(&t->f, HASH_SHA384, 4, 4, 48);
	tpm_fixture_add_value(&t->f, HASH_SHA384, 9, 9, 48);
}

static void two_banks(struct evidence_try *t)
{
	TPML_PCR_SELECTION *l = &t->f.attest.attested.quote.pcrSelect;

	l->count = 2;
	l->pcrSelections[1] = l->pcrSelections[0];
	l->pcrSelections[1].hash = TPM2_ALG_SHA1;
	tpm_fixture_add_value(&t->f, HASH_SHA1, 0, 0, 20);
	tpm_fixture_add_value(&t->f, HASH_SHA1, 4, 4, 20);
	tpm_fixture_add_value(&t->f, HASH_SHA1, 9, 9, 20);
}

static void bank_twice(struct evidence_try *t)
{
	TPML_PCR_SELECTION *l = &t->f.attest.attested.quote.pcrSelect;

	l->count = 2;
	l->pcrSelections[1] = l->pcrSelections[0];
}

static void unknown_bank(struct evidence_try *t)
{
	t->f.attest.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_SHA3_256;
	for (size_t i = 0; i < t->f.n_values; i++)
		t->f.values[i].alg = TPM2_ALG_SHA3_256;
}

static void pcr_24(struct evidence_try *t)
{
	TPMS_PCR_SELECTION *s = &t->f.attest.attested.quote.pcrSelect.pcrSelections[0];

	s->sizeofSelect = 4;
	s->pcrSelect[3] = 1;
	tpm_fixture_add_value(&t->f, HASH_SHA256, 24, 0, 32);
}

static void nothing_quoted(struct evidence_try *t)
{
	memset(t->f.attest.attested.quote.pcrSelect.pcrSelections[0].pcrSelect, 0, 4);
	t->f.n_values = 0;
}

/* PCR 4 as the log of with_log() replays. */
static void replayed(struct evidence_try *t)
{
	struct digest d = digest_zero(HASH_SHA256);
	uint8_t aa[32];

	memset(aa, 0xaa, sizeof(aa));
	assert_int_equal(digest_extend(&d, view_of(aa, sizeof(aa))), 0);
	memcpy(t->f.value_bytes[1], d.bytes, 32);
}

static void put_le32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

/* A crypto-agile log with one bank and one record, in PCR index. */
static void make_log(struct evidence_try *t, uint16_t alg, uint8_t size, uint32_t index)
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
	t->f.report.event_log =
		(ProtobufCBinaryData){ .len = 65 + 14 + size + 4u, .data = log_bytes };
}

static void with_log(struct evidence_try *t)
{
	make_log(t, HASH_SHA256, 32, 4);
}

static void with_log_of_sha1(struct evidence_try *t)
{
	make_log(t, HASH_SHA1, 20, 4);
}

static void with_log_of_pcr_7(struct evidence_try *t)
{
	make_log(t, HASH_SHA256, 32, 7);
}

static void with_log_of_no_digest(struct evidence_try *t)
{
	with_log(t);
	put_le32(log_bytes + 65 + 8, 0);
	put_le32(log_bytes + 65 + 12, 0);
	t->f.report.event_log.len = 65 + 16;
}

static void with_log_cut_short(struct evidence_try *t)
{
	with_log(t);
	t->f.report.event_log.len--;
}

/* PCR 5 instead of 4 is quoted: as it is after these actions, one event each. */
static void replayed_actions(struct evidence_try *t, const char *const *actions)
{
	TPMS_PCR_SELECTION *s = &t->f.attest.attested.quote.pcrSelect.pcrSelections[0];
	struct digest d = digest_zero(HASH_SHA256), of;

	s->pcrSelect[0] = (uint8_t)((s->pcrSelect[0] & ~(1u << 4)) | 1u << 5);
	t->f.values[1].index = 5;
	for (; *actions; actions++) {
		assert_int_equal(digest_of(HASH_SHA256, view_text(*actions), &of), 0);
		assert_int_equal(digest_extend(&d, view_of(of.bytes, of.size)), 0);
	}
	memcpy(t->f.value_bytes[1], d.bytes, 32);
}

static const char *const boot_services_left[] = { "Exit Boot Services Invocation",
						  "Exit Boot Services Returned with Success",
						  NULL };
static const char *const boot_services_tried[] = { "Exit Boot Services Invocation",
						   "Exit Boot Services Returned with Failure",
						   NULL };

static void left(struct evidence_try *t)
{
	replayed_actions(t, boot_services_left);
}

static void tried(struct evidence_try *t)
{
	replayed_actions(t, boot_services_tried);
}

/* Writes the actions' records there; the log ends with them. */
static void put_actions(struct evidence_try *t, uint8_t *p, const char *const *actions)
{
	struct digest of;

	for (; *actions; actions++) {
		assert_int_equal(digest_of(HASH_SHA256, view_text(*actions), &of), 0);
		put_le32(p, 5);
		put_le32(p + 4, 0x80000007);
		put_le32(p + 8, 1);
		put_le32(p + 12, HASH_SHA256);
		memcpy(p + 14, of.bytes, 32);
		put_le32(p + 46, (uint32_t)strlen(*actions));
		memcpy(p + 50, *actions, strlen(*actions));
		p += 50 + strlen(*actions);
	}
	t->f.report.event_log.len = (size_t)(p - log_bytes);
}

static void with_log_of_left(struct evidence_try *t)
{
	with_log(t);
	put_actions(t, log_bytes + 65, boot_services_left);
}

static void with_log_of_tried(struct evidence_try *t)
{
	with_log(t);
	put_actions(t, log_bytes + 65, boot_services_tried);
}

/* The record of PCR 4, which is quoted, and what nobody proves of PCR 5. */
static void with_log_of_left_unproven(struct evidence_try *t)
{
	with_log(t);
	put_actions(t, log_bytes + t->f.report.event_log.len, boot_services_left);
}

static const struct evidence_case cases[] = {
	{ "good values", POLICY_GOOD, keep, keep, NULL, NULL },
	{ "a second bank beside", POLICY_GOOD, two_banks, keep, NULL, NULL },
	{ "the other bank of two", POLICY_SHA1, two_banks, keep, NULL, NULL },

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
	{ "boot services left", POLICY_COMPLETE, left, with_log_of_left, NULL, NULL },
	{ "boot services not left", POLICY_COMPLETE, tried, with_log_of_tried, "evidence.event_log",
	  "a log without them" },
	{ "the same where no one asked", POLICY_LOG, tried, with_log_of_tried, NULL, NULL },
	{ "a log of another PCR", POLICY_COMPLETE, replayed, with_log, "evidence.event_log",
	  "a quote without PCR 5" },
	{ "boot services left in a PCR that is not quoted", POLICY_COMPLETE, replayed,
	  with_log_of_left_unproven, "evidence.event_log", "a quote without PCR 5" },
	{ "no log where it is to be complete", POLICY_COMPLETE, replayed, keep,
	  "evidence.event_log", "none" },

	{ "another boot", POLICY_PCR_4, keep, keep, "platforms.tpm.pcrs.4", "0404" },
};

static void each_fault_names_its_own_rule(void **state)
{
	evidence_try_all(&keys, cases, ARRAY_LEN(cases));
}

static void the_result_tells_what_was_quoted(void **state)
{
	struct policy *p = evidence_try_policy(POLICY_LOG),
		      *wrong = evidence_try_policy(POLICY_PCR_4);
	static struct evidence_try t;
	struct evidence_result result;
	struct appraisal a;

	t.keys = &keys;
	tpm_fixture_init(&t.f, keys.p256, evidence_try_claims());
	replayed(&t);
	tpm_fixture_pack(&t.f);
	with_log(&t);
	t.in = evidence_try_input(&t.f, p);
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&t.in, &a, &result), 0);
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
	t.in.policy = wrong;
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&t.in, &a, &result), 0);
	assert_true(result.signature_good);
	assert_true(a.refused);
	appraisal_done(&a);
	t.in.claims = view_text("others");
	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(&t.in, &a, &result), 0);
	assert_false(result.signature_good);
	assert_int_equal(result.pcrs_quoted, 0);
	appraisal_done(&a);
	policy_free(p);
	policy_free(wrong);
}

static int make_keys(void **state)
{
	evidence_try_make_keys(&keys);
	return 0;
}

static int free_keys(void **state)
{
	evidence_try_free_keys(&keys);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_names_its_own_rule),
		cmocka_unit_test(the_result_tells_what_was_quoted),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
