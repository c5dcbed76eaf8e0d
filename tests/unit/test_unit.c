/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/unit.h"

struct fixture {
	char root[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->root, sizeof(f->root), "/tmp/assay-test-XXXXXX");
	*state = f;
	return mkdtemp(f->root) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", f->root);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void make(const struct fixture *f, const char *path, bool directory)
{
	char full[512];

	for (size_t i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		snprintf(full, sizeof(full), "%s%.*s", f->root, (int)i, path);
		if (mkdir(full, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
	snprintf(full, sizeof(full), "%s%s", f->root, path);
	if (directory) {
		assert_int_equal(mkdir(full, 0755), 0);
	} else {
		int fd = open(full, O_WRONLY | O_CREAT | O_EXCL, 0644);

		assert_true(fd >= 0);
		close(fd);
	}
}

static void assert_files(const struct fixture *f, const char *unit, const char *const *expected)
{
	struct unit_files found;
	size_t n = 0;

	assert_int_equal(unit_files(f->root, unit, &found), 0);
	for (; expected[n]; n++) {
		if (n >= found.n)
			fail_msg("%s: %s is missing", unit, expected[n]);
		assert_string_equal(found.paths[n] + strlen(f->root), expected[n]);
	}
	if (found.n > n)
		fail_msg("%s: %s is too much", unit, found.paths[n]);
	assert_null(found.paths[n]);
	unit_files_done(&found);
}

static void all_that_says_how_it_runs_is_found(void **state)
{
	static const char *const expected[] = {
		"/run/systemd/transient/a-b.service.d/50-cpu.conf",
		"/etc/systemd/system/a-b.service",
		"/etc/systemd/system/a-b.service.d/10-x.conf",
		"/etc/systemd/system/a-b.service.d/20-y.conf",
		"/usr/lib/systemd/system/service.d/all.conf",
		"/usr/lib/systemd/system/a-.service.d/of-a.conf",
		"/usr/lib/systemd/system/a-b.service.d/10-x.conf",
		NULL,
	};
	struct fixture *f = *state;

	make(f, "/etc/systemd/system/a-b.service.d/20-y.conf", false);
	make(f, "/etc/systemd/system/a-b.service.d/10-x.conf", false);
	make(f, "/etc/systemd/system/a-b.service.d/.hidden.conf", false);
	make(f, "/etc/systemd/system/a-b.service.d/readme", false);
	make(f, "/etc/systemd/system/a-b.service", false);
	/* Hidden by the one in /etc. */
	make(f, "/usr/lib/systemd/system/a-b.service", false);
	/* Hidden by name, and listed all the same: one more is no hole. */
	make(f, "/usr/lib/systemd/system/a-b.service.d/10-x.conf", false);
	make(f, "/usr/lib/systemd/system/a-.service.d/of-a.conf", false);
	make(f, "/usr/lib/systemd/system/service.d/all.conf", false);
	make(f, "/usr/lib/systemd/system/b.service.d/of-another.conf", false);
	make(f, "/run/systemd/transient/a-b.service.d/50-cpu.conf", false);
	assert_files(f, "a-b.service", expected);
}

static void what_comes_later_is_found(void **state)
{
	static const char *const before[] = { "/usr/lib/systemd/system/a.service", NULL };
	static const char *const after[] = {
		"/run/systemd/system/a.service.d/evil.conf",
		"/usr/lib/systemd/system/a.service",
		NULL,
	};
	static const char *const in_its_place[] = {
		"/etc/systemd/system/a.service",
		"/run/systemd/system/a.service.d/evil.conf",
		NULL,
	};
	struct fixture *f = *state;

	make(f, "/usr/lib/systemd/system/a.service", false);
	assert_files(f, "a.service", before);
	make(f, "/run/systemd/system/a.service.d/evil.conf", false);
	assert_files(f, "a.service", after);
	make(f, "/etc/systemd/system/a.service", false);
	assert_files(f, "a.service", in_its_place);
}

static void a_directory_of_two_names_is_one(void **state)
{
	static const char *const expected[] = { "/usr/lib/systemd/system/a.service",
						"/usr/lib/systemd/system/a.service.d/x.conf",
						NULL };
	struct fixture *f = *state;
	char link[128];

	make(f, "/usr/lib/systemd/system/a.service", false);
	make(f, "/usr/lib/systemd/system/a.service.d/x.conf", false);
	snprintf(link, sizeof(link), "%s/lib", f->root);
	assert_int_equal(symlink("usr/lib", link), 0);
	assert_files(f, "a.service", expected);
}

static void no_unit_is_said(void **state)
{
	struct unit_files found = { .n = 7 };
	struct fixture *f = *state;

	make(f, "/etc/systemd/system/a.service.d/x.conf", false);
	assert_int_equal(unit_files(f->root, "a.service", &found), -ENOENT);
	assert_int_equal(found.n, 7);
}

static void too_many_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct unit_files found;
	char path[128];

	make(f, "/etc/systemd/system/a.service", false);
	for (int i = 0; i < UNIT_FILES_MAX; i++) {
		snprintf(path, sizeof(path), "/etc/systemd/system/a.service.d/%d.conf", i);
		make(f, path, false);
	}
	assert_int_equal(unit_files(f->root, "a.service", &found), -E2BIG);
}

static const struct {
	const char *what, *cgroup, *unit;
	bool own;
} owners[] = {
	{ "its process", "0::/system.slice/a.service\n", "a.service", true },
	{ "one in a cgroup of its own", "0::/system.slice/a.service/worker\n", "a.service", true },
	{ "a slice in a slice", "0::/x.slice/x-y.slice/a.service\n", "a.service", true },
	{ "beside the old hierarchies", "4:memory:/z\n0::/system.slice/a.service\n", "a.service",
	  true },
	{ "of an old hierarchy alone", "4:memory:/system.slice/a.service\n", "a.service", false },
	{ "another", "0::/system.slice/b.service\n", "a.service", false },
	{ "one whose name begins so", "0::/system.slice/a.service2\n", "a.service", false },
	{ "one that another service made", "0::/system.slice/b.service/a.service\n", "a.service",
	  false },
	{ "a user's", "0::/user.slice/user-1.slice/user@1.service/app.slice/a.service\n",
	  "a.service", false },
	{ "at the top", "0::/a.service\n", "a.service", true },
	{ "nowhere", "0::/\n", "a.service", false },
	{ "outside", "0::/../a.service\n", "a.service", false },
	{ "nothing", "", "a.service", false },
};

static void processes_are_told_by_their_cgroup(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		if (unit_owns(view_text(owners[i].cgroup), owners[i].unit) != owners[i].own)
			fail_msg("%s", owners[i].what);
	}
}

/* Any directories do: only their names count. */
static void its_cgroup_is_found_in_slices_only(void **state)
{
	struct fixture *f = *state;
	char *path = NULL, expected[128];
	int fd = -1, hierarchy;

	make(f, "/other.service/a.service", true);
	make(f, "/user.slice/user@1.service/a.service", true);
	make(f, "/system.slice/b.service", true);
	hierarchy = open(f->root, O_RDONLY | O_DIRECTORY);
	assert_true(hierarchy >= 0);
	assert_int_equal(unit_cgroup(hierarchy, f->root, "a.service", &fd, &path), -ENOENT);
	assert_null(path);
	make(f, "/deep.slice/deep-er.slice/a.service", true);
	assert_int_equal(unit_cgroup(hierarchy, f->root, "a.service", &fd, &path), 0);
	snprintf(expected, sizeof(expected), "%s/deep.slice/deep-er.slice/a.service", f->root);
	assert_string_equal(path, expected);
	assert_true(fd >= 0);
	close(fd);
	free(path);
	close(hierarchy);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH(all_that_says_how_it_runs_is_found),
		WITH(what_comes_later_is_found),
		WITH(a_directory_of_two_names_is_one),
		WITH(no_unit_is_said),
		WITH(too_many_files_are_refused),
		cmocka_unit_test(processes_are_told_by_their_cgroup),
		WITH(its_cgroup_is_found_in_slices_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
