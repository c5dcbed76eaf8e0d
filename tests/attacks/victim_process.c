/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what it executes and who it is: catalogue section 1.3. */
#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that is there on each machine and does nothing for a minute. */
static const char program[] = "/usr/bin/sleep";

/* Copies that program to to; it may be a memory file. */
static int copy_program(int to)
{
	int from = open(program, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (from < 0 || fstat(from, &st) < 0)
		r = -errno;
	for (off_t left = r == 0 ? st.st_size : 0; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (from >= 0)
		close(from);
	return r;
}

/*
 * Forks; the child executes (path, or fd when path is NULL) if decisive, and waits otherwise.
 * Returns once that has happened: the descriptor that the child inherited closes by exec.
 */
static int execute(bool decisive, int fd, const char *path, char *const argv[])
{
	int done[2];
	char byte;
	pid_t pid;
	ssize_t n;

	if (pipe2(done, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		char *const environment[] = { NULL };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(done[0]);
		if (!decisive) {
			close(done[1]);
			if (fd >= 0)
				close(fd);
			for (;;)
				pause();
		}
		if (path)
			execve(path, argv, environment);
		else
			syscall(SYS_execveat, fd, "", argv, environment, AT_EMPTY_PATH);
		n = write(done[1], "x", 1);
		_exit(n == 1 ? 127 : 126);
	}
	close(done[1]);
	n = read(done[0], &byte, 1);
	close(done[0]);
	return n == 0 ? 0 : -ENOEXEC;
}

/* X01, X03: a program is written (to the path) and executed. */
static int drop(bool decisive, const char *argument)
{
	char *const argv[] = { (char *)argument, (char *)"60", NULL };
	int fd = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755), r;

	if (fd < 0)
		return -errno;
	r = copy_program(fd);
	close(fd);
	return r < 0 ? r : execute(decisive, -1, argument, argv);
}

/* X02: the same from memory. */
static int execute_memory(bool decisive, const char *argument)
{
	char *const argv[] = { (char *)"kworker", (char *)"60", NULL };
	int fd = memfd_create("program", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : copy_program(fd);

	if (r == 0)
		r = execute(decisive, fd, NULL, argv);
	if (fd >= 0)
		close(fd);
	return r;
}

/* X04: a shell. */
static int shell(bool decisive, const char *argument)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"read x </dev/zero; :", NULL };

	return execute(decisive, -1, "/bin/sh", argv);
}

/* X05: runs the script at the path, always; what changed is the script. */
static int script(bool decisive, const char *argument)
{
	char *const argv[] = { (char *)argument, NULL };

	return execute(true, -1, argument, argv);
}

/* X08: another user. */
static int become(bool decisive, const char *argument)
{
	if (!decisive)
		return getuid() == 0 || getuid() > 0 ? 0 : -EPERM;
	return setresuid(2, 2, 0) < 0 ? -errno : 0;
}

/* X10: the first capability that it may have, into the sets that its children inherit. */
static int capability(bool decisive, const char *argument)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	unsigned long one;

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	if (data[0].permitted == 0)
		return -EPERM;
	one = (unsigned long)__builtin_ctz(data[0].permitted);
	if (!decisive)
		return 0;
	data[0].inheritable |= 1U << one;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0) < 0 ? -errno : 0;
}

/* X11: a user name space, in which it is root, and a view of the file system of its own. */
static int namespaces(bool decisive, const char *argument)
{
	return decisive && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno : 0;
}

/* X14: a dropped program under the name of another one. */
static int masquerade(bool decisive, const char *argument)
{
	char *const argv[] = { (char *)"nginx: worker process", (char *)"60", NULL };
	int fd, r;

	if (prctl(PR_SET_NAME, "nginx") < 0)
		return -errno;
	fd = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (fd < 0)
		return -errno;
	r = copy_program(fd);
	close(fd);
	return r < 0 ? r : execute(decisive, -1, argument, argv);
}

const struct verb process_verbs[] = {
	{ "drop", drop },
	{ "execute-memory", execute_memory },
	{ "shell", shell },
	{ "script", script },
	{ "become", become },
	{ "capability", capability },
	{ "namespaces", namespaces },
	{ "masquerade", masquerade },
	{ NULL, NULL },
};
