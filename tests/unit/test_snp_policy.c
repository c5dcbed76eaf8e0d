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

/* What policies say of genuine reports, which are read in place. */

#define FOLDER "sev-snp"
#define PARTS  4 /* files of endorsements that a case hands in */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define MILAN "certs/milan-ask-ark-asvk.pem"

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

static const struct {
	const char *what, *report, *parts[PARTS], *at, *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of a reason that must be there; NULL: none may be */
} cases[] = {
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

static void the_owner_decides_what_of_the_genuine_is_accepted(void **state)
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

#define PLATFORM "application: a\nplatforms:\n  sev-snp: "
#define AT	 "p:3: platforms.sev-snp."

static const struct {
	const char *what, *text, *problem; /* a part of it */
} wrong[] = {
	{ "a measurement that is too short", PLATFORM "{measurement: [00ff]}\n",
	  AT "measurement[0]: expected 96 hex digits" },
	{ "host data of another size", PLATFORM "{host_data: [00]}\n",
	  AT "host_data[0]: expected 64 hex digits" },
	{ "a VMPL that does not exist", PLATFORM "{vmpl_max: 4}\n",
	  AT "vmpl_max: expected a whole number from 0 to 3" },
	{ "a component that does not fit", PLATFORM "{minimum_tcb: {snp: 256}}\n",
	  AT "minimum_tcb.snp: expected a whole number from 0 to 255" },
	{ "a component that does not exist", PLATFORM "{minimum_tcb: {spl: 1}}\n",
	  AT "minimum_tcb.spl: expected one of the keys" },
	{ "a product that does not exist", PLATFORM "{products: [milan, rome]}\n",
	  AT "products[1]: expected milan, genoa or turin, found \"rome\"" },
	{ "a key that does not exist", PLATFORM "{keys: [vek]}\n", AT "keys[0]: expected vcek" },
	{ "a flag that does not exist", PLATFORM "{platform: {require: [smtp]}}\n",
	  AT "platform.require[0]: expected the name of a flag" },
	{ "a flag of the other structure", PLATFORM "{guest_policy: {deny: [tsme]}}\n",
	  AT "guest_policy.deny[0]: expected the name of a flag" },
	{ "a flag required and denied", PLATFORM "{platform: {require: [smt], deny: [smt]}}\n",
	  AT "platform: expected a flag to be required or denied, found both" },
	{ "debugging perhaps", PLATFORM "{debug: maybe}\n", AT "debug: expected" },
	{ "a key of ours that is none", PLATFORM "{mesurement: []}\n",
	  AT "mesurement: expected one of the keys" },
};

static void wrong_rules_are_refused_with_their_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char *error = NULL;
		struct policy *p;

		if (policy_parse(view_text(wrong[i].text), "p", &p, &error) != -EINVAL ||
		    !strstr(error, wrong[i].problem))
			fail_msg("%s: %s", wrong[i].what, error ? error : "it was read");
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_decides_what_of_the_genuine_is_accepted),
		cmocka_unit_test(wrong_rules_are_refused_with_their_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
