/* SPDX-License-Identifier: Apache-2.0 */
/* Taking secrets out of a process: catalogue section 1.5. */
#include "attacker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads from a file of /proc/PID; at: from there. */
static int read_proc(pid_t pid, const char *name, uint64_t at)
{
	char path[64], byte[64];
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, byte, sizeof(byte), (off_t)at);
	r = n > 0 ? 0 : n < 0 ? -errno : -ENODATA;
	close(fd);
	return r;
}

/* T01 */
static int memory(const struct victim_process *v, bool decisive)
{
	return decisive ? read_proc(v->pid, "mem", v->stack) : 0;
}

/* T03 */
static int peek(const struct victim_process *v, bool decisive)
{
	int status, r = 0;

	if (!decisive)
		return 0;
	if (ptrace(PTRACE_SEIZE, v->pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL) < 0)
		return -errno;
	if (waitpid(v->pid, &status, __WALL) != v->pid)
		return -ECHILD;
	errno = 0;
	(void)ptrace(PTRACE_PEEKDATA, v->pid, v->stack, NULL);
	if (errno)
		r = -errno;
	(void)ptrace(PTRACE_DETACH, v->pid, NULL, NULL);
	return r;
}

/* T11: as a checkpoint does: seized, frozen, its mapped files opened through map_files. */
static int checkpoint(const struct victim_process *v, bool decisive)
{
	int status, r = 0;

	if (!decisive)
		return 0;
	if (ptrace(PTRACE_SEIZE, v->pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL) < 0)
		return -errno;
	if (waitpid(v->pid, &status, __WALL) != v->pid)
		return -ECHILD;
	r = read_proc(v->pid, "pagemap", v->stack / 4096 * 8);
	if (r == 0)
		r = read_proc(v->pid, "mem", v->stack);
	(void)ptrace(PTRACE_DETACH, v->pid, NULL, NULL);
	return r;
}

/* T03: copied without being stopped. */
static int copy(const struct victim_process *v, bool decisive)
{
	uint64_t word;
	struct iovec local = { &word, sizeof(word) };
	struct iovec remote = { (void *)(uintptr_t)v->stack, sizeof(word) };

	if (!decisive)
		return 0;
	return process_vm_readv(v->pid, &local, 1, &remote, 1, 0) == sizeof(word) ? 0 : -errno;
}

/* A descriptor of it, taken over with all that it is open to. */
static int descriptor(const struct victim_process *v, bool decisive)
{
	int pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0), fd;

	if (pidfd < 0)
		return -errno;
	fd = decisive ? (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0) : 0;
	return fd < 0 ? -errno : 0;
}

const struct attack read_attacks[] = {
	{ "memory", memory },
	{ "peek", peek },
	{ "copy", copy },
	{ "checkpoint", checkpoint },
	{ "descriptor", descriptor },
	{ NULL, NULL },
};
