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
#include "evidence.h"
#include "quantity.h"
#include "tests/support/shared_evidence.h"

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

static int64_t instant(const char *text)
{
	int64_t t;

	assert_int_equal(quantity_instant(text, &t), 0);
	return t;
}

static struct endorsements *endorsed(const char *const parts[PARTS])
{
	struct endorsements *e;
	const char *why = "";

	assert_int_equal(endorsements_new(&e), 0);
	for (size_t i = 0; i < PARTS && parts[i]; i++) {
		struct bytes part = shared_evidence(FOLDER, parts[i]);

		if (endorsements_add(e, bytes_view(&part), &why) != 0)
			fail_msg("%s: %s", parts[i], why);
		bytes_done(&part);
	}
	return e;
}

static struct policy *policy_of(const char *rules)
{
	char text[2048], *error = NULL;
	struct policy *p = NULL;

	if (!rules)
		return NULL;
	snprintf(text, sizeof(text), "application: a\nplatforms: {%s}\n", rules);
	if (policy_parse(view_text(text), "p", &p, &error) != 0)
		fail_msg("%s", error);
	return p;
}

struct trial {
	struct appraisal a;
	struct evidence_result result;
	struct evidence_found found;
	enum evidence_verdict verdict;
};

/* The caller ends t->a with appraisal_done. */
static void judge(struct view report, const struct endorsements *e, const char *at,
		  const struct policy *policy, const char *report_data, struct trial *t)
{
	CLEANUP(bytes_cleanup) struct bytes data = BYTES_INIT(64);
	const struct evidence_file file = { "report", report };
	struct evidence_alone in = { .files = &file,
				     .n_files = 1,
				     .endorsements = e,
				     .now = instant(at),
				     .policy = policy };
	struct arena *arena;

	if (report_data) {
		assert_int_equal(hex_decode(report_data, strlen(report_data), &data), 0);
		in.report_data = bytes_view(&data);
	}
	appraisal_init(&t->a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(evidence_appraise(&in, arena, &t->a, &t->found, &t->result), 0);
	t->verdict = evidence_verdict(&t->a);
	arena_free(arena);
}

static bool has_reason(const struct appraisal *a, const char *rule, const char *seen)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!a->reasons[i].warning && strcmp(a->reasons[i].rule, rule) == 0 &&
		    (strstr(a->reasons[i].seen, seen) || strstr(a->reasons[i].expected, seen)))
			return true;
	}
	return false;
}

static void print_reasons(const struct appraisal *a)
{
	for (size_t i = 0; i < a->n; i++)
		print_message("  %s: expected %s, saw %s%s\n", a->reasons[i].rule,
			      a->reasons[i].expected, a->reasons[i].seen,
			      a->reasons[i].warning ? " (warning)" : "");
}

#define ALLOW_DEBUG "sev-snp: {debug: allow}"

