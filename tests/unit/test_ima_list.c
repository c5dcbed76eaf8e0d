/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/ima_list.h"
#include "ima_log.h"
#include "tests/support/ima_made.h"

/* A file that grows in the place of the kernel's. */
struct place {
	char directory[64], path[80];
	FILE *file;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->directory, "/tmp/assay-ima-list-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	snprintf(p->path, sizeof(p->path), "%s/list", p->directory);
	p->file = fopen(p->path, "w");
	assert_non_null(p->file);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	fclose(p->file);
	unlink(p->path);
	rmdir(p->directory);
	free(p);
	return 0;
}

static void grow(struct place *p, const void *data, size_t len)
{
	assert_int_equal(fwrite(data, 1, len, p->file), len);
	assert_int_equal(fflush(p->file), 0);
}

static void check_slice(struct ima_list *l, uint64_t end, uint64_t first, const char *text)
{
	CLEANUP(bytes_cleanup) struct bytes slice = BYTES_INIT(IMA_LOG_MAX);
	char why[IMA_LIST_WHY_MAX];
	uint64_t seen = 99;

	assert_int_equal(ima_list_slice(l, end, &slice, &seen, why), 0);
	assert_int_equal(seen, first);
	assert_true(view_is(bytes_view(&slice), text));
}

static void it_sends_what_the_verifier_lacks(void **state)
{
	struct place *p = *state;
	struct ima_list *l;

	grow(p, "aaaa", 4);
	assert_int_equal(ima_list_open(p->path, &l), 0);
	assert_int_equal(ima_list_read(l), 4);
	check_slice(l, 4, 0, "aaaa");
	ima_list_known(l, 4);
	check_slice(l, 4, 4, "");

	grow(p, "bbbb", 4);
	/* A report of before it was read on has nothing of it. */
	check_slice(l, 4, 4, "");
	assert_int_equal(ima_list_read(l), 8);
	check_slice(l, 8, 4, "bbbb");
	/* The verifier proved a part of it. */
	ima_list_known(l, 6);
	check_slice(l, 8, 6, "bb");
	/* An older report, after one that went further: it stands alone. */
	check_slice(l, 4, 0, "aaaa");
	/* A new session begins anew; one that lies is not believed. */
	ima_list_known(l, 0);
	check_slice(l, 8, 0, "aaaabbbb");
	ima_list_known(l, 9);
	check_slice(l, 8, 0, "aaaabbbb");
	/* No report ends past the list. */
	check_slice(l, 100, 0, "aaaabbbb");
	/* Nor does the lie come true when the list has grown. */
	grow(p, "cccc", 4);
	assert_int_equal(ima_list_read(l), 12);
	check_slice(l, 12, 0, "aaaabbbbcccc");
	ima_list_free(l);
}

static void it_replays_after_it_grew(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes slice = BYTES_INIT(IMA_LOG_MAX);
	struct ima_replay replay;
	struct place *p = *state;
	char why[IMA_LIST_WHY_MAX];
	struct ima_made made;
	struct ima_list *l;
	const char *word = "";
	uint64_t first;
	size_t half;

	ima_made_begin(&made);
	ima_made_file(&made, "/a", 1);
	half = made.list.len / 2;
	grow(p, made.list.data, half); /* in the middle of an entry */
	assert_int_equal(ima_list_open(p->path, &l), 0);
	grow(p, made.list.data + half, made.list.len - half);
	assert_int_equal(ima_list_read(l), made.list.len);
	assert_int_equal(ima_list_slice(l, made.list.len, &slice, &first, why), 0);
	assert_int_equal(
		ima_replay(bytes_view(&slice), IMA_PCR, HASH_SHA256, &made.pcr, &replay, &word), 0);
	assert_true(replay.matched);
	ima_list_free(l);
	ima_made_done(&made);
}

static void a_kernel_without_it_is_told_from_one_that_fails(void **state)
{
	struct place *p = *state;
	struct ima_list *l = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/none", p->directory);
	assert_int_equal(ima_list_open(path, &l), -ENOENT);
	snprintf(path, sizeof(path), "%s/none/list", p->directory);
	assert_int_equal(ima_list_open(path, &l), -ENOENT);
	snprintf(path, sizeof(path), "%s/below", p->path);
	assert_int_equal(ima_list_open(path, &l), -ENOENT);
	assert_int_equal(ima_list_open(p->directory, &l), -EISDIR);
	assert_null(l);
	ima_list_free(NULL);
}

static void one_that_is_too_large_is_not_sent(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes slice = BYTES_INIT(IMA_LOG_MAX);
	struct place *p = *state;
	char why[IMA_LIST_WHY_MAX] = "";
	struct ima_list *l;
	uint64_t first;

	assert_int_equal(ftruncate(fileno(p->file), IMA_LOG_MAX), 0);
	assert_int_equal(ima_list_open(p->path, &l), 0);
	assert_int_equal(ima_list_read(l), IMA_LOG_MAX);
	assert_int_equal(ima_list_slice(l, IMA_LOG_MAX, &slice, &first, why), 0);
	bytes_reset(&slice);
	assert_int_equal(ftruncate(fileno(p->file), IMA_LOG_MAX + 1), 0);
	assert_int_equal(ima_list_read(l), 0);
	assert_int_equal(ima_list_slice(l, 0, &slice, &first, why), -EMSGSIZE);
	assert_non_null(strstr(why, "more than"));
	assert_int_equal(slice.len, 0);
	/* And stays so: what followed would have a hole before it. */
	assert_int_equal(ftruncate(fileno(p->file), 10), 0);
	assert_int_equal(ima_list_read(l), 0);
	assert_int_equal(ima_list_slice(l, 0, &slice, &first, why), -EMSGSIZE);
	ima_list_free(l);

	/* The same where it is too large already when assayd starts. */
	assert_int_equal(ftruncate(fileno(p->file), IMA_LOG_MAX + 1), 0);
	assert_int_equal(ima_list_open(p->path, &l), 0);
	assert_int_equal(ima_list_slice(l, 0, &slice, &first, why), -EMSGSIZE);
	ima_list_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_sends_what_the_verifier_lacks, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(it_replays_after_it_grew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_kernel_without_it_is_told_from_one_that_fails,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_too_large_is_not_sent, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
