/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_SYSCALLS_BPF_H
#define ASSAY_BPF_FOLLOW_SYSCALLS_BPF_H

/*
 * hooks: full. Where somebody else on the machine runs as the same user as the application, no
 * capability is asked for, so rare system calls are watched themselves, on their way out: what was
 * refused did not happen. 32-bit calls pass none of these; io_uring's opens have a hook of their
 * own. Attached to those calls alone, never to all. A tracepoint at one call still makes the kernel
 * take the slow way through all of them, so where it lets programs into its functions (fexit) those of
 * the calls are used, and security_ptrace_access_check (follow_access.bpf.h) for what reaches into
 * another process.
 */
#include "bpf/follow_access.bpf.h"

/* What tracepoints of the group syscalls, sys_exit_*, hand over. */
struct syscall_exit {
	__u64 common;
	__s32 number;
	__u32 pad;
	__s64 result;
};

static __always_inline bool name_is(const char *name, const char *expected, __u32 size)
{
	for (__u32 i = 0; i < size; i++) {
		if (name[i] != expected[i])
			return false;
	}
	return true;
}

#define NAME_IS(name, text) name_is(name, text, sizeof(text))

/* By the file's name in procfs, which nobody can choose; FOLLOW_ACCESSES: nothing to tell. */
static __always_inline __u32 proc_access(struct file *file)
{
	const unsigned char *at = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	char name[16] = {};

	if (bpf_probe_read_kernel_str(name, sizeof(name), at) < 0)
		return FOLLOW_ACCESS_UNKNOWN;
	if (NAME_IS(name, "mem"))
		return FOLLOW_ACCESS_MEM;
	if (NAME_IS(name, "environ"))
		return FOLLOW_ACCESS_ENVIRON;
	if (NAME_IS(name, "maps") || NAME_IS(name, "smaps") || NAME_IS(name, "smaps_rollup") ||
	    NAME_IS(name, "pagemap") || NAME_IS(name, "numa_maps"))
		return FOLLOW_ACCESS_MAPS;
	return FOLLOW_ACCESSES;
}

/* The running process has opened fd: is it another one's memory? */
static __always_inline void opened(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct file *file = file_of(task, fd);
	__u32 target, access;

	if (!file)
		return;
	target = proc_target(BPF_CORE_READ(file, f_inode));
	if (target == 0 || target == current_tgid() || current_tgid() == self_tgid)
		return;
	access = proc_access(file);
	if (access < FOLLOW_ACCESSES)
		foreign(target, access);
}

/* Why the exit of open, openat, openat2: the file is there, whatever path led to it. */
SEC("tracepoint")
int on_open_exit(struct syscall_exit *ctx)
{
	if (ctx->result >= 0)
		opened(ctx->result);
	return 0;
}

/* Why io_uring_complete: an open by a ring has its descriptor only now. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_io_uring_complete, struct io_ring_ctx *ring, struct io_kiocb *request,
	     struct io_uring_cqe *cqe)
{
	/* IORING_OP_OPENAT, IORING_OP_OPENAT2; direct descriptors are in no table and give 0. */
	__u8 opcode;
	__s32 result;

	if (!request)
		return 0;
	opcode = BPF_CORE_READ(request, opcode);
	if (opcode != 18 && opcode != 28)
		return 0;
	result = BPF_CORE_READ(cqe, res);
	if (result >= 0)
		opened(result);
	return 0;
}

static long is_code(struct task_struct *task, struct vm_area_struct *vma, void *arg)
{
	*(bool *)arg = BPF_CORE_READ(vma, vm_flags) & VM_EXEC;
	return 0;
}

/* A record of the member that runs just now; NULL: it is none, or there is no room. */
static __always_inline struct follow_record *of_member(struct follow_ledger *l, __u32 kind)
{
	__u32 tgid = current_tgid();
	struct follow_member *m = bpf_map_lookup_elem(&members, &tgid);
	struct follow_record *r;

	if (!m)
		return NULL;
	r = begin(l, m->slot, kind);
	if (r)
		r->pid = tgid;
	return r;
}

