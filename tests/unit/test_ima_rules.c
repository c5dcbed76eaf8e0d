/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ima_log.h"
#include "verifier/ima_rules.h"

/* Two violations: entries that need no hash to be right, so that lists can be written down. */
#define ZERO_LINE                                                                                  \
	"10 0000000000000000000000000000000000000000 ima-ng sha1:"                                 \
	"0000000000000000000000000000000000000000 /x\n"
#define BROKEN_LINE "10 11 ima-ng sha1:00 /x\n"

enum quote { OF_NONE, OF_ONE, OF_TWO, OF_OTHER, NOT_QUOTED };

#define REQUIRE                                                                                    \
	{                                                                                          \
		.log = POLICY_IMA_REQUIRE, .violations = POLICY_IMA_ALLOW                          \
	}

static const struct {
	const char *what, *log;
	bool asked; /* the policy speaks of it */
	struct policy_ima policy;
	enum quote quote;
	int held;
	const char *rule; /* of the first reason; NULL: none */
	bool warning;
	size_t proven, entries;
} cases[] = {
	{ "no list, none asked for", "", false, { 0 }, OF_NONE, 1, NULL, false, 0, 0 },
	{ "no list where one must be", "", true, REQUIRE, OF_NONE, 0, "platforms.tpm.ima.log",
	  false, 0, 0 },
	{ "a list whose PCR is not quoted",
	  ZERO_LINE,
	  false,
	  { 0 },
	  NOT_QUOTED,
	  1,
	  "evidence.ima",
	  true,
	  0,
	  0 },
	{ "a list that must be proven and is not", ZERO_LINE, true, REQUIRE, NOT_QUOTED, 0,
	  "evidence.ima", false, 0, 0 },
	{ "the whole list", ZERO_LINE ZERO_LINE, true, REQUIRE, OF_TWO, 1, NULL, false, 2, 2 },
	{ "a list that went on", ZERO_LINE ZERO_LINE, true, REQUIRE, OF_ONE, 1, NULL, false, 1, 2 },
	{ "a list of something else",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_OTHER,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  1 },
	{ "a list without its end",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_TWO,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  1 },
	{ "a broken list",
	  ZERO_LINE BROKEN_LINE,
	  false,
	  { 0 },
	  OF_ONE,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  0 },
	{ "a violation, nothing said",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_ONE,
	  1,
	  "platforms.tpm.ima.violations",
	  true,
	  1,
	  1 },
	{ "a violation, denied",
	  ZERO_LINE,
	  true,
	  { .violations = POLICY_IMA_DENY },
	  OF_ONE,
	  0,
	  "platforms.tpm.ima.violations",
	  false,
	  1,
	  1 },
};

static struct digest quoted(enum quote quote)
{
	struct digest d = digest_zero(HASH_SHA256);
	uint8_t ones[32];

	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < (quote == OF_TWO ? 2 : quote == OF_ONE ? 1 : 0); i++)
		assert_int_equal(digest_extend(&d, view_of(ones, sizeof(ones))), 0);
	if (quote == OF_OTHER)
		d.bytes[0] ^= 1;
	return d;
}

static void lists_are_judged_as_the_policy_asks(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct evidence_result result = { .bank = HASH_SHA256 };
		struct appraisal a;
		int r;

		appraisal_init(&a);
		result.pcrs[IMA_PCR] = quoted(cases[i].quote);
		result.pcrs_quoted = cases[i].quote == NOT_QUOTED ? 0xff : 1u << IMA_PCR;
		r = ima_rules_judge(cases[i].asked ? &cases[i].policy : NULL,
				    view_text(cases[i].log), &result, &a);
		if (r != cases[i].held || (a.n > 0) != (cases[i].rule != NULL))
			fail_msg("%s: %d, %zu reasons", cases[i].what, r, a.n);
		if (a.n > 0 && (strcmp(a.reasons[0].rule, cases[i].rule) != 0 ||
				a.reasons[0].warning != cases[i].warning))
			fail_msg("%s: %s", cases[i].what, a.reasons[0].rule);
		if (result.ima.proven != cases[i].proven || result.ima.entries != cases[i].entries)
			fail_msg("%s: %zu of %zu", cases[i].what, result.ima.proven,
				 result.ima.entries);
		appraisal_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_judged_as_the_policy_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
