/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tdx_files.h"
#include "verifier/tdx_quote.h"

/*
 * A good quote, and everything that may be wrong with it and what comes with it. Bits are
 * sampled; $ASSAY_EXHAUSTIVE takes each of them.
 */

#define QUOTE	     "v5-td15-90c06f000000-uptodate.quote"
#define SET	     "2026-03_90c06f000000"
#define TIME	     "2026-03-20T00:00:00Z"
#define SIGNED_SIZE  (48 + 6 + 648)
#define LENGTH_AT    SIGNED_SIZE
#define CERTIFIED_AT (LENGTH_AT + 4 + 64 + 64) /* type and size of the certification data */
#define AUTH_AT	     (CERTIFIED_AT + 6 + 384 + 64)

static struct tdx_files good;

/* In each test, not before it: only a test can be skipped. */
static void begin(void)
{
	shared_evidence_needed();
	good = tdx_files("tdx/quotes", QUOTE, SET, TIME);
}

static int tear_down(void **state)
{
	(void)state;
	tdx_files_done(&good);
	return 0;
}

static size_t step(size_t sampled)
{
	return getenv("ASSAY_EXHAUSTIVE") ? 1 : sampled;
}

static void must_be_valid(const char *what)
{
	struct tdx_outcome o = tdx_judge(&good);

	if (o.verdict != EVIDENCE_VALID)
		fail_msg("%s: %s: %s", what, o.rules, o.first);
}

static void flip_one(const char *what, struct bytes *b, size_t bit, const char *rule)
{
	struct tdx_outcome o;

	b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	o = tdx_judge(&good);
	b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	if (o.verdict != EVIDENCE_INVALID || (rule && !strstr(o.rules, rule)))
		fail_msg("%s, bit %zu of byte %zu flipped: %s by \"%s\"", what, bit % 8, bit / 8,
			 evidence_verdict_name(o.verdict), o.rules);
}

/* Bits of the bytes from..to of the file, one at a time. */
static void flip(const char *what, struct bytes *b, size_t from, size_t to, size_t sampled,
		 const char *rule)
{
	assert_true(from < to);
	for (size_t bit = 8 * from; bit < 8 * to; bit += step(sampled))
		flip_one(what, b, bit, rule);
}

static void every_flipped_bit_of_the_quote_is_refused(void **state)
{
	(void)state;
	begin();
	must_be_valid("untouched");
	/* Bits of version, key type, TEE type, QE vendor and the descriptor are not a quote's at
	 * all. */
	flip("header", &good.quote, 0, 48, 11, NULL);
	flip("body", &good.quote, 54, SIGNED_SIZE, 61, "evidence.signature");
	flip("lengths", &good.quote, LENGTH_AT, LENGTH_AT + 4, 1, "evidence.format");
	flip("quote signature", &good.quote, LENGTH_AT + 4, LENGTH_AT + 68, 17,
	     "evidence.signature");
	flip("attestation key", &good.quote, LENGTH_AT + 68, CERTIFIED_AT, 17,
	     "evidence.qe_binding");
	flip("QE report", &good.quote, CERTIFIED_AT + 6, CERTIFIED_AT + 390, 61,
	     "evidence.qe_report");
	flip("QE report's signature", &good.quote, CERTIFIED_AT + 390, AUTH_AT, 7,
	     "evidence.qe_report");
	flip("auth data", &good.quote, AUTH_AT + 2, AUTH_AT + 34, 5, "evidence.qe_binding");
	flip("certificates", &good.quote, AUTH_AT + 40, good.quote.len, 401, "evidence.pck_chain");
}

