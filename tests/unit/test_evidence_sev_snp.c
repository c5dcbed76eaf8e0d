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
#include "quantity.h"
#include "tests/support/alone_try.h"
#include "tests/support/shared_evidence.h"
#include "verifier/evidence_sev_snp_product.h"

/* Genuine reports, read in place; what must come out is what the README beside them says. */

#define FOLDER "sev-snp"
#define PARTS  4 /* files of endorsements that a case hands in */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define MILAN "certs/milan-ask-ark-asvk.pem"
#define GENOA "certs/genoa-ask-ark-asvk.pem"
#define TURIN "certs/turin-ask-ark-asvk.pem"

#define NEW_MILAN_CRL "certs/milan-ark-crl-2026-08.der"
#define NEW_GENOA_CRL "certs/genoa-ark-crl-2026-08.der"
#define NEW_TURIN_CRL "certs/turin-ark-crl-2026-08.der"

static struct endorsements *endorsed(const char *const parts[PARTS])
{
	struct endorsements *e;

	assert_int_equal(endorsements_new(&e), 0);
	for (size_t i = 0; i < PARTS && parts[i]; i++)
		alone_try_endorse(e, FOLDER, parts[i]);
	return e;
}

static void judge(struct view report, const struct endorsements *e, const char *at,
		  const struct policy *policy, const char *report_data, struct alone_try *ret)
{
	const struct evidence_file file = { "report", report };

	alone_try(&(struct alone_try_in){ .files = &file,
					  .n = 1,
					  .endorsements = e,
					  .at = at,
					  .report_data = report_data,
					  .policy = policy },
		  ret);
}

#define ALLOW_DEBUG "sev-snp: {debug: allow}"