static const struct {
	const char *what, *report, *parts[PARTS], *at, *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of a reason that must be there; NULL: none may be */
} cases[] = {
	/* Every report with its own certificate. */
	{ "v2, Milan, of a debuggable guest, by default",
	  "v2-milan-go.report",
	  { "v2-milan-go.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  NULL,
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

	/* What the policy accepts of a genuine report. */
	{ "a platform that the policy does not name",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "tpm: {}",
	  EVIDENCE_POLICY,
	  "platforms",
	  "sev-snp" },
	{ "the measurement that is listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {measurement: "
	  "[7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639"
	  "771d6f05d]}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "a measurement that is not listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {measurement: "
	  "[8f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639"
	  "771d6f05d]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.measurement",
	  "7f51e17f" },
	{ "host data that are not listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {host_data: "
	  "[0000000000000000000000000000000000000000000000000000000000000000]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.host_data",
	  "783f0057" },
	{ "an id key where there was none",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {id_key_digest: "
	  "[8f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639"
	  "771d6f05d]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.id_key_digest",
	  "000000" },
	{ "an author key where the firmware says there is none",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {author_key_digest: "
	  "[000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0"
	  "00000000]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.author_key_digest",
	  "without" },
	{ "a VMPL above the greatest",
	  "v3-milan-vlek-aws.report",
	  { "v3-milan-vlek-aws.vlek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  "sev-snp: {vmpl_max: 0}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.vmpl_max",
	  "1" },
	{ "a provider's key where a chip's is asked for",
	  "v3-milan-vlek-aws.report",
	  { "v3-milan-vlek-aws.vlek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  "sev-snp: {keys: [vcek]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.keys",
	  "vlek" },
	{ "a product that is not listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {products: [genoa, turin]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.products",
	  "Milan" },
	{ "a product that is listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {products: [genoa, milan]}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "the least TCB",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {minimum_tcb: {bootloader: 4, tee: 0, snp: 23, microcode: 213, fmc: 9}}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "a boot loader that is too old",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {minimum_tcb: {bootloader: 5}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb",
	  "4 in the reported TCB" },
	{ "a TEE that is too old",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {minimum_tcb: {tee: 1}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb",
	  "0 in the reported TCB" },
	{ "SNP firmware that is too old",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {minimum_tcb: {snp: 24}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb",
	  "23 in the reported TCB" },
	{ "microcode that is too old, although the boot loader is new",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {minimum_tcb: {bootloader: 1, microcode: 214}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb",
	  "213 in the reported TCB" },
	{ "a platform that did not check for aliased memory",
	  "v2-milan-virtee.report",
	  { "v2-milan-virtee.vcek.der", MILAN },
	  "2025-06-01T00:00:00Z",
	  "sev-snp: {platform: {require: [alias_check]}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.platform",
	  "alias_check is not set" },
	{ "a platform that did",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {platform: {require: [alias_check, ecc], deny: [tio]}}",
	  EVIDENCE_VALID,
	  NULL,
	  NULL },
	{ "SMT on the platform",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {platform: {deny: [smt]}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.platform",
	  "smt is set" },
	{ "SMT in the guest's policy",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {guest_policy: {deny: [smt]}}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.guest_policy",
	  "smt is set" },
	{ "a guest that is older than it may be",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {guest_svn_min: 1}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.guest_svn_min",
	  "0" },
	{ "another machine than the one that is listed",
	  "v3-milan-2026.report",
	  { "v3-milan-2026.vcek.der", MILAN },
	  "2026-09-01T00:00:00Z",
	  "sev-snp: {chip_id: "
	  "[3ac3fe21e13fb0990eb28a802e3fb6a29483a6b0753590c951bdd3b8e53786184ca39e359669a2b76a19367"
	  "76b564ea464cdce40c05f63c9b610c5068b006b5d]}",
	  EVIDENCE_POLICY,
	  "platforms.sev-snp.chip_id",
	  "38d17458" },
};

static void genuine_reports_get_the_verdict_they_deserve(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(cases[i].parts);
		CLEANUP(policy_freep) struct policy *p = policy_of(cases[i].policy);
		CLEANUP(bytes_cleanup)
		struct bytes report = shared_evidence(FOLDER, cases[i].report);
		struct trial t;

		judge(bytes_view(&report), e, cases[i].at, p, NULL, &t);
		if (t.verdict != cases[i].verdict ||
		    (cases[i].rule && !has_reason(&t.a, cases[i].rule, cases[i].seen)) ||
		    (!cases[i].rule && t.a.n > 0) ||
		    t.result.signature_good != (cases[i].verdict != EVIDENCE_INVALID)) {
			print_reasons(&t.a);
			fail_msg("%s: %s", cases[i].what, evidence_verdict_name(t.verdict));
		}
		appraisal_done(&t.a);
	}
}

static void a_list_that_is_not_in_force_is_not_passed_over_in_silence(void **state)
{
	static const char *const parts[PARTS] = { "v3-milan-2026.vcek.der", MILAN, NEW_MILAN_CRL };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct bytes report;
	struct trial t;

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
		struct trial t;

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
		struct trial t;

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
	struct trial t;

	(void)state;
	shared_evidence_needed();
	e = endorsed(parts);
	report = shared_evidence(FOLDER, "v3-milan-2026.report");
	judge(bytes_view(&report), e, "2026-09-01T00:00:00Z", NULL,
	      "6174746573742d746573742d666978747572652d32303236", &t);
	assert_int_equal(t.verdict, EVIDENCE_VALID);
	assert_string_equal(t.found.ops->platform, "sev-snp");
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
	assert_true(has_reason(&t.a, "evidence.report_data", "6174746573742d"));
	assert_false(t.result.signature_good);
	appraisal_done(&t.a);

	chip.report = (ProtobufCBinaryData){ report.len, report.data };
	assert_int_equal(t.found.ops->show(&chip, &shown), 0);
	assert_string_equal(json_string_value(json_object_get(shown, "product")), "Milan");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(shown, "reported_tcb"), "raw")),
		"04000000000017d5");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(shown, "reported_tcb"),
							    "microcode")),
			 213);
	json_decref(shown);
	chip.report.len--;
	assert_int_equal(t.found.ops->show(&chip, &shown), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_reports_get_the_verdict_they_deserve),
		cmocka_unit_test(a_list_that_is_not_in_force_is_not_passed_over_in_silence),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_flipped_bit_of_a_certificate_is_refused),
		cmocka_unit_test(the_result_has_the_report_s_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