/* Hex digits of a signature mean the same in either case. */
static bool only_case(uint8_t c, uint8_t mask)
{
	return mask == 0x20 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

static void flip_json(const char *what, struct bytes *b)
{
	const uint8_t *signature = memmem(b->data, b->len, "\"signature\"", 11);
	size_t at;

	assert_non_null(signature);
	at = (size_t)(signature - b->data);
	flip(what, b, 0, at, 301, NULL);
	for (size_t bit = 8 * at; bit < 8 * b->len; bit += step(17)) {
		if (!only_case(b->data[bit / 8], (uint8_t)(1u << bit % 8)))
			flip_one(what, b, bit, NULL);
	}
}

/* Where the first certificate ends. What is behind it is the root, which the quote has too. */
static size_t first_certificate(const struct bytes *b)
{
	const uint8_t *end = memmem(b->data, b->len, "-----END", 8);

	assert_non_null(end);
	return (size_t)(end - b->data);
}

static void every_flipped_bit_of_the_collateral_is_refused(void **state)
{
	(void)state;
	begin();
	flip_json("TCB info", &good.collateral[TCB_INFO]);
	flip_json("QE identity", &good.collateral[QE_IDENTITY]);
	flip("PCK CRL", &good.collateral[PCK_CRL], 0, good.collateral[PCK_CRL].len, 401,
	     "evidence.pck_chain");
	flip("root CRL", &good.collateral[ROOT_CRL], 0, good.collateral[ROOT_CRL].len, 31,
	     "evidence.pck_chain");
	flip("TCB signing certificate", &good.collateral[SIGNERS], 0,
	     first_certificate(&good.collateral[SIGNERS]), 301, "evidence.tcb_info");
	must_be_valid("put back");
}

static void a_quote_cut_anywhere_is_refused(void **state)
{
	struct tdx_outcome o;
	size_t whole, n = 0;

	(void)state;
	begin();
	whole = good.quote.len;
	for (good.quote.len = 0; good.quote.len < whole; good.quote.len++) {
		o = tdx_judge(&good);
		if (o.verdict != EVIDENCE_INVALID || !strstr(o.rules, "evidence.format"))
			fail_msg("cut to %zu bytes: %s by \"%s\"", good.quote.len,
				 evidence_verdict_name(o.verdict), o.rules);
		n++;
	}
	assert_true(n > SIGNED_SIZE);
	must_be_valid("whole");
}

static void collateral_cut_anywhere_is_refused(void **state)
{
	struct tdx_outcome o;

	(void)state;
	begin();
	for (size_t i = 0; i < COLLATERAL_FILES; i++) {
		struct bytes *b = &good.collateral[i];
		size_t whole = b->len, end = i == SIGNERS ? first_certificate(b) : whole;

		for (size_t len = 0; len < end; len += step(97)) {
			b->len = len;
			o = tdx_judge(&good);
			b->len = whole;
			if (o.verdict != EVIDENCE_INVALID)
				fail_msg("file %zu of the collateral cut to %zu bytes: %s", i, len,
					 evidence_verdict_name(o.verdict));
		}
	}
	must_be_valid("whole");
}

static const struct {
	const char *what;
	size_t at, size;
} lengths[] = {
	{ "body's size", 50, 4 },
	{ "signature data's length", LENGTH_AT, 4 },
	{ "certification data's size", CERTIFIED_AT + 2, 4 },
	{ "auth data's length", AUTH_AT, 2 },
	{ "certificate chain's size", AUTH_AT + 2 + 32 + 2, 4 },
};

static void a_grown_or_shrunk_length_is_refused(void **state)
{
	static const uint32_t changes[] = {
		1, 2, 64, 0x100, 0xffff, 0x7fffffff, (uint32_t)-1, (uint32_t)-2, (uint32_t)-64
	};

	(void)state;
	begin();
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		for (size_t k = 0; k < ARRAY_LEN(changes); k++) {
			uint8_t *at = good.quote.data + lengths[i].at, before[4];
			struct tdx_outcome o;
			uint32_t v = 0;

			memcpy(before, at, lengths[i].size);
			memcpy(&v, at, lengths[i].size); /* little-endian, as this machine */
			v += changes[k];
			memcpy(at, &v, lengths[i].size);
			o = tdx_judge(&good);
			memcpy(at, before, lengths[i].size);
			if (o.verdict != EVIDENCE_INVALID)
				fail_msg("%s changed by %d: %s", lengths[i].what, (int)changes[k],
					 evidence_verdict_name(o.verdict));
		}
	}
	must_be_valid("put back");
}

static const struct {
	const char *what;
	int file; /* of the collateral; -1: none */
	const char *rules;
} missing[] = {
	{ "TCB info", TCB_INFO, "evidence.tcb_info" },
	{ "QE identity", QE_IDENTITY, "evidence.qe_identity" },
	{ "PCK CRL", PCK_CRL, "evidence.pck_chain" },
	{ "root CRL", ROOT_CRL, "evidence.pck_chain evidence.tcb_info evidence.qe_identity" },
	{ "TCB signing certificate", SIGNERS, "evidence.tcb_info evidence.qe_identity" },
};

static void what_is_missing_is_not_passed_over(void **state)
{
	(void)state;
	begin();
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		struct bytes *b = &good.collateral[missing[i].file];
		size_t len = b->len;
		struct tdx_outcome o;

		b->len = 0;
		o = tdx_judge(&good);
		b->len = len;
		if (o.verdict != EVIDENCE_INVALID || strcmp(o.rules, missing[i].rules) != 0)
			fail_msg("without %s: %s by \"%s\"", missing[i].what,
				 evidence_verdict_name(o.verdict), o.rules);
	}
}

