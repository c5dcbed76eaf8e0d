/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/support/alone_try.h"
#include "tests/support/shared_evidence.h"
#include "verifier/csv_certificate.h"
#include "verifier/csv_report.h"

/* Genuine reports and certificates of Hygon's, with the verdicts stated beside them. */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define FOLDER	  "csv"
#define PARTS	  4
#define AT	  "2026-09-01T00:00:00Z" /* any: nothing here has dates */
#define FULL	  "v1-report-full-chain.bin"
#define COCO	  "v1-coco-report.bin"
#define COCO_JSON "v1-coco-evidence.json"
#define CHAIN	  "hrk.cert", "hsk_cek.cert"
#define MEASURED  "1178dadbf826ec7a07444ba358376d81c312cb53d703f9da83b26c1eee2ea052"
#define OTHER_SM3 "2178dadbf826ec7a07444ba358376d81c312cb53d703f9da83b26c1eee2ea052"
#define USER_DATA "757365722064617461" /* "user data" */

static const struct {
	const char *what;
	const char *report;
	const char *parts[PARTS];
	const char *policy, *report_data;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of one reason; NULL: there is none at all */
} cases[] = {
	{ "the full chain", FULL, { CHAIN }, NULL, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "certificates one by one, in another order",
	  FULL,
	  { "cek.cert", "hsk.cert", "hrk.cert" },
	  NULL,
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "another chip's PEK among the certificates",
	  FULL,
	  { "v1-coco-pek.cert", CHAIN },
	  NULL,
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "its report data", FULL, { CHAIN }, NULL, USER_DATA, EVIDENCE_VALID, NULL, NULL },
	{ "other report data",
	  FULL,
	  { CHAIN },
	  NULL,
	  "757365",
	  EVIDENCE_INVALID,
	  "evidence.report_data",
	  USER_DATA },
	{ "no root",
	  FULL,
	  { "hsk_cek.cert" },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "of 0 root" },
	{ "nothing but the root",
	  FULL,
	  { "hrk.cert" },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "the CEK of the chip" },
	{ "no HSK",
	  FULL,
	  { "hrk.cert", "cek.cert" },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "the HSK that signed" },
	{ "no certificates",
	  FULL,
	  { NULL },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "none" },
	{ "the measurement it has",
	  FULL,
	  { CHAIN },
	  "csv: {measurement: [\"" MEASURED "\"]}",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "another measurement",
	  FULL,
	  { CHAIN },
	  "csv: {measurement: [\"" OTHER_SM3 "\"]}",
	  NULL,
	  EVIDENCE_POLICY,
	  "platforms.csv.measurement",
	  MEASURED },
	{ "version 2 asked for",
	  FULL,
	  { CHAIN },
	  "csv: {version_min: 2}",
	  NULL,
	  EVIDENCE_POLICY,
	  "platforms.csv.version_min",
	  "1" },
	{ "a policy for another platform",
	  FULL,
	  { CHAIN },
	  "sev-snp: {}",
	  NULL,
	  EVIDENCE_POLICY,
	  "platforms",
	  "csv" },
	/* Its HSK and CEK are not published; this CEK is another chip's. */
	{ "a PEK under the CEK of another chip",
	  COCO,
	  { CHAIN },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "of 1 that did not sign it" },
	{ "the same in Confidential Containers' JSON",
	  COCO_JSON,
	  { CHAIN },
	  NULL,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "of 1 that did not sign it" },
};

static struct endorsements *endorsed(const char *const parts[PARTS])
{
	struct endorsements *e;

	assert_int_equal(endorsements_new(&e), 0);
	for (size_t i = 0; i < PARTS && parts[i]; i++)
		alone_try_endorse(e, FOLDER, parts[i]);
	return e;
}

static void judge(struct view report, const struct endorsements *e, const struct policy *p,
		  const char *data, struct alone_try *ret)
{
	const struct evidence_file file = { "report", report };
	struct alone_try_in in = { .files = &file,
				   .n = 1,
				   .endorsements = e,
				   .at = AT,
				   .report_data = data,
				   .policy = p };

	alone_try(&in, ret);
}

static void genuine_reports_get_the_verdict_they_deserve(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(cases[i].parts);
		CLEANUP(policy_freep) struct policy *p = alone_try_policy(cases[i].policy);
		CLEANUP(bytes_cleanup)
		struct bytes report = shared_evidence(FOLDER, cases[i].report);
		struct alone_try t;

		judge(bytes_view(&report), e, p, cases[i].report_data, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].seen);
		appraisal_done(&t.a);
	}
}

/* Of the report whose chip is not known, the signature is good and nothing else refuses it. */
static void the_report_of_an_unknown_chip_is_signed_by_its_pek(void **state)
{
	static const char *const parts[PARTS] = { CHAIN };
	static const char *const forms[] = { COCO, COCO_JSON };

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(parts);
		CLEANUP(bytes_cleanup) struct bytes report = shared_evidence(FOLDER, forms[i]);
		struct alone_try t;

		judge(bytes_view(&report), e, NULL, NULL, &t);
		for (size_t k = 0; k < t.a.n; k++) {
			const struct reason *r = &t.a.reasons[k];

			if (!r->warning)
				assert_string_equal(r->rule, "evidence.chain");
		}
		assert_int_equal(t.result.chip_id_len, 0);
		appraisal_done(&t.a);
	}
}