static const struct {
	const char *what, *report, *parts[PARTS], *at, *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of a reason that must be there; NULL: none may be */
} cases[] = {
	/* Every report with its own certificate. */
	{ "v2, Milan, of a debuggable guest, without a policy",
	  "v2-milan-go.report",
	  { "v2-milan-go.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "the same by a policy that does not speak of debugging",
	  "v2-milan-go.report",
	  { "v2-milan-go.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  "sev-snp: {}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.debug",
	  "DEBUG" },
	{ "the same where the policy allows debugging",
	  "v2-milan-go.report",
	  { "v2-milan-go.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  ALLOW_DEBUG,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v2, Milan",
	  "v2-milan-virtee.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v3, Genoa",
	  "v3-genoa-tsm.report",
	  { "v3-genoa-tsm.vcek.der", GENOA },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v3, Genoa, all from the host's certificate table",
	  "v3-genoa-tsm.report",
	  { "v3-genoa-tsm.auxblob" },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v3, Milan",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v3, Milan, VLEK",
	  "v3-milan-vlek-aws.report",
	  { "v3-milan-vlek-aws.vlek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v5, Siena",
	  "v5-genoa-siena.report",
	  { "v5-genoa-siena.vcek.der", GENOA },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "v4, of a chip whose key we do not have",
	  "v4-milan-gce-no-vcek.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },

	/* Among many certificates the right one is found, whatever their order. */
	{ "certificates of other chips before its own",
	  "v3-milan-2026.report",
	  { "v2-milan-go.vcek.der", "v5-genoa-siena.vcek.der", "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },

	/* Times. */
	{ "a VLEK that has expired",
	  "v3-milan-vlek-aws.report",
	  { "v3-milan-vlek-aws.vlek.der", MILAN },
	  "2026-01-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "2025-12-10T22:14:21Z" },
	{ "a VCEK that is not valid yet",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-06-16T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "valid 2026-06-17T01:05:04Z" },
	{ "a VCEK in its last second",
	  "v2-milan-virtee.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2030-04-03T19:23:42Z",
	  NULL,
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "a VCEK after its last second",
	  "v2-milan-virtee.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2030-04-03T19:23:44Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "2030-04-03" },

	/* Certificates that are not its own. */
	{ "no certificate at all",
	  "v3-milan-2026.report",
	  { NULL },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "none" },
	{ "the chain without the key",
	  "v3-milan-2026.report",
	  { MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "none" },
	{ "the key without the chain",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der" },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "ARK-Milan" },
	{ "a VCEK of another chip",
	  "v3-milan-2026.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chip_id",
	  "38d174589d2dff97" },
	{ "a VCEK of another chip and TCB",
	  "v3-milan-2026.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.tcb",
	  "reported: microcode 213" },
	{ "a VCEK of another product",
	  "v3-milan-2026.report",
	  { "v3-genoa-tsm.vcek.der", GENOA, MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.product",
	  "Genoa" },
	{ "a Milan VCEK with Genoa's chain",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", GENOA },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "ARK-Milan" },
	{ "a Genoa VCEK with Turin's chain",
	  "v3-genoa-tsm.report",
	  { "v3-genoa-tsm.vcek.der", TURIN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "ARK-Genoa" },
	{ "a VLEK for a report that a VCEK signed",
	  "v3-milan-2026.report",
	  { "v3-milan-vlek-aws.vlek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "VCEK" },
	{ "a VCEK for a report that a VLEK signed",
	  "v3-milan-vlek-aws.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "VLEK" },
	{ "a VCEK that somebody made",
	  "v2-milan-go.report",
	  { "bad/vcek-fake-legacy.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "signature" },
	{ "a VCEK that somebody made, whatever else it says",
	  "v2-milan-go.report",
	  { "bad/vcek-fake-legacy.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  ALLOW_DEBUG,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },

	/* Revocation lists of the ARK. */
	{ "a list in force, required",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN, NEW_MILAN_CRL },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "a list that names a withdrawn ASK, not this one",
	  "v5-genoa-siena.report",
	  { "v5-genoa-siena.vcek.der", GENOA, NEW_GENOA_CRL },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "no list where one is required",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "revocation list of ARK-Milan" },
	{ "a list of the past where one is required",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN, NEW_MILAN_CRL },
	  "2026-10-05T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "2026-10-04" },
	{ "a list of the future where one is required",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN, NEW_MILAN_CRL },
	  "2026-08-19T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "2026-08-19" },
	{ "another product's list where one is required",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN, NEW_GENOA_CRL },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {crl: require}",
	  EVIDENCE_INVALID,
	  "evidence.chain",
	  "none" },
};

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

		judge(bytes_view(&report), e, cases[i].at, p, NULL, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].seen);
		appraisal_done(&t.a);
	}
}

static void a_list_that_is_not_in_force_is_not_passed_over_in_silence(void **state)
{
	static const char *const parts[PARTS] = { "v3-milan-2026.vcek.der", MILAN, NEW_MILAN_CRL };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct bytes report;
	struct alone_try t;

	(void)state;
	shared_evidence_needed();
	e = endorsed(parts);
	report = shared_evidence(FOLDER, "v3-milan-2026.report");
	judge(bytes_view(&report), e, "2026-10-05T00:00:00Z", NULL, NULL, &t);
	assert_int_equal(t.verdict, EVIDENCE_VALID);
	assert_int_equal(t.a.n, 1);
	assert_true(t.a.reasons[0].warning);
	assert_string_equal(t.a.reasons[0].rule, "evidence.crl");
	assert_non_null(strstr(t.a.reasons[0].seen, "2026-10-04T00:00:00Z"));
	appraisal_done(&t.a);
	bytes_done(&report);
}

/* One report of each version and product, good at a time. */
static const struct {
	const char *report, *key, *chain, *at;
} good[] = {
	{ "v2-milan-virtee.report", "v2-milan-virtee.vcek.der", MILAN, "2025-06-01T00:00:00Z" },
	{ "v3-milan-2026.report", "v3-milan-2026.vcek.der", MILAN, "2026-09-01T00:00:00Z" },
	{ "v3-milan-vlek-aws.report", "v3-milan-vlek-aws.vlek.der", MILAN, "2025-06-01T00:00:00Z" },
	{ "v5-genoa-siena.report", "v5-genoa-siena.vcek.der", GENOA, "2026-09-01T00:00:00Z" },
};

/* Bits apart in a run of every test; all with ASSAY_EVERY_BIT. A prime, so that all places occur.
 */
static size_t step(void)
{
	return getenv("ASSAY_EVERY_BIT") ? 1 : 13;
}

static void a_flipped_bit_is_refused(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *const parts[PARTS] = { good[i].key, good[i].chain };
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(parts);
		CLEANUP(bytes_cleanup) struct bytes r = shared_evidence(FOLDER, good[i].report);
		struct alone_try t;

		judge(bytes_view(&r), e, good[i].at, NULL, NULL, &t);
		assert_int_equal(t.verdict, EVIDENCE_VALID);
		appraisal_done(&t.a);
		/* Signature and what is reserved behind it as well as the signed region. */
		for (size_t bit = 0; bit < 8 * r.len; bit += step()) {
			r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			judge(bytes_view(&r), e, good[i].at, NULL, NULL, &t);
			if (t.verdict != EVIDENCE_INVALID || t.result.signature_good)
				fail_msg("%s: bit %zu of byte 0x%zx", good[i].report, bit % 8,
					 bit / 8);
			appraisal_done(&t.a);
			r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void a_flipped_bit_of_a_certificate_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes report, key, chain;

	(void)state;
	shared_evidence_needed();
	report = shared_evidence(FOLDER, good[1].report);
	key = shared_evidence(FOLDER, good[1].key);
	chain = shared_evidence(FOLDER, good[1].chain);
	for (size_t bit = 0; bit < 8 * key.len; bit += 7 * step()) {
		CLEANUP(endorsements_freep) struct endorsements *e = NULL;
		const char *why;
		struct alone_try t;

		assert_int_equal(endorsements_new(&e), 0);
		assert_int_equal(endorsements_add(e, bytes_view(&chain), &why), 0);
		key.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* It may not even be a certificate any more. */
		if (endorsements_add(e, bytes_view(&key), &why) == -ENOMEM)
			fail();
		judge(bytes_view(&report), e, good[1].at, NULL, NULL, &t);
		if (t.verdict != EVIDENCE_INVALID)
			fail_msg("bit %zu of byte 0x%zx", bit % 8, bit / 8);
		appraisal_done(&t.a);
		key.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The result tells the same values, and the reported TCB as it stands. */
static void the_result_has_the_report_s_values(void **state)
{
	static const char *const parts[PARTS] = { "v3-milan-2026.vcek.der", MILAN };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes report = BYTES_INIT(0);
	json_t *shown;
	Assay__ChipReport chip = ASSAY__CHIP_REPORT__INIT;
	struct alone_try t;

	(void)state;
	shared_evidence_needed();
	e = endorsed(parts);
	report = shared_evidence(FOLDER, "v3-milan-2026.report");
	judge(bytes_view(&report), e, "2026-09-01T00:00:00Z", NULL,
	      "6174746573742d746573742d666978747572652d32303236", &t);
	assert_int_equal(t.verdict, EVIDENCE_VALID);
	assert_string_equal(t.ops->platform, "sev-snp");
	assert_int_equal(t.result.version, 3);
	assert_string_equal(t.result.tcb, "04000000000017d5");
	assert_false(t.result.debug);
	assert_int_equal(t.result.measurement.size, 48);
	assert_int_equal(t.result.measurement.bytes[0], 0x7f);
	assert_int_equal(t.result.report_data_len, 64);
	assert_int_equal(t.result.chip_id[0], 0x38);
	appraisal_done(&t.a);

	judge(bytes_view(&report), e, "2026-09-01T00:00:00Z", NULL, "00", &t);
	assert_int_equal(t.verdict, EVIDENCE_INVALID);
	assert_true(alone_try_refused(&t.a, "evidence.report_data", "6174746573742d"));
	assert_false(t.result.signature_good);
	appraisal_done(&t.a);

	chip.report = (ProtobufCBinaryData){ report.len, report.data };
	assert_int_equal(t.ops->show(&chip, &shown), 0);
	assert_string_equal(json_string_value(json_object_get(shown, "product")), "Milan");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(shown, "reported_tcb"), "raw")),
		"04000000000017d5");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(shown, "reported_tcb"),
							    "microcode")),
			 213);
	json_decref(shown);
	chip.report.len--;
	assert_int_equal(t.ops->show(&chip, &shown), -EBADMSG);
}

static X509 *certificate_of(const struct endorsements *e, const char *common_name)
{
	const struct endorsement *i = NULL;
	char cn[64];

	while ((i = endorsements_next(e, ENDORSEMENT_CERTIFICATE, i))) {
		if (X509_NAME_get_text_by_NID(X509_get_subject_name(i->certificate), NID_commonName,
					      cn, sizeof(cn)) > 0 &&
		    strcmp(cn, common_name) == 0)
			return i->certificate;
	}
	fail_msg("no certificate of %s", common_name);
	return NULL;
}

static int judge_ask(const struct snp_product *p, const struct endorsements *e, const char *at)
{
	STACK_OF(X509) *given = endorsements_certificates(e);
	STACK_OF(X509_CRL) *crls = endorsements_crls(e);
	struct x509_chain c = { .rule = "evidence.chain",
				.what = "ASK",
				.leaf = certificate_of(e, p->ask),
				.given = given,
				.crls = crls,
				.crls_needed = 1,
				.pins = &p->root,
				.n_pins = 1 };
	struct appraisal a;
	int r;

	assert_int_equal(quantity_instant(at, &c.now), 0);
	appraisal_init(&a);
	r = x509_chain_verify(&c, &a, NULL);
	appraisal_done(&a);
	return r;
}

/* Signed by its product's own root, in force from 2026-08-19 to 2026-10-04, and of nobody else. */
static void a_product_s_list_is_its_roots_own(void **state)
{
	static const struct {
		const char *product, *chain, *crl;
		int revoked;
	} rows[] = {
		{ "Milan", MILAN, NEW_MILAN_CRL, 0 },
		{ "Genoa", GENOA, NEW_GENOA_CRL, 1 },
		{ "Turin", TURIN, NEW_TURIN_CRL, 0 },
	};

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct snp_product *p = snp_product_named(rows[i].product);

		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			const char *const parts[PARTS] = { rows[i].chain, rows[k].crl };
			CLEANUP(endorsements_freep) struct endorsements *e = endorsed(parts);
			const struct endorsement *list =
				endorsements_next(e, ENDORSEMENT_CRL, NULL);

			assert_non_null(p);
			assert_non_null(list);
			assert_int_equal(judge_ask(p, e, "2026-09-01T00:00:00Z"), i == k);
			assert_int_equal(judge_ask(p, e, "2026-08-18T00:00:00Z"), 0);
			assert_int_equal(judge_ask(p, e, "2026-10-05T00:00:00Z"), 0);
			if (i == k)
				assert_int_equal(
					sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list->crl)) > 0,
					rows[i].revoked);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_product_s_list_is_its_roots_own),
		cmocka_unit_test(genuine_reports_get_the_verdict_they_deserve),
		cmocka_unit_test(a_list_that_is_not_in_force_is_not_passed_over_in_silence),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_flipped_bit_of_a_certificate_is_refused),
		cmocka_unit_test(the_result_has_the_report_s_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