static void collateral_of_another_platform_is_refused(void **state)
{
	struct tdx_files other;
	struct tdx_outcome o;

	(void)state;
	begin();
	other = tdx_files("tdx/quotes", QUOTE, "2026-03_50806f000000", TIME);
	o = tdx_judge(&other);
	assert_int_equal(o.verdict, EVIDENCE_INVALID);
	assert_string_equal(o.rules, "evidence.tcb_info");
	assert_non_null(strstr(o.first, "another platform"));
	tdx_files_done(&other);
}

/* The newer of two is heeded, whichever came first, and one of another platform is no harm. */
static void of_several_collaterals_the_right_one_is_taken(void **state)
{
	struct endorsements *all, *a, *b, *c;
	struct tdx_files stale, other;
	struct tdx_outcome o;

	(void)state;
	begin();
	stale = tdx_files("tdx/quotes", QUOTE, "2026-02_90c06f000000", TIME);
	other = tdx_files("tdx/quotes", QUOTE, "2026-03_50806f000000", TIME);
	a = tdx_endorsements(&stale);
	b = tdx_endorsements(&other);
	c = tdx_endorsements(&good);
	assert_int_equal(endorsements_new(&all), 0);
	assert_int_equal(endorsements_add_all(all, a), 0);
	assert_int_equal(endorsements_add_all(all, b), 0);
	assert_int_equal(endorsements_add_all(all, c), 0);
	o = tdx_judge_with(&good, all);
	if (o.verdict != EVIDENCE_VALID)
		fail_msg("%s: %s", o.rules, o.first);
	endorsements_free(all);
	endorsements_free(a);
	endorsements_free(b);
	endorsements_free(c);
	tdx_files_done(&stale);
	tdx_files_done(&other);
}

static void a_report_of_another_platform_is_refused(void **state)
{
	struct tdx_files f;
	struct tdx_outcome o;

	(void)state;
	begin();
	f = good;
	f.quote = shared_evidence("sev-snp", "v3-genoa-tsm.report");
	f.platform = "tdx";
	o = tdx_judge(&f);
	assert_int_equal(o.verdict, EVIDENCE_INVALID);
	assert_string_equal(o.rules, "evidence.format");
	bytes_done(&f.quote);

	f.quote = good.quote;
	f.platform = "sev-snp";
	o = tdx_judge(&f);
	assert_int_equal(o.verdict, EVIDENCE_INVALID);
	assert_string_equal(o.rules, "evidence.format");

	/* An SGX enclave's quote, which Intel's PCK would sign all the same. */
	f.platform = "tdx";
	f.quote.data[4] = 0;
	o = tdx_judge(&f);
	f.quote.data[4] = 0x81;
	assert_int_equal(o.verdict, EVIDENCE_INVALID);
	assert_string_equal(o.rules, "evidence.format");
}

/* Roots are pinned: the same chain under another pin is nobody's. */
static void another_root_is_not_trusted(void **state)
{
	static const struct x509_pin pin = { "a root of ours", { 1, 2, 3 } };
	struct evidence_alone in = { .n_files = 1, .roots = &pin, .n_roots = 1 };
	struct evidence_file file = { .name = "quote" };
	struct endorsements *e;
	struct evidence_result result;
	struct evidence_found found;
	struct arena *arena;
	struct appraisal a;

	(void)state;
	begin();
	e = tdx_endorsements(&good);
	file.bytes = bytes_view(&good.quote);
	in.files = &file;
	in.endorsements = e;
	in.now = good.now;
	appraisal_init(&a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(evidence_appraise(&in, arena, &a, &found, &result), 0);
	assert_int_equal(evidence_verdict(&a), EVIDENCE_INVALID);
	assert_string_equal(a.reasons[0].rule, "evidence.pck_chain");
	assert_false(result.signature_good);
	appraisal_done(&a);
	arena_free(arena);
	endorsements_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_flipped_bit_of_the_quote_is_refused, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(every_flipped_bit_of_the_collateral_is_refused,
						NULL, tear_down),
		cmocka_unit_test_setup_teardown(a_quote_cut_anywhere_is_refused, NULL, tear_down),
		cmocka_unit_test_setup_teardown(collateral_cut_anywhere_is_refused, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(a_grown_or_shrunk_length_is_refused, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_missing_is_not_passed_over, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(collateral_of_another_platform_is_refused, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(of_several_collaterals_the_right_one_is_taken, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(a_report_of_another_platform_is_refused, NULL,
						tear_down),
		cmocka_unit_test_setup_teardown(another_root_is_not_trusted, NULL, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