static void read_certificate(const char *file, struct bytes *raw, struct csv_certificate *ret)
{
	const char *why = "";

	*raw = shared_evidence(FOLDER, file);
	if (csv_certificate_parse(bytes_view(raw), ret, &why) != 0)
		fail_msg("%s: %s", file, why);
}

static void certificates_are_signed_by_whom_they_say(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes hrk_raw, hsk_raw, cek_raw, pek_raw;
	struct csv_certificate hrk, hsk, cek, pek;

	(void)state;
	shared_evidence_needed();
	read_certificate("hrk.cert", &hrk_raw, &hrk);
	read_certificate("hsk.cert", &hsk_raw, &hsk);
	read_certificate("cek.cert", &cek_raw, &cek);
	read_certificate("v1-coco-pek.cert", &pek_raw, &pek);
	assert_true(view_is(hrk.user_id, "HYGON-SSD-HRK"));
	assert_true(view_is(hsk.user_id, "HYGON-SSD-HSK"));
	assert_true(view_is(cek.user_id, "HYGON-SSD-CEK"));
	assert_true(view_is(pek.user_id, "HYGON-SSD-PEK"));
	assert_int_equal(csv_certificate_signed_by(&hrk, &hrk), 1);
	assert_int_equal(csv_certificate_signed_by(&hsk, &hrk), 1);
	assert_int_equal(csv_certificate_signed_by(&cek, &hsk), 1);
	assert_int_equal(csv_certificate_signed_by(&pek, &cek), 0);
	assert_int_equal(csv_certificate_signed_by(&hrk, &hsk), 0);
	assert_int_equal(csv_certificate_signed_by(&cek, &hrk), 0);
}

static void expect_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char seen[2 * EVIDENCE_DATA + 1];

	hex_encode(bytes, len, seen);
	assert_string_equal(seen, hex);
}

#define EXPECT_HEX(field, hex) expect_hex(field, sizeof(field), hex)
#define ZEROS_64                                                                                   \
	"0000000000000000000000000000000000000000000000000000000000000000"                         \
	"0000000000000000000000000000000000000000000000000000000000000000"

static void values_are_those_stated(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes full, coco;
	struct csv_report r;
	const char *why;

	(void)state;
	shared_evidence_needed();
	full = shared_evidence(FOLDER, FULL);
	coco = shared_evidence(FOLDER, COCO);
	assert_int_equal(csv_report_parse(bytes_view(&full), &r, &why), 0);
	assert_int_equal(r.version, 1);
	assert_false(r.restored);
	EXPECT_HEX(r.anonce, "9b429112");
	assert_memory_equal(r.report_data, "user data\0\0", 11);
	EXPECT_HEX(r.mnonce, "67c6697351ff4aec29cdbaabf2fbe346");
	EXPECT_HEX(r.measurement, MEASURED);
	assert_int_equal(r.policy, 0x40000001);
	assert_true(view_is(csv_report_serial(&r), "NZA9T14052605"));

	assert_int_equal(csv_report_parse(bytes_view(&coco), &r, &why), 0);
	assert_true(r.restored);
	EXPECT_HEX(r.anonce, "26d7c75d");
	EXPECT_HEX(r.report_data, ZEROS_64);
	EXPECT_HEX(r.mnonce, "ad998a845c45cf30944d1c285629e768");
	EXPECT_HEX(r.measurement,
		   "ae2a2cf1f41a485fa37bf9ae92f678783c59fbc79de7b5d237743d58f5538034");
	assert_int_equal(r.policy, 0x45);
	assert_true(view_is(csv_report_serial(&r), "KPA64911240507"));
}

static void the_result_and_what_is_shown_have_them_too(void **state)
{
	static const char *const parts[PARTS] = { CHAIN };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes report = BYTES_INIT(0);
	Assay__ChipReport chip = ASSAY__CHIP_REPORT__INIT;
	struct alone_try t;
	json_t *shown;

	(void)state;
	shared_evidence_needed();
	e = endorsed(parts);
	report = shared_evidence(FOLDER, FULL);
	judge(bytes_view(&report), e, NULL, USER_DATA, &t);
	assert_string_equal(t.ops->platform, "csv");
	assert_int_equal(t.result.version, 1);
	assert_true(t.result.signature_good);
	assert_false(t.result.debug);
	expect_hex(t.result.measurement.bytes, t.result.measurement.size, MEASURED);
	assert_int_equal(t.result.n_registers, 0);
	assert_int_equal(t.result.chip_id_len, 32);
	appraisal_done(&t.a);

	chip.report = (ProtobufCBinaryData){ report.len, report.data };
	assert_int_equal(t.ops->show(&chip, &shown), 0);
	assert_string_equal(json_string_value(json_object_get(shown, "serial")), "NZA9T14052605");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(shown, "pek"), "user_id")),
		"HYGON-SSD-PEK");
	assert_string_equal(json_string_value(json_object_get(shown, "policy")), "0x40000001");
	json_decref(shown);
	chip.report.len--;
	assert_int_equal(t.ops->show(&chip, &shown), -EBADMSG);
}

