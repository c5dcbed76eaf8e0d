/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/release.h"

/* The table changes a field or two of a case that is good. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define SECOND UINT64_C(1000000000)

static const struct policy_stage after_static = { .stage = 1, .after = POLICY_STATIC };
static const struct policy_stage after_dynamic = { .stage = 2,
						   .after = POLICY_DYNAMIC,
						   .within_ns = 60 * SECOND };

/* A measurement on which stage 1 is released; each case changes one thing. */
#define GOOD                                                                                       \
	.measurement_good = true, .signature_good = true, .channel_good = true,                    \
	.nonce = RELEASE_NONCE_GOOD, .has_channel_key = true, .stage = 1, .kind = POLICY_STATIC,   \
	.run_current = true, .asked = &after_static

/* The same for stage 2 of a run that passed stage 1. */
#define SECOND_STAGE                                                                               \
	.measurement_good = true, .signature_good = true, .channel_good = true,                    \
	.nonce = RELEASE_NONCE_GOOD, .has_channel_key = true, .stage = 2, .kind = POLICY_DYNAMIC,  \
	.run_current = true, .run_passed = 1, .run_delivered = true, .asked = &after_dynamic

static const struct {
	const char *what;
	struct release_input in;
	bool accepted, release, latch;
	const char *rule; /* of the refusal; NULL: none */
} cases[] = {
	{ "stage 1 of a new run", { GOOD }, true, true, false, NULL },
	{ "stage 2 after stage 1", { SECOND_STAGE }, true, true, false, NULL },
	{ "stage 2 at the last moment",
	  { SECOND_STAGE, .since_challenge_ns = 60 * SECOND },
	  true,
	  true,
	  false,
	  NULL },
	{ "a periodic measurement releases nothing",
	  { SECOND_STAGE, .stage = 0, .asked = NULL },
	  true,
	  false,
	  false,
	  NULL },
	{ "a stage whose verdict was lost, measured again",
	  { SECOND_STAGE, .run_passed = 2, .run_delivered = false },
	  true,
	  true,
	  false,
	  NULL },
	{ "measured without a session: judged, and releases nothing",
	  { SECOND_STAGE, .nonce = RELEASE_NONCE_NONE, .stage = 0, .asked = NULL },
	  true,
	  false,
	  false,
	  NULL },
	{ "a latched application is still judged",
	  { SECOND_STAGE, .stage = 0, .asked = NULL, .latched = true },
	  true,
	  false,
	  false,
	  NULL },

	{ "a refused measurement latches",
	  { GOOD, .measurement_good = false },
	  false,
	  false,
	  true,
	  NULL },
	{ "a refused periodic measurement latches",
	  { SECOND_STAGE, .measurement_good = false, .stage = 0, .asked = NULL },
	  false,
	  false,
	  true,
	  NULL },
	{ "a refused measurement without a session latches",
	  { SECOND_STAGE, .measurement_good = false, .nonce = RELEASE_NONCE_NONE, .stage = 0 },
	  false,
	  false,
	  true,
	  NULL },
	{ "what the chip did not sign does not latch",
	  { GOOD, .measurement_good = false, .signature_good = false },
	  false,
	  false,
	  false,
	  NULL },
	{ "what the chip did not sign does not latch without a session",
	  { SECOND_STAGE, .measurement_good = false, .signature_good = false,
	    .nonce = RELEASE_NONCE_NONE, .stage = 0 },
	  false,
	  false,
	  false,
	  NULL },
	{ "a refused measurement without a session that was judged before does not latch",
	  { SECOND_STAGE, .measurement_good = false, .channel_good = false,
	    .nonce = RELEASE_NONCE_NONE, .stage = 0 },
	  false,
	  false,
	  false,
	  NULL },
	{ "a refused measurement with a used nonce does not latch",
	  { GOOD, .measurement_good = false, .nonce = RELEASE_NONCE_USED },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "a refused measurement that may be somebody else's does not latch",
	  { GOOD, .measurement_good = false, .channel_good = false },
	  false,
	  false,
	  false,
	  NULL },
	{ "a refused channel releases nothing and does not latch",
	  { GOOD, .channel_good = false },
	  false,
	  false,
	  false,
	  NULL },
	{ "a stage without a session",
	  { GOOD, .nonce = RELEASE_NONCE_NONE },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "a nonce never issued",
	  { GOOD, .nonce = RELEASE_NONCE_UNKNOWN },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "a used nonce",
	  { GOOD, .nonce = RELEASE_NONCE_USED },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "a replaced nonce",
	  { GOOD, .nonce = RELEASE_NONCE_REPLACED },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "an expired nonce",
	  { GOOD, .nonce = RELEASE_NONCE_EXPIRED },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "the nonce of another session",
	  { GOOD, .nonce = RELEASE_NONCE_OTHER_SESSION },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "the nonce of another application",
	  { GOOD, .nonce = RELEASE_NONCE_OTHER_APPLICATION },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "the nonce of another stage",
	  { GOOD, .nonce = RELEASE_NONCE_OTHER_STAGE },
	  false,
	  false,
	  false,
	  "release.nonce" },
	{ "a latched application",
	  { SECOND_STAGE, .latched = true },
	  false,
	  false,
	  false,
	  "release.latched" },
	{ "no channel key to seal to",
	  { GOOD, .has_channel_key = false },
	  false,
	  false,
	  false,
	  "release.channel_key" },
	{ "a stage that the policy does not have",
	  { GOOD, .stage = 9, .asked = NULL },
	  false,
	  false,
	  true,
	  "release.stage" },
	{ "stage 2 first", { SECOND_STAGE, .run_passed = 0 }, false, false, true, "release.stage" },
	{ "a stage that was delivered, again",
	  { SECOND_STAGE, .run_passed = 2, .run_delivered = true },
	  false,
	  false,
	  true,
	  "release.stage" },
	{ "back to an earlier stage",
	  { GOOD, .run_passed = 3 },
	  false,
	  false,
	  true,
	  "release.stage" },
	{ "a run that a later one replaced",
	  { GOOD, .run_current = false },
	  false,
	  false,
	  true,
	  "release.run" },
	{ "a dynamic measurement where a static one is asked",
	  { GOOD, .kind = POLICY_DYNAMIC },
	  false,
	  false,
	  true,
	  "release.after" },
	{ "a static measurement where a dynamic one is asked",
	  { SECOND_STAGE, .kind = POLICY_STATIC },
	  false,
	  false,
	  true,
	  "release.after" },
	{ "too late",
	  { SECOND_STAGE, .since_challenge_ns = 60 * SECOND + 1 },
	  false,
	  false,
	  true,
	  "release.within" },
};

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct release_decision d = { true, true, true };
		struct appraisal a;

		appraisal_init(&a);
		if (!cases[i].in.measurement_good || !cases[i].in.channel_good)
			appraisal_refuse(&a, "from the appraisal", "", "%s", "");
		release_decide(&cases[i].in, &a, &d);
		if (d.accepted != cases[i].accepted || d.release != cases[i].release ||
		    d.latch != cases[i].latch)
			fail_msg("%s: accepted %d, release %d, latch %d", cases[i].what, d.accepted,
				 d.release, d.latch);
		if (appraisal_accepted(&a) != cases[i].accepted)
			fail_msg("%s: the reasons say another thing", cases[i].what);
		if (cases[i].rule &&
		    (a.n == 0 || strcmp(a.reasons[a.n - 1].rule, cases[i].rule) != 0))
			fail_msg("%s: the rule is not %s", cases[i].what, cases[i].rule);
		appraisal_done(&a);
	}
}

/* Whatever else holds, one condition that does not hold keeps the secret. */
static void no_single_fault_releases(void **state)
{
	const struct release_input good = { SECOND_STAGE };
	struct release_input in;
	struct release_decision d;
	struct appraisal a;

	(void)state;
	for (int nonce = 0; nonce < RELEASE_NONCE_GOOD; nonce++) {
		for (uint32_t passed = 0; passed < 4; passed++) {
			in = good;
			in.nonce = (enum release_nonce)nonce;
			in.run_passed = passed;
			appraisal_init(&a);
			release_decide(&in, &a, &d);
			assert_false(d.release);
			assert_false(d.accepted);
			appraisal_done(&a);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
		cmocka_unit_test(no_single_fault_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
