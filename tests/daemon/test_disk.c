/* SPDX-License-Identifier: Apache-2.0 */
/* A shell stands in for cryptsetup; /dev is a file system of this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/disk.h"

#define SKIPPED	   77
#define SHELL	   "/bin/sh"
#define PASSPHRASE "correct horse\nbattery staple"

struct fixture {
	struct event_base *base;
	char directory[64], command[1024];
	char *exec[4];
	struct config_application application;
	struct secret passphrase;
	int program_fd, opened;
	char why[512]; /* empty: it was opened */
};

static void opened(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->opened++;
	snprintf(f->why, sizeof(f->why), "%s", why ? why : "");
	event_base_loopbreak(f->base);
}

static int setup(void **state)
{
	static char shell[] = SHELL, flag[] = "-c", name[] = "test";
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->directory, sizeof(f->directory), "/tmp/assay-test-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	f->base = event_base_new();
	f->exec[0] = shell;
	f->exec[1] = flag;
	f->exec[2] = f->command;
	f->application.name = name;
	f->application.exec = f->exec;
	f->application.disk.kind = DISK_LUKS;
	f->application.disk.name = name;
	f->program_fd = open(SHELL, O_RDONLY | O_CLOEXEC);
	if (mkdir("/dev/mapper", 0755) < 0 || secret_heap_open() < 0)
		return -1;
	return secret_copy(view_text(PASSPHRASE), &f->passphrase);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	secret_done(&f->passphrase);
	secret_heap_close();
	close(f->program_fd);
	event_base_free(f->base);
	snprintf(command, sizeof(command), "rm -rf %s /dev/mapper", f->directory);
	free(f);
	return system(command);
}

static void open_with(struct fixture *f, const struct secret *passphrase)
{
	struct disk *d;

	assert_int_equal(
		disk_open(f->base, &f->application, f->program_fd, passphrase, opened, f, &d), 0);
	event_base_dispatch(f->base);
	disk_free(d);
	assert_int_equal(f->opened, 1);
}

static size_t read_back(struct fixture *f, const char *name, char *to, size_t size)
{
	char path[128];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	file = fopen(path, "re");
	assert_non_null(file);
	n = fread(to, 1, size, file);
	fclose(file);
	return n;
}

static void the_passphrase_comes_on_standard_input_and_nowhere_else(void **state)
{
	char text[4096] = "";
	struct fixture *f = *state;
	size_t n;

	snprintf(f->command, sizeof(f->command),
		 "cd %s && cat >in && cat /proc/$$/cmdline /proc/$$/environ >told && : "
		 ">/dev/mapper/test",
		 f->directory);
	open_with(f, &f->passphrase);
	assert_string_equal(f->why, "");
	n = read_back(f, "in", text, sizeof(text));
	assert_int_equal(n, strlen(PASSPHRASE));
	assert_memory_equal(text, PASSPHRASE, n);
	n = read_back(f, "told", text, sizeof(text));
	assert_true(n > 0);
	assert_null(memmem(text, n, "correct horse", strlen("correct horse")));
	/* libdevmapper is to make the node, whether udev runs or not. */
	assert_non_null(memmem(text, n, "DM_DISABLE_UDEV=1", strlen("DM_DISABLE_UDEV=1")));
}

static void without_a_passphrase_there_is_none(void **state)
{
	struct fixture *f = *state;
	char text[64];

	snprintf(f->command, sizeof(f->command), "cat >%s/in && : >/dev/mapper/test", f->directory);
	open_with(f, NULL);
	assert_string_equal(f->why, "");
	assert_int_equal(read_back(f, "in", text, sizeof(text)), 0);
}

static void the_longest_passphrase_fits(void **state)
{
	static char text[2 * DISK_PASSPHRASE_MAX];
	struct fixture *f = *state;
	struct secret longest;
	struct disk *d = NULL;

	snprintf(f->command, sizeof(f->command), "cat >%s/in && : >/dev/mapper/test", f->directory);
	assert_int_equal(secret_random(DISK_PASSPHRASE_MAX, &longest), 0);
	open_with(f, &longest);
	assert_string_equal(f->why, "");
	assert_int_equal(read_back(f, "in", text, sizeof(text)), DISK_PASSPHRASE_MAX);
	assert_memory_equal(text, longest.data, DISK_PASSPHRASE_MAX);
	secret_done(&longest);
	assert_int_equal(secret_random(DISK_PASSPHRASE_MAX + 1, &longest), 0);
	assert_int_equal(
		disk_open(f->base, &f->application, f->program_fd, &longest, opened, f, &d),
		-EMSGSIZE);
	assert_null(d);
	secret_done(&longest);
}

static void a_wrong_passphrase_is_said(void **state)
{
	struct fixture *f = *state;

	snprintf(f->command, sizeof(f->command),
		 "cat >/dev/mapper/input; : >/dev/mapper/test; exit 2");
	open_with(f, &f->passphrase);
	assert_non_null(strstr(f->why, "not its passphrase"));
}

static void success_without_a_disk_is_none(void **state)
{
	struct fixture *f = *state;

	snprintf(f->command, sizeof(f->command), "exit 0");
	open_with(f, &f->passphrase);
	assert_non_null(strstr(f->why, "there is no /dev/mapper/test"));
}

static void a_program_that_dies_is_said(void **state)
{
	struct fixture *f = *state;

	snprintf(f->command, sizeof(f->command), ": >/dev/mapper/test; kill -SEGV $$");
	open_with(f, &f->passphrase);
	assert_non_null(strstr(f->why, "signal 11"));
}

static void a_program_that_cannot_run_is_said(void **state)
{
	struct fixture *f = *state;
	int fd = open("/dev/mapper/nothing", O_RDWR | O_CREAT, 0755);

	assert_true(fd >= 0);
	close(f->program_fd);
	f->program_fd = fd;
	open_with(f, &f->passphrase);
	assert_non_null(strstr(f->why, "could not be run"));
}

static void giving_up_ends_the_program(void **state)
{
	struct fixture *f = *state;
	char text[32] = "", path[128];
	struct disk *d;
	pid_t pid;

	snprintf(f->command, sizeof(f->command),
		 "cd %s && echo $$ >new && mv new pid; exec sleep 300", f->directory);
	assert_int_equal(
		disk_open(f->base, &f->application, f->program_fd, &f->passphrase, opened, f, &d),
		0);
	snprintf(path, sizeof(path), "%s/pid", f->directory);
	for (int i = 0; i < 3000 && access(path, F_OK) < 0; i++)
		usleep(10000);
	assert_true(read_back(f, "pid", text, sizeof(text) - 1) > 0);
	pid = atoi(text);
	assert_int_equal(kill(pid, 0), 0);
	disk_free(d);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(f->opened, 0);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH(the_passphrase_comes_on_standard_input_and_nowhere_else),
		WITH(without_a_passphrase_there_is_none),
		WITH(the_longest_passphrase_fits),
		WITH(a_wrong_passphrase_is_said),
		WITH(success_without_a_disk_is_none),
		WITH(a_program_that_dies_is_said),
		WITH(a_program_that_cannot_run_is_said),
		WITH(giving_up_ends_the_program),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, NULL) < 0) {
		print_message("skipped: a mount namespace cannot be made: %s\n", strerror(errno));
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
