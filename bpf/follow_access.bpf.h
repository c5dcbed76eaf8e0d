/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_ACCESS_BPF_H
#define ASSAY_BPF_FOLLOW_ACCESS_BPF_H

/*
 * Others that reach into an application. Whom an access is about is read from the kernel's own
 * objects (registers as saved on entry, descriptors, the inode under look-up), never from memory
 * that the caller can change in the meantime.
 */
#include "bpf/follow_maps.bpf.h"
#include "bpf/syscalls.h"

/* Thread group of the process that a struct pid is of; 0: it is gone. */
static __always_inline __u32 tgid_of(struct pid *pid)
{
	struct hlist_node *node = BPF_CORE_READ(pid, tasks[0].first);
	struct task_struct *task;

	if (!node)
		return 0;
	task = (void *)node - bpf_core_field_offset(struct task_struct, pid_links);
	return BPF_CORE_READ(task, tgid);
}

/* The process whose directory in a procfs the inode is in, in whichever mount of it; 0: none. */
static __always_inline __u32 proc_target(struct inode *inode)
{
	struct proc_inode *proc;
	struct pid *pid;

	if (!inode || BPF_CORE_READ(inode, i_sb, s_magic) != PROC_MAGIC)
		return 0;
	proc = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	pid = BPF_CORE_READ(proc, pid);
	return pid ? tgid_of(pid) : 0;
}

/* The file behind a descriptor of the running process; NULL: none. */
static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots, *file = NULL;

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	slots = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), &slots[fd]) < 0)
		return NULL;
	return file;
}

/*
 * A pid in a system call's argument. It is of the caller's namespace: in another than the initial
 * one it would name somebody else, so it names nobody.
 */
static __always_inline __u32 pid_argument(struct task_struct *task, __u32 pid)
{
	return BPF_CORE_READ(task, thread_pid, level) == 0 ? pid : 0;
}

/*
 * A pidfd has its struct pid in its inode (pidfs, since 6.9) or in the file. Asked only where the
 * kernel has taken the descriptor for a pidfd.
 */
static __always_inline __u32 pidfd_argument(struct task_struct *task, __u32 fd)
{
	struct file *file = file_of(task, fd);
	struct inode *inode;
	struct pid *pid;

	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	pid = BPF_CORE_READ(inode, i_sb, s_magic) == PIDFS_MAGIC ? BPF_CORE_READ(inode, i_private) :
								   BPF_CORE_READ(file, private_data);
	return pid ? tgid_of(pid) : 0;
}

/* The process that the system call with those arguments is about. */
static __always_inline __u32 call_target(struct task_struct *task, __u32 call, __u64 first,
					 __u64 second)
{
	struct file *file;

	switch (call) {
	case CALL_PTRACE:
	case CALL_PERF_EVENT_OPEN:
		return pid_argument(task, second);
	case CALL_PROCESS_VM:
		return pid_argument(task, first);
	case CALL_PIDFD_GETFD:
	case CALL_PROCESS_MADVISE:
		return pidfd_argument(task, first);
	case CALL_READ:
		file = file_of(task, first);
		return file ? proc_target(BPF_CORE_READ(file, f_inode)) : 0;
	default:
		return 0;
	}
}

/* Whom the running system call or io_uring request is about, where that can be known; or 0. */
static __always_inline __u32 current_target(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct nameidata *lookup = BPF_CORE_READ(task, nameidata);
	struct pt_regs *regs;
	__u64 first, second;
	__u32 call;

	/* A path is being opened: the inode it has come to. io_uring's opens come by here too. */
	if (lookup)
		return proc_target(BPF_CORE_READ(lookup, inode));
	regs = (void *)bpf_task_pt_regs((void *)task);
	call = syscall_of(task, regs, &first, &second);
	return call_target(task, call, first, second);
}

/* Counted, where whom it was about is none of ours: of assayd's, or not known. */
static __always_inline void foreign_elsewhere(struct follow_ledger *l, __u32 actor, __u32 target,
					      __u32 access)
{
	if (target == actor || access >= FOLLOW_ACCESSES)
		return;
	if (target == 0) {
		if (!bpf_map_lookup_elem(&members, &actor))
			__sync_fetch_and_add(&l->checks[access], 1);
	} else if (target == self_tgid || bpf_map_lookup_elem(&own, &target)) {
		__sync_fetch_and_add(&l->own[access], 1);
	}
}

/* Actor reached target; if that is a process of an application, and actor is not of the same. */
static __always_inline void foreign_by(__u32 actor, __u32 target, __u32 access)
{
	struct follow_ledger *l = this_ledger();
	struct follow_member *m, *by;
	struct follow_counts *c;
	struct follow_record *r;
	__u32 slot;

	if (!l || access >= FOLLOW_ACCESSES)
		return;
	m = target ? bpf_map_lookup_elem(&members, &target) : NULL;
	if (!m) {
		foreign_elsewhere(l, actor, target, access);
		return;
	}
	slot = m->slot;
	by = bpf_map_lookup_elem(&members, &actor);
	if (by && by->slot == slot)
		return;
	c = bpf_map_lookup_elem(&counts, &slot);
	if (c)
		__sync_fetch_and_add(&c->access[access], 1);
	r = begin(l, slot, FOLLOW_FOREIGN);
	if (!r)
		return;
	r->pid = target;
	r->actor = actor;
	r->value = access;
	submit(l, r);
}

static __always_inline void foreign(__u32 target, __u32 access)
{
	foreign_by(current_tgid(), target, access);
}

