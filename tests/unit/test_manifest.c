/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "manifest_entries.h"

static const struct {
	const char *path;
	bool valid;
} paths[] = {
	{ "/", true },	  { "/a", true },    { "/a/b", true },	   { "/.a", true },
	{ "", false },	  { "a", false },    { "./a", false },	   { "//", false },
	{ "/a/", false }, { "//a", false },  { "/a//b", false },   { "/.", false },
	{ "/..", false }, { "/a/.", false }, { "/a/../b", false }, { "/./a", false },
};

static void only_plain_absolute_paths_are_taken(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		CLEANUP(manifest_done) struct manifest m = { 0 };
		struct manifest_entry e = plain_entry(paths[i].path, MANIFEST_DIR);

		if (manifest_add(&m, &e) != (paths[i].valid ? 0 : -EINVAL))
			fail_msg("%s", paths[i].path);
	}
}

static void sorting_drops_repetition_and_refuses_contradiction(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 }, two = { 0 };

	add(&m, file("/b", SHA_A));
	add(&m, file("/a", SHA_A));
	add(&m, file("/b", SHA_A));
	add(&m, file("/b", SHA_A));
	assert_int_equal(manifest_sort(&m), 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(m.entries[0].path, "/a");
	assert_string_equal(m.entries[1].path, "/b");

	add(&two, file("/a", SHA_A));
	add(&two, file("/a", SHA_B));
	assert_int_equal(manifest_sort(&two), -EEXIST);
}

struct seen {
	char text[512];
};

static void note(void *arg, const struct manifest_entry *left, const struct manifest_entry *right,
		 const char *what)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s|%s|%s ", left ? left->path : "-",
		 right ? right->path : "-", what);
}

static void every_difference_is_named(void **state)
{
	CLEANUP(manifest_done) struct manifest left = { 0 }, right = { 0 };
	struct seen seen = { "" };
	struct manifest_entry e;

	add(&left, plain_entry("/", MANIFEST_DIR));
	add(&right, plain_entry("/", MANIFEST_DIR));
	add(&left, file("/a-only-left", SHA_A));
	add(&left, file("/b-digest", SHA_A));
	add(&right, file("/b-digest", SHA_B));
	add(&right, file("/c-only-right", SHA_A));
	add(&left, link_to("/d-link", "x"));
	add(&right, link_to("/d-link", "y"));
	add(&left, file("/e-type", SHA_A));
	add(&right, plain_entry("/e-type", MANIFEST_DIR));
	e = file("/f-mode", SHA_A);
	add(&left, e);
	e.mode = 04755;
	add(&right, e);
	e = file("/g-uid", SHA_A);
	add(&left, e);
	e.uid = 1;
	add(&right, e);
	e = file("/h-gid", SHA_A);
	add(&left, e);
	e.gid = 1;
	add(&right, e);
	e = file("/i-size", SHA_A);
	add(&left, e);
	e.size++;
	add(&right, e);
	add(&left, file("/z-same", SHA_A));
	add(&right, file("/z-same", SHA_A));

	assert_int_equal(manifest_compare(&left, &right, note, &seen), 9);
	assert_string_equal(seen.text,
			    "/a-only-left|-|path /b-digest|/b-digest|sha256 -|/c-only-right|path "
			    "/d-link|/d-link|link /e-type|/e-type|type /f-mode|/f-mode|mode "
			    "/g-uid|/g-uid|uid /h-gid|/h-gid|gid /i-size|/i-size|size ");
	assert_int_equal(manifest_compare(&left, &left, note, &seen), 0);
}

static void entries_are_found_by_path(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };

	assert_null(manifest_find(&m, "/a"));
	for (char c = 'a'; c <= 'z'; c++) {
		char path[] = { '/', c, '\0' };

		add(&m, file(path, SHA_A));
	}
	assert_int_equal(manifest_sort(&m), 0);
	assert_string_equal(manifest_find(&m, "/a")->path, "/a");
	assert_string_equal(manifest_find(&m, "/z")->path, "/z");
	assert_null(manifest_find(&m, "/zz"));
	assert_null(manifest_find(&m, "/"));
	assert_null(manifest_find(&m, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_plain_absolute_paths_are_taken),
		cmocka_unit_test(sorting_drops_repetition_and_refuses_contradiction),
		cmocka_unit_test(every_difference_is_named),
		cmocka_unit_test(entries_are_found_by_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
