/* SPDX-License-Identifier: Apache-2.0 */
#include "command_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define FILE_MAX (4 * 1024 * 1024)

static void become(const struct command_run *c, char *const *argv)
{
	int in = open(c->input ? c->input : "/dev/null", O_RDONLY);
	int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	execv(c->program, argv);
	_exit(127);
}

int command_run(const struct command_run *c, const char *const *args)
{
	char *argv[COMMAND_ARGS_MAX + 3] = { (char *)c->program };
	size_t n = 1;
	int status;
	pid_t child;

	if (c->word)
		argv[n++] = (char *)c->word;
	for (size_t i = 0; i < COMMAND_ARGS_MAX && args[i]; i++)
		argv[n++] = (char *)args[i];
	child = fork();
	if (child == 0)
		become(c, argv);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct bytes command_file(const char *name)
{
	struct bytes b = BYTES_INIT(FILE_MAX);
	CLEANUP(cleanup_fd) int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(bytes_read_fd(&b, fd), 0);
	return b;
}

bool command_file_has(const char *name, const char *text)
{
	CLEANUP(bytes_cleanup) struct bytes b = command_file(name);

	return b.len > 0 && memmem(b.data, b.len, text, strlen(text));
}
