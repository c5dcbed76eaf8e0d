/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "yamldoc.h"

struct item {
	char *a;
	int colour;
};

struct top {
	char *name;
	struct item *items;
	uint32_t n_items;
};

static const cyaml_strval_t colours[] = { { "red", 1 }, { "green", 2 } };

static const cyaml_schema_field_t item_fields[] = {
	CYAML_FIELD_STRING_PTR("a", CYAML_FLAG_POINTER, struct item, a, 1, 8),
	CYAML_FIELD_ENUM("colour", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct item, colour,
			 colours, 2),
	CYAML_FIELD_IGNORE("any", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t item_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT,
								     struct item, item_fields) };

static const cyaml_schema_field_t top_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct top, name, 1, 8),
	CYAML_FIELD_SEQUENCE_COUNT("items", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct top,
				   items, n_items, &item_value, 1, 3),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t top_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct top,
								    top_fields) };

static const struct {
	const char *what, *text, *problems;
} cases[] = {
	{ "a sound text", "name: x\nitems: [{a: 1, colour: red, any: {1: [2]}}]\n", "" },
	{ "an empty text", "", "t:1: expected a mapping, found an empty text\n" },
	{ "a list at the top", "- name\n", "t:1: expected a mapping, found another value\n" },
	{ "a missing key", "items: [{a: 1}]\n", "t:1: name: expected this key, found nothing\n" },
	{ "an unknown key", "name: x\nnmae: y\n",
	  "t:2: nmae: expected one of the keys name, items, found \"nmae\"\n" },
	{ "every problem, each in its line",
	  "name: [x]\nitems:\n  - {a: 1, colour: blue}\n  - {b: 1}\n  - 7\n",
	  "t:1: name: expected text, found a list\n"
	  "t:3: items[0].colour: expected one of red, green, found \"blue\"\n"
	  "t:4: items[1].b: expected one of the keys a, colour, any, found \"b\"\n"
	  "t:4: items[1].a: expected this key, found nothing\n"
	  "t:5: items[2]: expected a mapping, found \"7\"\n" },
	{ "too many entries", "name: x\nitems:\n- {a: 1}\n- {a: 1}\n- {a: 1}\n- {a: 1}\n",
	  "t:6: items: expected at most 3 entries, found more\n" },
	{ "too few entries", "name: x\nitems: []\n",
	  "t:2: items: expected at least 1 entries, found 0\n" },
	{ "a text too long", "name: 123456789\n",
	  "t:1: name: expected at most 8 bytes, found 9\n" },
	{ "a key without a value", "name:\n", "t:1: name: expected text, found nothing\n" },
	{ "a key twice", "name: x\nname: y\n",
	  "t:2: name: expected each key once, found it a second time\n" },
	{ "a key twice where the schema does not look",
	  "name: x\nitems:\n- a: 1\n  any:\n    b: 1\n    c: 1\n    b: 2\n",
	  "t:7: b: expected each key once, found it a second time\n" },
	{ "an anchor", "name: &n x\n", "t:1: expected no anchors, found \"&n\"\n" },
	{ "an alias", "name: *n\n", "t:1: expected no aliases, found \"*n\"\n" },
	{ "a tag", "name: !!str x\n", "t:1: expected no tags, found \"tag:yaml.org,2002:str\"\n" },
	{ "two documents", "name: x\n---\nname: y\n",
	  "t:2: expected one document, found another\n" },
	{ "a list as a key", "name: x\n? [a]\n: 1\n",
	  "t:2: expected text as a key, found a list\n" },
	{ "a zero byte in a text", "name: \"a\\0b\"\n",
	  "t:1: expected text of at most 16384 bytes without a zero byte, found another\n" },
	{ "no YAML", "name: x\n  items: [\n",
	  "t:2: expected YAML, found: mapping values are not allowed in this context\n" },
	{ "too deep", "name: [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\n",
	  "t:1: expected at most 16 levels, found more\n" },
	{ "a control character is not shown", "name: x\n\"\\e[2J\": y\n",
	  "t:2: ?[2J: expected one of the keys name, items, found \"?[2J\"\n" },
};

static void problems_have_line_path_and_expectation(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct top *top = NULL;
		struct yamldoc *d;
		char *problems;
		int r;

		assert_int_equal(yamldoc_open(view_text(cases[i].text), 4096, "t", &d), 0);
		r = yamldoc_load(d, &top_value, &top);
		problems = yamldoc_take_problems(d);
		if (strcmp(problems, cases[i].problems) != 0)
			fail_msg("%s:\n%s", cases[i].what, problems);
		assert_int_equal(r, *problems ? -EINVAL : 0);
		assert_true((r == 0) == (top != NULL));
		yamldoc_unload(&top_value, top);
		yamldoc_free(d);
		free(problems);
	}
}

static void a_text_past_the_maximum_is_not_read(void **state)
{
	struct yamldoc *d;
	char *problems;

	(void)state;
	assert_int_equal(yamldoc_open(view_text("name: x"), 6, "t", &d), 0);
	assert_int_equal(yamldoc_verdict(d), -EINVAL);
	problems = yamldoc_take_problems(d);
	assert_string_equal(problems, "t:1: expected a text of at most 6 bytes, found 7\n");
	assert_null(yamldoc_find(d, "name"));
	free(problems);
	yamldoc_free(d);
}

static void values_are_found_by_path(void **state)
{
	static const char text[] = "name: x\nitems:\n- {a: 1}\n- {a: 2, any: {k: [u, v]}}\n";
	struct yamldoc *d;
	char *problems;

	(void)state;
	assert_int_equal(yamldoc_open(view_text(text), 4096, "t", &d), 0);
	assert_string_equal(yamldoc_text(yamldoc_find(d, "items[1].any.k[1]")), "v");
	assert_null(yamldoc_find(d, "items[2].a"));
	assert_null(yamldoc_find(d, "items.a"));
	assert_null(yamldoc_find(d, "name.a"));
	assert_null(yamldoc_find(d, "items[1]..a"));
	yamldoc_problem(d, "items[1].any.missing", "expected %s", "more");
	assert_int_equal(yamldoc_verdict(d), -EINVAL);
	problems = yamldoc_take_problems(d);
	assert_string_equal(problems, "t:4: items[1].any.missing: expected more\n");
	free(problems);
	yamldoc_free(d);
}

static void problems_past_the_maximum_are_counted(void **state)
{
	struct yamldoc *d;
	char *problems;

	(void)state;
	assert_int_equal(yamldoc_open(view_text("name: x"), 4096, "t", &d), 0);
	for (int i = 0; i < YAMLDOC_PROBLEMS_MAX + 5; i++)
		yamldoc_problem(d, "name", "number %d", i);
	problems = yamldoc_take_problems(d);
	assert_non_null(strstr(problems, "number 31\n"));
	assert_null(strstr(problems, "number 32\n"));
	assert_non_null(strstr(problems, "t: and 5 more\n"));
	free(problems);
	yamldoc_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_have_line_path_and_expectation),
		cmocka_unit_test(a_text_past_the_maximum_is_not_read),
		cmocka_unit_test(values_are_found_by_path),
		cmocka_unit_test(problems_past_the_maximum_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
