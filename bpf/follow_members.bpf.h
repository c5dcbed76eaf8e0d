/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_MEMBERS_BPF_H
#define ASSAY_BPF_FOLLOW_MEMBERS_BPF_H

/* Which processes are the application's, and what they execute. */
#include "bpf/follow_maps.bpf.h"

/* The slot whose cgroup, or one below it, the task is in. */
static __always_inline struct follow_member *member_by_cgroup(struct task_struct *task)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);

	for (int i = 0; i < FOLLOW_CGROUP_DEPTH && cgroup; i++) {
		__u64 id = BPF_CORE_READ(cgroup, kn, id);
		struct follow_member *m = bpf_map_lookup_elem(&cgroups, &id);
		struct cgroup_subsys_state *parent;

		if (m)
			return m;
		parent = BPF_CORE_READ(cgroup, self.parent);
		cgroup = parent ? BPF_CORE_READ(parent, cgroup) : NULL;
	}
	return NULL;
}

/*
 * Makes tgid a member and records how it became one. A table that is full makes
 * this record a lost one: what the process does cannot be seen from here on.
 */
static __always_inline void admit(__u32 slot, __u32 kind, __u32 tgid)
{
	struct follow_member m = { .slot = slot };
	struct follow_ledger *l = this_ledger();
	struct follow_record *r;

	if (!l)
		return;
	if (bpf_map_update_elem(&members, &tgid, &m, BPF_ANY) < 0) {
		assign(l, slot, kind);
		__sync_fetch_and_add(&l->dropped[FOLLOW_LOST_MAP], 1);
		return;
	}
	r = begin(l, slot, kind);
	if (!r)
		return;
	r->pid = tgid;
	submit(l, r);
}

/*
 * Why task_newtask: it comes before the child can run, so not one instruction of it
 * goes unfollowed. A child of a member is a member, in whatever cgroup it starts.
 */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, __u64 clone_flags)
{
	__u32 parent = current_tgid();
	struct follow_member *m;

	if (clone_flags & CLONE_THREAD)
		return 0;
	m = bpf_map_lookup_elem(&members, &parent);
	if (m) {
		admit(m->slot, FOLLOW_FORK, task->tgid);
		return 0;
	}
	m = member_by_cgroup(task); /* CLONE_INTO_CGROUP */
	if (m && parent != self_tgid)
		admit(m->slot, FOLLOW_ENTER, task->tgid);
	return 0;
}

/* Why cgroup_attach_task: a process that somebody moves into the application's cgroup is its. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach_task, struct cgroup *to, const char *path, struct task_struct *task)
{
	/*
	 * Fires for v1 hierarchies too, whose numbers overlap with ours: ask where the task is in
	 * v2, not where it went.
	 */
	struct follow_member *m = member_by_cgroup(task), *known;
	__u32 tgid = task->tgid, slot;

	if (!m)
		return 0;
	slot = m->slot;
	known = bpf_map_lookup_elem(&members, &tgid);
	if (!known)
		admit(slot, FOLLOW_ENTER, tgid);
	return 0;
}

/*
 * The environment as exec laid it out, which the program may write over right after. Its
 * pages were just written, so they are there to be read; if not, the length says so.
 */
static __always_inline void take_environment(struct task_struct *task, struct follow_exec *e)
{
	unsigned long start = BPF_CORE_READ(task, mm, env_start);
	unsigned long len = BPF_CORE_READ(task, mm, env_end) - start;

	e->record.value = len;
	if (len >= FOLLOW_ENVIRONMENT_MAX)
		len = FOLLOW_ENVIRONMENT_MAX - 1;
	/* The compiler knows this bound by now and would leave it out; the verifier does not. */
	barrier_var(len);
	len &= FOLLOW_ENVIRONMENT_MAX - 1;
	if (bpf_probe_read_user(e->environment, len, (const void *)start) == 0)
		e->record.extra = len;
}

