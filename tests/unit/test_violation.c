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
#include "policy.h"
#include "violation.h"

static const uint8_t run_id[RUN_ID_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void an_entry_says_what_it_is(void **state)
{
	struct digest entry;
	struct violation v;

	(void)state;
	for (uint8_t kind = 1; kind < VIOLATION_KINDS; kind++) {
		assert_int_equal(violation_entry(kind, "payroll", run_id, &entry), 0);
		assert_int_equal(entry.size, VIOLATION_ENTRY_SIZE);
		assert_true(violation_read(digest_view(&entry), &v));
		assert_int_equal(v.kind, kind);
		assert_memory_equal(v.run, run_id, sizeof(v.run));
		assert_true(violation_is_of(&v, "payroll"));
		assert_false(violation_is_of(&v, "payroll2"));
		assert_false(violation_is_of(&v, ""));
		assert_string_not_equal(violation_name(kind), "unknown");
	}
	assert_int_equal(violation_entry(0, "payroll", run_id, &entry), -EINVAL);
	assert_int_equal(violation_entry(VIOLATION_KINDS, "payroll", run_id, &entry), -EINVAL);
	assert_string_equal(violation_name(0), "unknown");
	assert_string_equal(violation_name(250), "unknown");
}

/* A measurement's entry is none; one of a kind that is not known yet is one. */
static void other_entries_are_none(void **state)
{
	struct digest m, entry;
	struct violation v;

	(void)state;
	assert_int_equal(digest_of(HASH_SHA256, view_text("assay!v1"), &m), 0);
	assert_false(violation_read(digest_view(&m), &v));
	assert_int_equal(violation_entry(VIOLATION_LOST, "web", run_id, &entry), 0);
	assert_false(violation_read(view_of(entry.bytes, 31), &v));
	entry.bytes[8] = 77;
	assert_true(violation_read(digest_view(&entry), &v));
	entry.bytes[7] ^= 1;
	assert_false(violation_read(digest_view(&entry), &v));
}

static const struct {
	const char *dynamic;
	enum policy_answer foreign, text, file, lost;
} cases[] = {
	{ "", POLICY_SILENT, POLICY_SILENT, POLICY_SILENT, POLICY_SILENT },
	{ "dynamic:\n"
	  "  kernel: {foreign_access: deny, file_changed: warn, lost: {max: 0}}\n"
	  "  code: {modified_text: deny}\n",
	  POLICY_DENIES, POLICY_DENIES, POLICY_WARNS, POLICY_DENIES },
	{ "dynamic:\n"
	  "  kernel: {mode: warn, foreign_access: deny, file_changed: deny, lost: {max: 0}}\n"
	  "  code: {modified_text: allow}\n",
	  POLICY_WARNS, POLICY_SILENT, POLICY_WARNS, POLICY_WARNS },
	{ "dynamic:\n"
	  "  kernel: {foreign_access: allow, lost: {max: 5}}\n"
	  "  code: {mode: warn, modified_text: deny}\n",
	  POLICY_SILENT, POLICY_WARNS, POLICY_SILENT, POLICY_SILENT },
};

static void the_policy_thinks_of_it_as_of_mi(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_mem) char *error = NULL;
		struct policy *p = NULL;
		char text[512];

		snprintf(text, sizeof(text),
			 "application: web\nversion: 1\nplatforms: {soft: {}}\n%s", cases[i].dynamic);
		if (policy_parse(view_text(text), "p", &p, &error) < 0)
			fail_msg("%zu: %s", i, error);
		assert_int_equal(policy_on_violation(p, VIOLATION_FOREIGN_ACCESS, 0), cases[i].foreign);
		assert_int_equal(policy_on_violation(p, VIOLATION_MODIFIED_TEXT, 0), cases[i].text);
		assert_int_equal(policy_on_violation(p, VIOLATION_FILE_CHANGED, 0), cases[i].file);
		assert_int_equal(policy_on_violation(p, VIOLATION_LOST, 0), cases[i].lost);
		/* What a later assayd notices this verifier cannot weigh. */
		assert_int_equal(policy_on_violation(p, 99, 0), POLICY_DENIES);
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_says_what_it_is),
		cmocka_unit_test(other_entries_are_none),
		cmocka_unit_test(the_policy_thinks_of_it_as_of_mi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
