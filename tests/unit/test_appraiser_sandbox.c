/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bytes.h"
#include "verifier/sandbox.h"

/* Each is tried in a child of its own, which cannot come back. 0, or the negative errno. */

static int map(int protection)
{
	void *p = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? neg_errno() : 0;
}

static int map_writable(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static int map_executable(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static int map_writable_and_executable(void)
{
	return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int protect(int protection)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return neg_errno();
	return mprotect(p, 4096, protection) < 0 ? neg_errno() : 0;
}

static int make_unwritable(void)
{
	return protect(PROT_READ);
}

static int make_executable(void)
{
	return protect(PROT_READ | PROT_EXEC);
}

static int open_a_file(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? neg_errno() : 0;
}

static int start_a_program(void)
{
	execl("/bin/true", "true", NULL);
	return neg_errno();
}

static int signal_another(void)
{
	return kill(getppid(), 0) < 0 ? neg_errno() : 0;
}

static int make_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? neg_errno() : 0;
}

static int connect_by_ip(void)
{
	return make_socket(AF_INET);
}

static int connect_on_the_machine(void)
{
	return make_socket(AF_UNIX);
}

static const struct {
	const char *what;
	int (*attempt)(void);
	bool dials;
	int expected;
} cases[] = {
	{ "memory for data", map_writable, false, 0 },
	{ "memory made unwritable", make_unwritable, false, 0 },
	{ "memory mapped executable", map_executable, false, -EPERM },
	{ "memory mapped writable and executable", map_writable_and_executable, false, -EPERM },
	{ "memory made executable", make_executable, false, -EPERM },
	{ "a file opened", open_a_file, false, -EPERM },
	{ "a program started", start_a_program, false, -EPERM },
	{ "a signal to another process", signal_another, false, -EPERM },
	{ "a connection by IP where it dials", connect_by_ip, true, 0 },
	{ "a connection by IP where it does not", connect_by_ip, false, -EPERM },
	{ "a Unix socket", connect_on_the_machine, true, -EPERM },
};

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			int r = sandbox_enter("nobody", cases[i].dials);

			_exit(r < 0 ? 200 : -cases[i].attempt());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 200)
			fail_msg("%s: the sandbox could not be entered: %x", cases[i].what, status);
		if (WEXITSTATUS(status) != -cases[i].expected)
			fail_msg("%s: errno %d, not %d", cases[i].what, WEXITSTATUS(status),
				 -cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
