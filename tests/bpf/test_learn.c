/* SPDX-License-Identifier: Apache-2.0 */
/* `assay learn` on a live process: its policy accepts that process, and no other thing it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errors.h"

static void nothing_more(void)
{
}

static void listens(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1) < 0)
		_exit(1);
}

static void maps_code(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		_exit(1);
}

static void forks(void)
{
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

static void is_another_user(void)
{
	if (setuid(65534) < 0)
		_exit(1);
}

static const struct {
	const char *what;
	void (*does)(void);
	int status;
	const char *rule;
} cases[] = {
	{ "the same", nothing_more, 0, "accepted" },
	{ "one more listener", listens, 1, "dynamic.listen" },
	{ "code of no file", maps_code, 1, "dynamic.code.anonymous" },
	{ "one more process", forks, 1, "dynamic.processes.max" },
	{ "another user", is_another_user, 1, "dynamic.processes.users" },
};

/* It waits for a byte, does what is asked, and says so. */
static pid_t begin(void (*does)(void), int ret[2])
{
	int to[2], back[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(back), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(to[0], &c, 1) != 1)
			_exit(1);
		does();
		if (write(back[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(to[0]);
	close(back[1]);
	ret[0] = back[0];
	ret[1] = to[1];
	return child;
}

/* Its exit status; what it says goes to text. */
static int PRINTF_LIKE(3, 4) assay(char *text, size_t size, const char *format, ...)
{
	char arguments[512], command[4096];
	va_list args;
	size_t n;
	FILE *f;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "'%s' %s 2>&1", ASSAY_PROGRAM, arguments);
	f = popen(command, "re");
	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	return WEXITSTATUS(pclose(f));
}

static void what_was_not_seen_is_refused(void **state)
{
	static char text[1024 * 1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char folder[] = "/tmp/assay-learn-XXXXXX", path[64];
		int pipes[2], status;
		pid_t child = begin(cases[i].does, pipes);
		char c;

		assert_non_null(mkdtemp(folder));
		status = assay(text, sizeof(text),
			       "learn --pid %d --for 200ms --every 100ms --accept-partial "
			       "-o %s/p.yaml -n app",
			       child, folder);
		if (status != 0 || !strstr(text, " accepted, 0 not wholly seen and so refused, 0 "))
			fail_msg("%s: learn: exit status %d: %s", cases[i].what, status, text);
		assert_int_equal(write(pipes[1], "g", 1), 1);
		assert_int_equal(read(pipes[0], &c, 1), 1);
		/* 1: the code of no file is a finding as well. */
		status = assay(text, sizeof(text), "inspect --pid %d --window 1 -o %s/mi", child,
			       folder);
		assert_in_range(status, 0, 1);
		status = assay(text, sizeof(text), "policy check %s/p.yaml --mi %s/mi", folder,
			       folder);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(pipes[0]);
		close(pipes[1]);
		for (const char *const *name =
			     (const char *const[]){ "p.yaml", "p.mtree", "mi", NULL };
		     *name; name++) {
			snprintf(path, sizeof(path), "%s/%s", folder, *name);
			unlink(path);
		}
		assert_int_equal(rmdir(folder), 0);
		if (status != cases[i].status || !strstr(text, cases[i].rule))
			fail_msg("%s: exit status %d: %s", cases[i].what, status, text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_seen_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
