/* SPDX-License-Identifier: Apache-2.0 */
/* `assay inspect` on a process that is as its files say, and on one that was patched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "errors.h"

/* Never called; changed in the child's memory from outside. */
int never_called(int n);

__attribute__((noinline)) int never_called(int n)
{
	return n * 3 + 1;
}

static void as_it_is(pid_t child)
{
	(void)child;
}

static void patch(pid_t child)
{
	CLEANUP(cleanup_fd) int fd = -1;
	uint8_t trap = 0xcc;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", child);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &trap, 1, (off_t)(uintptr_t)never_called), 1);
}

static void child_as_it_is(void)
{
}

static void child_maps_code(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		_exit(1);
	memset(map, 0x90, 4096);
}

static const struct {
	const char *what;
	void (*in_child)(void);
	void (*from_outside)(pid_t child);
	int status;
	const char *says;
} cases[] = {
	{ "a process as its files say", child_as_it_is, as_it_is, 0, "\"state\": \"COMPLETE\"" },
	{ "one whose text was changed from outside", child_as_it_is, patch, 1,
	  "\"code.modified\"" },
	{ "one with code of no file", child_maps_code, as_it_is, 1, "\"code.anonymous\"" },
};

/* A child that waits to be killed, once it has done what it should. */
static pid_t start(void (*in_child)(void))
{
	int ready[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		in_child();
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return child;
}

/* Exit status of `assay inspect --json`; its output in text. */
static int inspect(pid_t pid, char *text, size_t size)
{
	char command[4096];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "'%s' inspect --json --pid %d", ASSAY_PROGRAM, pid);
	f = popen(command, "re");
	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	return WEXITSTATUS(pclose(f));
}

static void what_was_changed_is_found(void **state)
{
	const size_t size = 4 * 1024 * 1024;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pid_t child = start(cases[i].in_child);
		int status;

		cases[i].from_outside(child);
		status = inspect(child, text, size);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		if (status != cases[i].status)
			fail_msg("%s: exit status %d: %s", cases[i].what, status, text);
		if (!strstr(text, cases[i].says))
			fail_msg("%s: it does not say %s", cases[i].what, cases[i].says);
	}
	assert_int_equal(inspect(INT32_MAX, text, size), 3);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_changed_is_found),
	};

	if (geteuid() != 0) {
		printf("skipped: only the superuser may look into other processes\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
