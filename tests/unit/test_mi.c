/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "mi.h"

CLEANUP_FUNCTION(struct mi *, mi_free)

static const struct {
	const char *what, *text, *escaped;
} texts[] = {
	{ "nothing", "", "" },
	{ "ASCII, with control bytes", "a\n\x1b\x7f", "a\n\x1b\x7f" },
	{ "two bytes", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "three bytes", "\xe2\x82\xac", "\xe2\x82\xac" },
	{ "four bytes, the last code point", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	{ "past the last code point", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "a byte that never stands in UTF-8",
	  "a\xff"
	  "b",
	  "a\\xffb" },
	{ "a continuation without a start", "\x80", "\\x80" },
	{ "a sequence cut by the end", "\xe2\x82", "\\xe2\\x82" },
	{ "a sequence cut by a letter", "\xc3z", "\\xc3z" },
	{ "a letter in a longer form", "\xc1\x81", "\\xc1\\x81" },
	{ "a slash in a longer form", "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
	{ "a slash in four bytes", "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf" },
	{ "half a surrogate pair", "\xed\xa0\x80", "\\xed\\xa0\\x80" },
	{ "good after bad", "\xff\xc3\xbc", "\\xff\xc3\xbc" },
};

static void text_is_always_utf8(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;

	assert_int_equal(mi_new(&mi), 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *to;

		assert_int_equal(mi_text(mi, texts[i].text, &to), 0);
		if (strcmp(to, texts[i].escaped) != 0)
			fail_msg("%s: %s", texts[i].what, to);
		assert_int_equal(mi_printf(mi, &to, "%s:%d", texts[i].text, 7), 0);
		if (strncmp(to, texts[i].escaped, strlen(texts[i].escaped)) != 0)
			fail_msg("printf: %s: %s", texts[i].what, to);
	}
}

static void pushed_items_keep_their_order(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	Assay__Mi *m;

	assert_int_equal(mi_new(&mi), 0);
	m = mi->msg;
	for (uint32_t i = 0; i < 1000; i++) {
		Assay__Process *p = MI_MESSAGE(mi, Assay__Process, assay__process__init);

		assert_non_null(p);
		p->pid = i;
		assert_int_equal(mi_push(mi, &m->n_processes, &m->processes, p), 0);
	}
	assert_int_equal(m->n_processes, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(m->processes[i]->pid, i);
	/* MI_MESSAGE's NULL goes straight in: the failure is not lost. */
	assert_int_equal(mi_push(mi, &m->n_processes, &m->processes, NULL), -ENOMEM);
	assert_int_equal(m->n_processes, 1000);
}

static void a_file_is_in_the_table_once(void **state)
{
	static const struct {
		uint64_t device, inode;
		const char *path;
		uint32_t index;
	} files[] = {
		{ 1, 2, "/a", 1 }, { 1, 2, "/b", 2 },	 { 1, 3, "/a", 3 },    { 2, 2, "/a", 4 },
		{ 1, 2, "/a", 1 }, { 1, 9, "/\xff", 5 }, { 1, 9, "/\xff", 5 }, { 1, 2, "/b", 2 },
	};
	CLEANUP(mi_freep) struct mi *mi = NULL;
	Assay__File *f;
	uint32_t index;

	assert_int_equal(mi_new(&mi), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			assert_int_equal(mi_file(mi, files[i].device, files[i].inode, files[i].path,
						 &index, &f),
					 0);
			assert_int_equal(index, files[i].index);
			assert_ptr_equal(f, mi->msg->files[index - 1]);
			assert_int_equal(f->inode, files[i].inode);
		}
		assert_int_equal(mi->msg->n_files, 5);
		assert_string_equal(mi->msg->files[4]->path, "/\\xff");
		/* The next node's table is empty. */
		assert_int_equal(mi_reset(mi), 0);
		assert_int_equal(mi->msg->n_files, 0);
	}
}

static void many_files_are_found_again(void **state)
{
	enum { N = 20000 };
	CLEANUP(mi_freep) struct mi *mi = NULL;
	Assay__File *f;
	uint32_t index;
	char path[32];

	assert_int_equal(mi_new(&mi), 0);
	for (uint32_t i = 0; i < 2 * N; i++) {
		snprintf(path, sizeof(path), "/lib/%u.so", i % N);
		assert_int_equal(mi_file(mi, 7, i % N, path, &index, &f), 0);
		assert_int_equal(index, i % N + 1);
	}
	assert_int_equal(mi->msg->n_files, N);
}

static void files_of_a_received_mi_are_found(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL, *back = NULL;
	struct bytes packed = BYTES_INIT(MI_MAX);
	Assay__File *f;
	uint32_t index;

	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(mi_file(mi, 1, 1, "/a", &index, &f), 0);
	assert_int_equal(mi_file(mi, 1, 2, "/b", &index, &f), 0);
	assert_int_equal(mi_pack(mi, &packed), 0);
	assert_int_equal(mi_unpack(bytes_view(&packed), &back), 0);
	assert_int_equal(mi_file(back, 1, 2, "/b", &index, &f), 0);
	assert_int_equal(index, 2);
	/* It is what was received: nothing can be added to it. */
	assert_int_equal(mi_file(back, 1, 3, "/c", &index, &f), -EROFS);
	assert_int_equal(mi_push(back, &back->msg->n_files, &back->msg->files, f), -EROFS);
	assert_int_equal(back->msg->n_files, 2);
	bytes_done(&packed);
}

static void a_collector_says_how_it_fared(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL, *back = NULL;
	struct bytes packed = BYTES_INIT(MI_MAX);

	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(
		mi_status(mi, "network", ASSAY__COLLECTOR_STATUS__STATE__FAILED, "no \xff"), 0);
	assert_int_equal(mi_status(mi, "code", ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL), 0);
	assert_int_equal(mi_pack(mi, &packed), 0);
	assert_int_equal(mi_unpack(bytes_view(&packed), &back), 0);
	assert_int_equal(back->msg->n_collectors, 2);
	assert_string_equal(back->msg->collectors[0]->why, "no \\xff");
	assert_int_equal(back->msg->collectors[0]->state, ASSAY__COLLECTOR_STATUS__STATE__FAILED);
	assert_string_equal(back->msg->collectors[1]->name, "code");
	assert_string_equal(back->msg->collectors[1]->why, "");
	bytes_done(&packed);
}

static void packing_keeps_to_the_maximum(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	struct bytes packed = BYTES_INIT(100);
	static char text[200];

	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(mi_text(mi, text, &mi->msg->application), 0);
	assert_int_equal(mi_pack(mi, &packed), -EMSGSIZE);
	assert_int_equal(packed.len, 0);
	bytes_done(&packed);
}

static void too_much_for_one_mi_is_an_error(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	static char text[1024 * 1024];
	char *to, *before = NULL;
	int r = 0, n = 0;

	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(mi_new(&mi), 0);
	for (; r == 0 && n < 1000; n++) {
		to = before;
		r = mi_text(mi, text, &to);
	}
	assert_int_equal(r, -ENOMEM);
	assert_null(to);
	assert_in_range(n, 60, MI_MEMORY_MAX / sizeof(text) + 1);
	assert_int_equal(mi_reset(mi), 0);
	assert_int_equal(mi_text(mi, text, &to), 0);
}

/*
 * Two bytes of input make a message of many: MI_MAX bytes of them would need
 * gigabytes. Each case is a field of Mi, repeated, with nothing in it.
 */
static const struct {
	const char *what;
	uint8_t element[8];
	size_t len;
} expanding[] = {
	{ "empty processes", { 0x92, 0x01, 0x00 }, 3 },
	{ "empty files", { 0x9a, 0x01, 0x00 }, 3 },
	{ "a storage item that is merged again and again", { 0x22, 0x02, 0x0a, 0x00 }, 4 },
	{ "fields nobody knows", { 0xa8, 0x06, 0x01 }, 3 },
};

static void a_message_that_expands_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(expanding); i++) {
		struct bytes packed = BYTES_INIT(MI_MAX);
		struct mi *mi = NULL;

		while (bytes_append(&packed, expanding[i].element, expanding[i].len) == 0)
			;
		if (mi_unpack(bytes_view(&packed), &mi) != -EBADMSG)
			fail_msg("%s", expanding[i].what);
		assert_null(mi);
		/* The same, less often, is a message like any other. */
		packed.len = 100 * expanding[i].len;
		assert_int_equal(mi_unpack(bytes_view(&packed), &mi), 0);
		mi_free(mi);
		bytes_done(&packed);
	}
}

