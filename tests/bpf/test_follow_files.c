/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <utime.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/running.h"

/* Changes of watched files, and what is none. */

#define OVERLAYFS_MAGIC 0x794c7630
#define BTRFS_MAGIC	0x9123683e

static struct running app;
static char directory[64], path[96], other[96];
static struct follow_file file;

static void write_file(const char *name, const char *text)
{
	CLEANUP(cleanup_fd) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fsync(fd), 0); /* from here on its pages are clean */
}

static struct follow_file key_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return follow_file_of(st.st_dev, st.st_ino);
}

static int setup(void **state)
{
	memset(&app, 0, sizeof(app));
	running_prepare(&app, 0);
	strcpy(directory, "/var/tmp/assay-files-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/measured", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	write_file(path, "what was measured");
	write_file(other, "what is not");
	file = key_of(path);
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MEASURED, &file, 1),
			 0);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	unlink(other);
	rmdir(directory);
	running_stop(&app);
	return 0;
}

static uint64_t changed(void)
{
	struct follow_counts c;

	assert_int_equal(follow_counts(app.follow, app.target->slot, &c), 0);
	return c.kinds[FOLLOW_FILE_CHANGED];
}

static void by_write(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, "W", 1), 1);
}

static void by_shared_store(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	*(volatile char *)at = 'S';
	munmap(at, 4096);
}

static void by_truncate(void)
{
	assert_int_equal(truncate(path, 3), 0);
}

static void by_open_truncating(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
}

static void by_chmod(void)
{
	assert_int_equal(chmod(path, 0755), 0);
}

static void by_time(void)
{
	assert_int_equal(utime(path, NULL), 0);
}

static void by_unlink(void)
{
	assert_int_equal(unlink(path), 0);
}

static void by_rename_over(void)
{
	assert_int_equal(rename(other, path), 0);
}

static void by_rename_away(void)
{
	assert_int_equal(rename(path, other), 0);
}

static void by_link(void)
{
	assert_int_equal(unlink(other), 0);
	assert_int_equal(link(path, other), 0);
}

/* Another name of it leads to the same file. */
static void by_symbolic_link(void)
{
	CLEANUP(cleanup_fd) int fd = -1;

	assert_int_equal(unlink(other), 0);
	assert_int_equal(symlink(path, other), 0);
	fd = open(other, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "L", 1), 1);
}

static void reading(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char text[4];

	assert_int_equal(read(fd, text, sizeof(text)), sizeof(text));
	assert_int_equal(fstat(fd, &st), 0);
}

static void reading_uncached(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	reading();
}

static void mapping_it(void)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	*(volatile char *)at = 'P'; /* in a copy of its own */
	munmap(at, 4096);
}

static void changing_the_other(void)
{
	write_file(other, "something else");
	assert_int_equal(unlink(other), 0);
}

static const struct {
	const char *what;
	void (*act)(void);
	bool seen;
} cases[] = {
	{ "written", by_write, true },
	{ "stored to through a shared mapping", by_shared_store, true },
	{ "truncated", by_truncate, true },
	{ "opened and emptied", by_open_truncating, true },
	{ "another mode", by_chmod, true },
	{ "its times set", by_time, true },
	{ "removed", by_unlink, true },
	{ "another renamed over it", by_rename_over, true },
	{ "renamed", by_rename_away, true },
	{ "another name", by_link, true },
	{ "written by another name", by_symbolic_link, true },
	{ "read", reading, false },
	{ "read from the disk", reading_uncached, false },
	{ "mapped, and the copy changed", mapping_it, false },
	{ "its neighbour changed", changing_the_other, false },
};

static bool hooks_there(void)
{
	uint64_t n;

	return follow_file_changes(app.follow, &file, &n) != -EOPNOTSUPP;
}

static void each_change_is_seen_and_nothing_else(void **state)
{
	if (!hooks_there()) {
		printf("skipped: this kernel has no hooks for all changes of files\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		teardown(NULL);
		setup(NULL);
		assert_int_equal(changed(), 0);
		cases[i].act();
		if ((changed() > 0) != cases[i].seen)
			fail_msg("%s: %llu", cases[i].what, (unsigned long long)changed());
	}
}

static struct follow_record last;
static unsigned int told;

static void on_record(void *arg, const struct follow_record *record)
{
	if (record->kind != FOLLOW_FILE_CHANGED)
		return;
	last = *record;
	told++;
}

static void it_is_told_of_once_a_window_and_counted_always(void **state)
{
	told = 0;
	follow_listen(app.follow, on_record, NULL);
	for (int i = 0; i < 20; i++)
		by_chmod();
	assert_int_equal(follow_drain(app.follow), 0);
	assert_int_equal(told, 1);
	assert_true(changed() >= 20);
	assert_string_equal(last.text, "measured");
	assert_int_equal(last.actor, getpid());
	assert_int_equal(last.inode, file.inode);
	follow_window_reset(app.follow, app.target->slot);
	by_chmod();
	assert_int_equal(follow_drain(app.follow), 0);
	assert_int_equal(told, 2);
}

static void a_file_is_watched_until_no_set_names_it(void **state)
{
	struct follow_file both[2] = { file, key_of(other) };
	uint64_t before, n;

	/* It is of two sets, and leaves one. */
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MAPPED, both, 2), 0);
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MEASURED, NULL, 0),
			 0);
	before = changed();
	by_chmod();
	assert_true(changed() > before);
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MAPPED, &both[1], 1),
			 0);
	before = changed();
	by_chmod();
	assert_int_equal(changed(), before);
	assert_int_equal(follow_file_changes(app.follow, &file, &n), -ENOENT);
	assert_int_equal(follow_watched(app.follow, app.target->slot), 1);
}

static void the_number_of_a_file_moves_with_it(void **state)
{
	uint64_t a, b;

	if (!hooks_there())
		skip();
	assert_int_equal(follow_file_changes(app.follow, &file, &a), 0);
	reading();
	assert_int_equal(follow_file_changes(app.follow, &file, &b), 0);
	assert_int_equal(a, b);
	by_write();
	assert_int_equal(follow_file_changes(app.follow, &file, &b), 0);
	assert_int_not_equal(a, b);
}

static void files_that_find_no_room_are_counted(void **state)
{
	const size_t n = FOLLOW_FILES + 100;
	struct follow_file *many = calloc(n, sizeof(*many));

	assert_non_null(many);
	for (size_t i = 0; i < n; i++)
		many[i] = (struct follow_file){ 0xfff00000, i + 1 };
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MAPPED, many, n),
			 -ENOSPC);
	assert_true(follow_unwatched(app.follow, app.target->slot) >= 100);
	assert_int_equal(follow_watched(app.follow, app.target->slot) +
				 follow_unwatched(app.follow, app.target->slot),
			 n + 1);
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MAPPED, NULL, 0), 0);
	assert_int_equal(follow_unwatched(app.follow, app.target->slot), 0);
	assert_int_equal(follow_watched(app.follow, app.target->slot), 1);
	free(many);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_change_is_seen_and_nothing_else),
		TEST(it_is_told_of_once_a_window_and_counted_always),
		TEST(a_file_is_watched_until_no_set_names_it),
		TEST(the_number_of_a_file_moves_with_it),
		TEST(files_that_find_no_room_are_counted),
	};
	struct statfs fs;

	if (!running_possible())
		return 77;
	if (statfs("/var/tmp", &fs) < 0 || fs.f_type == OVERLAYFS_MAGIC ||
	    (unsigned long)fs.f_type == BTRFS_MAGIC) {
		printf("skipped: files on overlayfs and btrfs are not known by what stat tells\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