/* What is special about the file that is executed. It is the kernel's own, not found by a path. */
static __always_inline __u32 exec_flags(struct linux_binprm *bprm, struct inode *inode)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	unsigned long magic = BPF_CORE_READ(sb, s_magic);
	bool deleted = BPF_CORE_READ(inode, i_nlink) == 0;
	bool memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC;
	bool memfd = memory && BPF_CORE_READ(sb, s_flags) & SB_KERNMOUNT;
	__u32 flags = 0;

	if (memfd)
		flags |= 1 << FOLLOW_EXEC_MEMFD;
	else if (memory)
		flags |= 1 << FOLLOW_EXEC_TMPFS;
	if (deleted && !memfd)
		flags |= 1 << FOLLOW_EXEC_DELETED;
	/* The same pointer where no interpreter is in between. */
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		flags |= 1 << FOLLOW_EXEC_SCRIPT;
	if (BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		flags |= 1 << FOLLOW_EXEC_SECURE;
	return flags;
}

static __always_inline void count_exec(__u32 slot, __u32 flags)
{
	struct follow_counts *c = bpf_map_lookup_elem(&counts, &slot);

	for (int i = 0; c && i < FOLLOW_EXEC_FLAGS; i++) {
		if (flags & 1U << i)
			__sync_fetch_and_add(&c->exec[i], 1);
	}
}

/* Why sched_process_exec: it has the file that was opened, not a path that can change. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = task->tgid, slot, zero = 0, extra;
	struct follow_ledger *l;
	struct follow_member *m;
	struct follow_exec *e;
	struct inode *inode;

	m = bpf_map_lookup_elem(&members, &tgid);
	if (!m) {
		/* Forked into the cgroup by assayd itself, or before cgroup_attach_task existed. */
		m = member_by_cgroup(task);
		if (!m)
			return 0;
		slot = m->slot;
		admit(slot, FOLLOW_ENTER, tgid);
	} else {
		slot = m->slot;
	}
	l = this_ledger();
	e = bpf_map_lookup_elem(&scratch, &zero);
	if (!l || !e)
		return 0;
	fill(&e->record, assign(l, slot, FOLLOW_EXEC), slot, FOLLOW_EXEC);
	e->record.pid = tgid;
	inode = BPF_CORE_READ(bprm, file, f_inode);
	e->record.device = BPF_CORE_READ(inode, i_sb, s_dev);
	e->record.inode = BPF_CORE_READ(inode, i_ino);
	e->record.flags = exec_flags(bprm, inode);
	count_exec(slot, e->record.flags);
	bpf_probe_read_kernel_str(e->record.text, sizeof(e->record.text),
				  BPF_CORE_READ(bprm, filename));
	take_environment(task, e);
	extra = e->record.extra;
	barrier_var(extra);
	extra &= FOLLOW_ENVIRONMENT_MAX - 1;
	if (bpf_ringbuf_output(&records, e, sizeof(e->record) + extra, 0) < 0)
		__sync_fetch_and_add(&l->dropped[FOLLOW_LOST_RING], 1);
	else
		__sync_fetch_and_add(&l->submitted, 1);
	return 0;
}

/* Why sched_process_exit: before the process can be waited for, so before its pid is used again. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid, slot;
	struct follow_ledger *l;
	struct follow_member *m;
	struct follow_record *r;
	int code;

	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0; /* other threads of the process go on */
	m = bpf_map_lookup_elem(&members, &tgid);
	if (!m)
		return 0;
	slot = m->slot;
	bpf_map_delete_elem(&members, &tgid);
	l = this_ledger();
	if (!l)
		return 0;
	r = begin(l, slot, FOLLOW_EXIT);
	if (!r)
		return 0;
	r->pid = tgid;
	r->actor = tgid;
	code = BPF_CORE_READ(task, signal, group_exit_code);
	r->value = code ? code : BPF_CORE_READ(task, exit_code);
	submit(l, r);
	return 0;
}

#endif