static void what_is_no_mi_is_refused(void **state)
{
	static uint8_t big[MI_MAX + 1];
	static const uint8_t cut[] = { 0x8a, 0x01, 0x05, 'a' }, group[] = { 0x0b };
	struct mi *mi = NULL;

	assert_int_equal(mi_unpack(view_of(big, sizeof(big)), &mi), -EBADMSG);
	assert_int_equal(mi_unpack(view_of(cut, sizeof(cut)), &mi), -EBADMSG);
	assert_int_equal(mi_unpack(view_of(group, sizeof(group)), &mi), -EBADMSG);
	assert_null(mi);
	assert_int_equal(mi_unpack(view_of(NULL, 0), &mi), 0);
	mi_free(mi);
	mi_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_always_utf8),
		cmocka_unit_test(pushed_items_keep_their_order),
		cmocka_unit_test(a_file_is_in_the_table_once),
		cmocka_unit_test(many_files_are_found_again),
		cmocka_unit_test(files_of_a_received_mi_are_found),
		cmocka_unit_test(a_collector_says_how_it_fared),
		cmocka_unit_test(packing_keeps_to_the_maximum),
		cmocka_unit_test(too_much_for_one_mi_is_an_error),
		cmocka_unit_test(a_message_that_expands_is_refused),
		cmocka_unit_test(what_is_no_mi_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