/* The class of the innermost kernel function on the stack that we know; READ if there is none. */
static __always_inline __u32 access_class(void *ctx)
{
	__u64 stack[16];
	long len = bpf_get_stack(ctx, stack, sizeof(stack), 0);

	if (len <= 0 || range_count == 0)
		return FOLLOW_ACCESS_UNKNOWN;
	for (__u32 i = 0; i < sizeof(stack) / sizeof(*stack) && i < (__u64)len / 8; i++) {
		for (__u32 j = 0; j < FOLLOW_RANGES && j < range_count; j++) {
			if (stack[i] > ranges[j].start && stack[i] <= ranges[j].end)
				return ranges[j].access;
		}
	}
	return FOLLOW_ACCESS_READ;
}

static __always_inline __u32 syscall_number(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, syscallno);
#else
	return BPF_CORE_READ(regs, orig_ax);
#endif
}

/* The member that runs just now changed its credentials, or used the right to. */
static __always_inline void credentials(__u32 call)
{
	__u32 tgid = current_tgid();
	struct follow_member *m = bpf_map_lookup_elem(&members, &tgid);
	struct follow_ledger *l;
	struct follow_record *r;

	if (!m)
		return;
	l = this_ledger();
	if (!l)
		return;
	r = begin(l, m->slot, FOLLOW_CREDENTIALS);
	if (!r)
		return;
	r->pid = tgid;
	r->value = call;
	submit(l, r);
}

/*
 * Why cap_capable: ptrace, /proc/PID/mem, process_vm_* and pidfd_getfd all come by here when
 * the target runs as another user or is not dumpable, in io_uring, in a 32-bit call and in
 * any mount of procfs alike. A refused attempt is no access, and anybody can make one.
 */
SEC("tp_btf/cap_capable")
int BPF_PROG(on_capable, const struct cred *cred, struct user_namespace *target_ns,
	     const struct user_namespace *capable_ns, int cap, int refused)
{
	if (refused)
		return 0;
	if (cap == CAP_SETUID || cap == CAP_SETGID) {
		credentials(syscall_number());
		return 0;
	}
	if (cap != CAP_SYS_PTRACE || current_tgid() == self_tgid)
		return 0;
	foreign(current_target(), access_class(ctx));
	return 0;
}

/*
 * Why security_ptrace_access_check, where there is no tracepoint cap_capable (before 6.14): the same
 * ways end in it, with the target in hand and whether or not a capability is asked for. At its way
 * out, because what another LSM refused did not happen.
 */
SEC("fexit/security_ptrace_access_check")
int BPF_PROG(on_access_check, struct task_struct *child, unsigned int mode, int refused)
{
	if (refused == 0 && current_tgid() != self_tgid)
		foreign(BPF_CORE_READ(child, tgid), access_class(ctx));
	return 0;
}

/*
 * Two signals tell of tracing where no capability is needed because the user is the same: the
 * SIGSTOP that PTRACE_ATTACH sends as the kernel, and the SIGCHLD by which a traced process tells
 * a tracer outside that it stopped. A tracer that seizes and ignores SIGCHLD causes neither.
 */
static __always_inline bool traced_by_signal(int sig, unsigned long info, __u32 tgid)
{
	__u32 running = current_tgid();
	int code = 0;

	if (running == tgid || running == self_tgid || tgid == self_tgid)
		return false;
	if (sig == SIGSTOP_NUMBER && info == 1) {
		foreign_by(running, tgid, FOLLOW_ACCESS_PTRACE);
		return true;
	}
	if (sig != SIGCHLD_NUMBER || info <= 1)
		return false;
	code = BPF_CORE_READ((struct kernel_siginfo *)info, si_code);
	if (code != CLD_TRAPPED)
		return false;
	foreign_by(tgid, running, FOLLOW_ACCESS_PTRACE);
	return true;
}

/*
 * Why signal_generate: a signal can stop, kill or, by its handler, steer the application. Only
 * those that a process outside it sent; ours are our own doing.
 */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, unsigned long info, struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid), sender = current_tgid();
	struct follow_member *m, *by;
	struct follow_ledger *l;
	struct follow_record *r;
	int code;

	if (traced_by_signal(sig, info, tgid))
		return 0;
	/* SEND_SIG_NOINFO is 0 and means a process; SEND_SIG_PRIV is 1 and means the kernel. */
	if (info == 1 || sender == self_tgid || sender == tgid || sender == 0)
		return 0;
	m = bpf_map_lookup_elem(&members, &tgid);
	if (!m)
		return 0;
	if (info) {
		code = BPF_CORE_READ((struct kernel_siginfo *)info, si_code);
		if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
			return 0; /* a timer, the kernel: whoever runs just now is not the sender */
	}
	by = bpf_map_lookup_elem(&members, &sender);
	if (by && by->slot == m->slot)
		return 0;
	l = this_ledger();
	if (!l)
		return 0;
	r = begin(l, m->slot, FOLLOW_SIGNAL);
	if (!r)
		return 0;
	r->pid = tgid;
	r->value = sig;
	submit(l, r);
	return 0;
}

/* Why io_uring_create: what a ring does passes no system call, so that there is one must be known. */
SEC("tp_btf/io_uring_create")
int BPF_PROG(on_io_uring, int fd)
{
	__u32 tgid = current_tgid();
	struct follow_member *m = bpf_map_lookup_elem(&members, &tgid);
	struct follow_ledger *l;
	struct follow_record *r;

	if (!m)
		return 0;
	l = this_ledger();
	if (!l)
		return 0;
	r = begin(l, m->slot, FOLLOW_IO_URING);
	if (!r)
		return 0;
	r->pid = tgid;
	r->value = fd;
	submit(l, r);
	return 0;
}

#endif
