/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TEST_MEASURE_TREE_H
#define ASSAY_TEST_MEASURE_TREE_H

/* A directory of a test's own, and files in it. Everything fails the test that does not work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char top[PATH_MAX / 2];

/* Names within the directory; good for a few calls. */
static inline const char *at(const char *name)
{
	static _Thread_local char paths[4][PATH_MAX]; /* the disturbing thread asks as well */
	static _Thread_local unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", top, name);
	return path;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	chmod(path, 0700);
	return remove(path);
}

static inline int make_top(void **state)
{
	char name[] = P_tmpdir "/assay-test.XXXXXX", real[PATH_MAX];

	if (!mkdtemp(name) || !realpath(name, real) || strlen(real) >= sizeof(top))
		return -1;
	memcpy(top, real, strlen(real) + 1);
	return 0;
}

static inline int remove_top(void **state)
{
	return nftw(top, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
}

static inline void make_dir(const char *name)
{
	assert_int_equal(mkdir(at(name), 0755), 0);
	assert_int_equal(chmod(at(name), 0755), 0);
}

static inline void make_link(const char *target, const char *name)
{
	assert_int_equal(symlink(target, at(name)), 0);
}

static inline void make_file(const char *name, const void *data, size_t len, mode_t mode)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static inline void make_text(const char *name, const char *text)
{
	make_file(name, text, strlen(text), 0644);
}

/* Files made a moment ago are read again by every check; those cases wait for the clock to tick. */
static inline void let_settle(void)
{
	const struct timespec t = { .tv_nsec = 40 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

#endif
