/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/disk.h"
#include "daemon/initrd.h"

static const struct {
	const char *what, *text;
	size_t n;
	const char *names[3];
} lists[] = {
	{ "nothing", "", 0, { NULL } },
	{ "lines", "a\nb\n", 2, { "a", "b" } },
	{ "a last line that does not end", "a\nb", 2, { "a", "b" } },
	{ "empty lines", "\n\na\n\n", 1, { "a" } },
	{ "comments", "# of it\na # this\n#b\n", 1, { "a" } },
	{ "blanks", "  a\t\n \t\n\tb  c\r\n", 2, { "a", "b" } },
	{ "paths", "/lib/modules/x.ko\n", 1, { "/lib/modules/x.ko" } },
};

static void lists_of_modules_are_read(void **state)
{
	const char *names[3];
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		text = strdup(lists[i].text);
		if (initrd_module_list(text, names, ARRAY_LEN(names)) != lists[i].n)
			fail_msg("%s", lists[i].what);
		for (size_t k = 0; k < lists[i].n; k++)
			assert_string_equal(names[k], lists[i].names[k]);
		free(text);
	}
}

static void a_list_that_is_too_long_says_so(void **state)
{
	const char *names[2] = { NULL };
	char text[] = "a\nb\nc\n";

	(void)state;
	assert_int_equal(initrd_module_list(text, names, ARRAY_LEN(names)), 3);
	assert_string_equal(names[1], "b");
}

static void a_module_that_is_not_there_is_named(void **state)
{
	char none[] = "assay_no_such_module", file[] = "/nonexistent/assay.ko";
	char *modules[] = { none, NULL };
	struct config_initrd c = { .modules = modules };
	char why[INITRD_WHY_MAX] = "";

	(void)state;
	assert_true(initrd_load_modules(&c, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, none));
	modules[0] = file;
	assert_true(initrd_load_modules(&c, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, file));
	modules[0] = NULL;
	c.modules_file = file;
	assert_int_equal(initrd_load_modules(&c, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "initrd.modules_file"));
	c.modules_file = NULL;
	assert_int_equal(initrd_load_modules(&c, why, sizeof(why)), 0);
}

static void what_opens_disks_is_understood(void **state)
{
	static const struct config_disk luks = { .kind = DISK_LUKS };
	static const struct config_disk verity = { .kind = DISK_VERITY };

	(void)state;
	assert_non_null(strstr(disk_status_text(&luks, 2), "passphrase"));
	assert_non_null(strstr(disk_status_text(&luks, 1), "LUKS2"));
	assert_non_null(strstr(disk_status_text(&verity, 1), "root hash"));
	assert_non_null(strstr(disk_status_text(&luks, 4), "initrd.modules"));
	assert_non_null(strstr(disk_status_text(&luks, 127), "could not be run"));
}

/* A machine that runs is not to be turned off because somebody tried the option. */
static void outside_an_initrd_nothing_happens(void **state)
{
	char line[512] = "";
	FILE *out;
	int status;

	(void)state;
	if (getpid() == 1)
		skip();
	assert_false(initrd_here());
	out = popen(ASSAYD " --initrd 2>&1", "r");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	status = pclose(out);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
	assert_non_null(strstr(line, "this is no initrd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_modules_are_read),
		cmocka_unit_test(a_list_that_is_too_long_says_so),
		cmocka_unit_test(a_module_that_is_not_there_is_named),
		cmocka_unit_test(what_opens_disks_is_understood),
		cmocka_unit_test(outside_an_initrd_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
