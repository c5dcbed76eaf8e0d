/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a process from outside: catalogue section 1.1. */
#include "attacker.h"

#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Four bytes that do nothing, in the place of endbr64 (or of whatever _fini begins with). */
static const unsigned char nops[] = { 0x0f, 0x1f, 0x40, 0x00 };

static int write_memory(pid_t pid, uint64_t at, const void *data, size_t size)
{
	char path[64];
	ssize_t n;
	int fd, r;

	if (!at)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pwrite(fd, data, size, (off_t)at);
	r = n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return r;
}

/* M01 */
static int text_write(const struct victim_process *v, bool decisive)
{
	return decisive ? write_memory(v->pid, v->fini, nops, sizeof(nops)) : 0;
}

/* M01, the old bytes written back at once: hashing would find nothing. */
static int text_revert(const struct victim_process *v, bool decisive)
{
	unsigned char old[sizeof(nops)];
	char path[64];
	int fd, r = 0;

	if (!decisive)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/mem", v->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, old, sizeof(old), (off_t)v->fini) != sizeof(old) ||
	    pwrite(fd, nops, sizeof(nops), (off_t)v->fini) != sizeof(nops) ||
	    pwrite(fd, old, sizeof(old), (off_t)v->fini) != sizeof(old))
		r = -EIO;
	close(fd);
	return r;
}

/* M18 */
static int cave(const struct victim_process *v, bool decisive)
{
	return decisive ? write_memory(v->pid, v->cave, nops, sizeof(nops)) : v->cave ? 0 : -ENOENT;
}

/* M06: a pointer that was made read-only. */
static int relro(const struct victim_process *v, bool decisive)
{
	uint64_t other = v->fini;

	return decisive ? write_memory(v->pid, v->given, &other, sizeof(other)) : 0;
}

/* M15: the end of the page of code that the kernel gives to each process. */
static int vdso(const struct victim_process *v, bool decisive)
{
	return decisive ? write_memory(v->pid, v->vdso_end - sizeof(nops), nops, sizeof(nops)) : 0;
}

/* M20: as M01, through io_uring alone. */
static int text_uring(const struct victim_process *v, bool decisive)
{
	struct uring ring;
	char path[64];
	int fd, r = uring_open(&ring);

	if (r < 0 || !decisive) {
		if (r == 0)
			uring_close(&ring);
		return r;
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", v->pid);
	fd = uring_openat(&ring, path, O_RDWR);
	r = fd < 0 ? fd : uring_write(&ring, fd, nops, sizeof(nops), v->fini);
	uring_close(&ring);
	return r < 0 ? r : r == sizeof(nops) ? 0 : -EIO;
}

static int attach(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		return -errno;
	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) ? 0 : -ECHILD;
}

static int detach(pid_t pid)
{
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0 ? -errno : 0;
}

/* M02 */
static int poke(const struct victim_process *v, bool decisive)
{
	int r = decisive ? attach(v->pid) : 0;
	long word;

	if (r < 0 || !decisive)
		return r;
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, v->pid, v->fini, NULL);
	if (errno)
		r = -errno;
	memcpy(&word, nops, sizeof(nops));
	if (r == 0 && ptrace(PTRACE_POKETEXT, v->pid, v->fini, word) < 0)
		r = -errno;
	(void)detach(v->pid);
	return r;
}

/*
 * M03: no byte is changed; the process is made to call mmap itself, with the system call
 * instruction that it is stopped behind, and then goes on as if nothing had been.
 */
static int registers(const struct victim_process *v, bool decisive)
{
	struct user_regs_struct before, now;
	int r = decisive ? attach(v->pid) : 0, status;
	long word;

	if (r < 0 || !decisive)
		return r;
	errno = 0;
	r = ptrace(PTRACE_GETREGS, v->pid, NULL, &before) < 0 ? -errno : 0;
	word = r == 0 ? ptrace(PTRACE_PEEKTEXT, v->pid, before.rip - 2, NULL) : 0;
	if (r == 0 && (word & 0xffff) != 0x050f)
		r = -EAGAIN; /* it is not in a system call */
	now = before;
	now.rip = before.rip - 2;
	now.orig_rax = (unsigned long long)-1;
	now.rax = SYS_mmap;
	now.rdi = 0;
	now.rsi = 4096;
	now.rdx = 1;	/* PROT_READ */
	now.r10 = 0x22; /* MAP_PRIVATE | MAP_ANONYMOUS */
	now.r8 = (unsigned long long)-1;
	now.r9 = 0;
	if (r == 0 && ptrace(PTRACE_SETREGS, v->pid, NULL, &now) < 0)
		r = -errno;
	if (r == 0 && ptrace(PTRACE_SINGLESTEP, v->pid, NULL, NULL) < 0)
		r = -errno;
	if (r == 0 && waitpid(v->pid, &status, __WALL) != v->pid)
		r = -ECHILD;
	if (r == 0 && ptrace(PTRACE_GETREGS, v->pid, NULL, &now) < 0)
		r = -errno;
	if (r == 0 && (long long)now.rax < 0)
		r = (int)(long long)now.rax;
	if (ptrace(PTRACE_SETREGS, v->pid, NULL, &before) < 0 && r == 0)
		r = -errno;
	(void)detach(v->pid);
	return r;
}

/* M04: a word of its heap (or stack) is written; the same value, so that it lives on. */
static int data_write(const struct victim_process *v, bool decisive)
{
	uint64_t word = 0, at = v->heap ? v->heap : v->stack;
	struct iovec local = { &word, sizeof(word) }, remote = { (void *)at, sizeof(word) };

	if (!decisive)
		return 0;
	if (process_vm_readv(v->pid, &local, 1, &remote, 1, 0) != sizeof(word) ||
	    process_vm_writev(v->pid, &local, 1, &remote, 1, 0) != sizeof(word))
		return errno ? -errno : -EIO;
	return 0;
}

const struct attack write_attacks[] = {
	{ "text-write", text_write },
	{ "text-revert", text_revert },
	{ "cave", cave },
	{ "relro", relro },
	{ "vdso", vdso },
	{ "text-uring", text_uring },
	{ "poke", poke },
	{ "registers", registers },
	{ "data-write", data_write },
	{ NULL, NULL },
};