/* Bits apart in a run of every test; all with ASSAY_EVERY_BIT. A prime: all places occur. */
static size_t step(void)
{
	return getenv("ASSAY_EVERY_BIT") ? 1 : 61;
}

/* The whole of it, with what only the MAC covers: it comes from the firmware as it is. */
static void a_flipped_bit_is_refused(void **state)
{
	static const char *const parts[PARTS] = { CHAIN };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes r = BYTES_INIT(0);

	(void)state;
	shared_evidence_needed();
	e = endorsed(parts);
	r = shared_evidence(FOLDER, FULL);
	for (size_t bit = 0; bit < 8 * r.len; bit += step()) {
		struct alone_try t;

		r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		judge(bytes_view(&r), e, NULL, NULL, &t);
		if (t.verdict != EVIDENCE_INVALID || t.result.signature_good)
			fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
		appraisal_done(&t.a);
		r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_flipped_bit_of_a_certificate_is_refused(void **state)
{
	static const char *const files[] = { "hrk.cert", "hsk.cert", "cek.cert" };
	CLEANUP(bytes_cleanup) struct bytes report = BYTES_INIT(0);

	(void)state;
	shared_evidence_needed();
	report = shared_evidence(FOLDER, FULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(bytes_cleanup) struct bytes cert = shared_evidence(FOLDER, files[i]);
		const char *parts[PARTS] = { NULL };

		for (size_t k = 0, n = 0; k < ARRAY_LEN(files); k++) {
			if (k != i)
				parts[n++] = files[k];
		}
		for (size_t bit = 0; bit < 8 * cert.len; bit += step()) {
			CLEANUP(endorsements_freep) struct endorsements *e = endorsed(parts);
			struct alone_try t;
			const char *why;

			cert.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* It may not even be a certificate any more. */
			if (endorsements_add(e, bytes_view(&cert), &why) == -ENOMEM)
				fail();
			judge(bytes_view(&report), e, NULL, NULL, &t);
			if (t.verdict != EVIDENCE_INVALID)
				fail_msg("%s: bit %zu of byte %zu", files[i], bit % 8, bit / 8);
			appraisal_done(&t.a);
			cert.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void a_report_cut_short_is_none(void **state)
{
	static const char *const files[] = { FULL, COCO, COCO_JSON };

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(bytes_cleanup) struct bytes r = shared_evidence(FOLDER, files[i]);

		for (size_t len = 0; len < r.len; len++) {
			/* As long as its version needs: the rest of the page is nothing. */
			bool whole =
				i == 1 && (len == CSV_REPORT_V1_SIZE || len == CSV_REPORT_V2_SIZE);
			CLEANUP(cleanup_mem) uint8_t *part = malloc(len + 1);
			struct alone_try t;

			/* In memory of its own, so that a sanitizer sees a byte too many. */
			assert_non_null(part);
			memcpy(part, r.data, len);
			judge(view_of(part, len), NULL, NULL, NULL, &t);
			if (t.verdict != EVIDENCE_INVALID || (t.ops != NULL) != whole)
				fail_msg("%s cut at %zu", files[i], len);
			appraisal_done(&t.a);
		}
	}
}

static void evidence_of_another_platform_is_none(void **state)
{
	static const struct {
		const char *folder, *file;
	} others[] = {
		{ "sev-snp", "v3-milan-2026.report" },
		{ "tdx", "quotes/v4-b0c06f000000-uptodate.quote" },
		{ "tdx", "tdreport.bin" },
		{ "csv", "hsk_cek.cert" },
		{ "eventlog", "ccel-coco-ccel_data_csv.bin" },
	};

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		CLEANUP(bytes_cleanup)
		struct bytes r = shared_evidence(others[i].folder, others[i].file);
		Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
		struct evidence_input in = { .report = &report, .alone = true };
		struct evidence_result result;
		struct appraisal a;

		assert_false(evidence_find("csv")->detect(bytes_view(&r)));
		report.report = (ProtobufCBinaryData){ r.len, r.data };
		appraisal_init(&a);
		assert_int_equal(evidence_find("csv")->verify(&in, &a, &result), 0);
		appraisal_finish(&a);
		if (evidence_verdict(&a) != EVIDENCE_INVALID || result.signature_good)
			fail_msg("%s", others[i].file);
		appraisal_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_reports_get_the_verdict_they_deserve),
		cmocka_unit_test(the_report_of_an_unknown_chip_is_signed_by_its_pek),
		cmocka_unit_test(certificates_are_signed_by_whom_they_say),
		cmocka_unit_test(values_are_those_stated),
		cmocka_unit_test(the_result_and_what_is_shown_have_them_too),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_flipped_bit_of_a_certificate_is_refused),
		cmocka_unit_test(a_report_cut_short_is_none),
		cmocka_unit_test(evidence_of_another_platform_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
