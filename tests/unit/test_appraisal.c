/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appraisal.h"

enum step { END, PASS, REFUSE, WARN, FINISH };

static const struct {
	const char *what;
	enum step steps[5];
	bool accepted;
} cases[] = {
	{ "nothing was done", { END }, false },
	{ "no check was made", { FINISH }, false },
	{ "all checks held, but there might be more", { PASS, PASS }, false },
	{ "all checks held", { PASS, PASS, FINISH }, true },
	{ "one failed", { PASS, REFUSE, PASS, FINISH }, false },
	{ "the last one failed", { PASS, REFUSE, FINISH }, false },
	{ "a rule that only warns", { PASS, WARN, FINISH }, true },
	{ "a warning, then a failure", { WARN, REFUSE, FINISH }, false },
	{ "a failure, then a warning", { REFUSE, WARN, FINISH }, false },
	{ "a failure found after the end", { PASS, FINISH, REFUSE }, false },
};

static void only_finished_checks_without_failure_are_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct appraisal a;

		appraisal_init(&a);
		assert_false(appraisal_accepted(&a));
		for (const enum step *s = cases[i].steps; *s != END; s++) {
			if (*s == PASS)
				appraisal_pass(&a);
			else if (*s == REFUSE)
				appraisal_refuse(&a, "rule", "expected", "seen");
			else if (*s == WARN)
				appraisal_fail(&a, true, "rule", "expected", "seen");
			else
				appraisal_finish(&a);
		}
		if (appraisal_accepted(&a) != cases[i].accepted)
			fail_msg("%s", cases[i].what);
		appraisal_done(&a);
	}
}

static void a_reason_says_all(void **state)
{
	struct appraisal a;

	appraisal_init(&a);
	appraisal_refuse(&a, "dynamic.listen", "tcp/0.0.0.0:443", "tcp/0.0.0.0:%d", 4444);
	appraisal_fail(&a, true, "dynamic.cpu", "at most 1.8", "%s", "2.0");
	appraisal_fail(&a, false, "dynamic.disk", "at most 1", "2");
	assert_int_equal(a.n, 3);
	assert_int_equal(a.checks, 3);
	assert_string_equal(a.reasons[0].rule, "dynamic.listen");
	assert_string_equal(a.reasons[0].expected, "tcp/0.0.0.0:443");
	assert_string_equal(a.reasons[0].seen, "tcp/0.0.0.0:4444");
	assert_false(a.reasons[0].warning);
	assert_true(a.reasons[1].warning);
	assert_false(a.reasons[2].warning);
	appraisal_done(&a);
	assert_int_equal(a.n, 0);
	assert_false(appraisal_accepted(&a));
}

static void long_texts_are_cut(void **state)
{
	struct appraisal a;
	char text[4096];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	appraisal_init(&a);
	appraisal_refuse(&a, text, text, "%s", text);
	assert_int_equal(strlen(a.reasons[0].rule), APPRAISAL_RULE_MAX - 1);
	assert_int_equal(strlen(a.reasons[0].expected), APPRAISAL_TEXT_MAX - 1);
	assert_int_equal(strlen(a.reasons[0].seen), APPRAISAL_TEXT_MAX - 1);
	appraisal_done(&a);
}

static void the_65th_reason_still_refuses(void **state)
{
	struct appraisal a;

	appraisal_init(&a);
	for (int i = 0; i < APPRAISAL_REASONS_MAX + 1; i++)
		appraisal_refuse(&a, "rule", "expected", "%d", i);
	appraisal_finish(&a);
	assert_int_equal(a.n, APPRAISAL_REASONS_MAX);
	assert_int_equal(a.uncounted, 1);
	assert_int_equal(a.checks, APPRAISAL_REASONS_MAX + 1);
	assert_string_equal(a.reasons[63].seen, "63");
	assert_false(appraisal_accepted(&a));
	appraisal_done(&a);
}

static void warnings_cannot_crowd_out_a_refusal(void **state)
{
	struct appraisal a;

	appraisal_init(&a);
	for (int i = 0; i < APPRAISAL_REASONS_MAX + 1; i++)
		appraisal_fail(&a, true, "rule", "expected", "%d", i);
	assert_int_equal(a.uncounted, 1);
	appraisal_pass(&a);
	appraisal_finish(&a);
	assert_true(appraisal_accepted(&a));

	appraisal_refuse(&a, "dynamic.code", "expected", "seen");
	assert_false(appraisal_accepted(&a));
	assert_int_equal(a.uncounted, 2);
	assert_string_equal(a.reasons[63].rule, "dynamic.code");
	assert_false(a.reasons[63].warning);
	appraisal_refuse(&a, "dynamic.disk", "expected", "seen");
	assert_string_equal(a.reasons[62].rule, "dynamic.disk");
	appraisal_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_finished_checks_without_failure_are_accepted),
		cmocka_unit_test(a_reason_says_all),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(the_65th_reason_still_refuses),
		cmocka_unit_test(warnings_cannot_crowd_out_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