static __always_inline void moved(struct task_struct *task, struct follow_ledger *l, __u64 from,
				  __u64 to, __u64 length)
{
	bool code = false;
	struct follow_record *r;

	/* Cannot be asked for while another thread holds the memory map: then it counts as code. */
	if (bpf_find_vma(task, to, is_code, &code, 0) < 0)
		code = true;
	if (!code)
		return;
	r = of_member(l, FOLLOW_CODE_MOVED);
	if (!r)
		return;
	r->address = to;
	r->length = length;
	submit(l, r);
}

/* bpf(2): BPF_PROG_LOAD, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN, BPF_LINK_CREATE */
static __always_inline bool changes_kernel(__u64 command)
{
	return command == 5 || command == 8 || command == 17 || command == 28;
}

/* Which call it is, the registers say. */
static __always_inline void rare_exit(__s64 result)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)task);
	struct follow_ledger *l = this_ledger();
	struct follow_record *r;
	__u64 first, second;
	__u32 call, tgid = current_tgid(), target;

	if (!l || tgid == self_tgid || (result < 0 && result >= -4095))
		return;
	call = syscall_of(task, regs, &first, &second);
	switch (call) {
	case CALL_PTRACE:
		/* Only how it begins; requests after that are many, and to one that is traced. */
		if (first == 16 || first == 0x4206) /* PTRACE_ATTACH, PTRACE_SEIZE */
			foreign(call_target(task, call, first, second), FOLLOW_ACCESS_PTRACE);
		break;
	case CALL_PROCESS_VM:
		target = call_target(task, call, first, second);
		if (target != tgid)
			foreign(target, FOLLOW_ACCESS_PROCESS_VM);
		break;
	case CALL_PIDFD_GETFD:
		target = call_target(task, call, first, second);
		if (target != tgid)
			foreign(target, FOLLOW_ACCESS_PIDFD_GETFD);
		break;
	case CALL_PROCESS_MADVISE:
		target = call_target(task, call, first, second);
		if (target != tgid)
			foreign(target, FOLLOW_ACCESS_MADVISE);
		break;
	case CALL_PERF_EVENT_OPEN:
		/* pid 0 is the caller, -1 everybody: that counts as one at a target not known. */
		if ((__s32)second != 0)
			foreign((__s32)second < 0 ? 0 : call_target(task, call, first, second),
				FOLLOW_ACCESS_PERF);
		break;
	case CALL_USERFAULTFD:
		r = of_member(l, FOLLOW_USERFAULT);
		if (r)
			submit(l, r);
		break;
	case CALL_BPF:
		if (changes_kernel(first))
			__sync_fetch_and_add(&l->bpf, 1);
		break;
	case CALL_MREMAP:
		if (bpf_map_lookup_elem(&members, &tgid))
			moved(task, l, first, result, second);
		break;
	case CALL_CREDENTIALS:
		credentials(syscall_number());
		break;
	}
}

/* Why the exit of rare calls: see above. One program for all. */
SEC("tracepoint")
int on_rare_exit(struct syscall_exit *ctx)
{
	rare_exit(ctx->result);
	return 0;
}

/* Why their functions: the same without a tracepoint. Each program is of one function. */
#define RARE_FUNCTION(call)                                                                        \
	SEC("fexit/" FOLLOW_CALL(#call))                                                            \
	int BPF_PROG(on_##call##_function, struct pt_regs *regs, long result)                      \
	{                                                                                          \
		rare_exit(result);                                                                 \
		return 0;                                                                          \
	}

RARE_FUNCTION(perf_event_open)
RARE_FUNCTION(userfaultfd)
RARE_FUNCTION(bpf)
RARE_FUNCTION(mremap)

/* Why commit_creds: each call that changes credentials ends in it; exec, too, has a hook of its own. */
SEC("fexit/commit_creds")
int BPF_PROG(on_commit_creds, struct cred *new, int result)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)task);
	__u64 first, second;

	if (syscall_of(task, regs, &first, &second) == CALL_CREDENTIALS)
		credentials(syscall_number());
	return 0;
}

#endif
