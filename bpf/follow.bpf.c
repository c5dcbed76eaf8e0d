/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Follows the processes of measured applications. What is recorded about others is
 * only what they do to an application; every program leaves early for the rest.
 */
#include "bpf/kernel.h"

#include "bpf/follow.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading, fixed from then on. */
const volatile __u32 self_tgid; /* of assayd's monitor, which reads /proc all the time */
const volatile __u32 range_count;
const volatile struct follow_range ranges[FOLLOW_RANGES];

/* All preallocated: no allocation that can fail at the wrong moment, no eviction. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_MEMBERS);
	__type(key, __u32);
	__type(value, struct follow_member);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_CGROUPS);
	__type(key, __u64);
	__type(value, struct follow_member);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FOLLOW_SLOTS);
	__type(key, __u32);
	__type(value, struct follow_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct follow_ledger);
} ledger SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} records SEC(".maps");

/* Too large for a program's stack. One a CPU: the kernel does not run a program within itself. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct follow_exec);
} scratch SEC(".maps");

/* Belongs to the cgroup a program is attached to: no look-up for each packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct follow_traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_DEVICES);
	__type(key, struct follow_device);
	__type(value, __u32);
} denied SEC(".maps");

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct follow_ledger *this_ledger(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ledger, &zero);
}

static __always_inline void count(__u32 slot, __u32 kind)
{
	struct follow_counts *c = bpf_map_lookup_elem(&counts, &slot);

	if (c && kind < FOLLOW_KINDS)
		__sync_fetch_and_add(&c->kinds[kind], 1);
}

/*
 * Counts the event and gives it its number; from here on it is either submitted
 * or dropped, and the ledger knows which. Atomic although the ledger is this CPU's own: an
 * interrupt may run one of these programs in the middle of another.
 */
static __always_inline __u64 assign(struct follow_ledger *l, __u32 slot, __u32 kind)
{
	count(slot, kind);
	return FOLLOW_SEQUENCE(bpf_get_smp_processor_id(),
			       __sync_fetch_and_add(&l->assigned, 1) + 1);
}

static __always_inline void fill(struct follow_record *r, __u64 sequence, __u32 slot, __u32 kind)
{
	__builtin_memset(r, 0, sizeof(*r));
	r->sequence = sequence;
	r->boottime_ns = bpf_ktime_get_boot_ns();
	r->kind = kind;
	r->slot = slot;
	r->actor = current_tgid();
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

static __always_inline struct follow_record *begin(struct follow_ledger *l, __u32 slot, __u32 kind)
{
	__u64 sequence = assign(l, slot, kind);
	struct follow_record *r;

	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		__sync_fetch_and_add(&l->dropped[FOLLOW_LOST_RING], 1);
		return NULL;
	}
	fill(r, sequence, slot, kind);
	return r;
}

static __always_inline void submit(struct follow_ledger *l, struct follow_record *r)
{
	bpf_ringbuf_submit(r, 0);
	__sync_fetch_and_add(&l->submitted, 1);
}

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

/*
 * Why inet_sock_set_state: below every way to get there, io_uring too. Runs for each change of
 * each TCP socket, so it looks at the state before anything else. Both states are entered
 * in the process's own context.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_sock_state, const struct sock *sk, int old_state, int new_state)
{
	__u32 tgid, kind;
	struct follow_ledger *l;
	struct follow_member *m;
	struct follow_record *r;

	if (new_state == TCP_STATE_LISTEN)
		kind = FOLLOW_LISTEN;
	else if (new_state == TCP_STATE_SYN_SENT)
		kind = FOLLOW_CONNECT;
	else
		return 0;
	tgid = current_tgid();
	m = bpf_map_lookup_elem(&members, &tgid);
	if (!m)
		return 0;
	l = this_ledger();
	if (!l)
		return 0;
	r = begin(l, m->slot, kind);
	if (!r)
		return 0;
	r->pid = tgid;
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->protocol = BPF_CORE_READ(sk, sk_protocol);
	r->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (r->family == AF_INET) {
		BPF_CORE_READ_INTO((__u32 *)r->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__u32 *)r->remote, sk, __sk_common.skc_daddr);
	} else if (r->family == AF_INET6 &&
		   bpf_core_field_exists(((struct sock_common *)0)->skc_v6_daddr)) {
		BPF_CORE_READ_INTO((struct in6_addr *)r->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)r->remote, sk, __sk_common.skc_v6_daddr);
	}
	submit(l, r);
	return 0;
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

/*
 * The process in a path like /proc/1234/mem; 0: none. The caller can change the path in its
 * memory while we look, so this adds a name to an access and never takes its count away.
 */
static __always_inline __u32 path_target(unsigned long user_path)
{
	static const char prefix[] = "/proc/";
	char path[24] = {};
	__u32 pid = 0;

	if (bpf_probe_read_user_str(path, sizeof(path), (const void *)user_path) < 0)
		return 0;
	for (int i = 0; i < 6; i++) {
		if (path[i] != prefix[i])
			return 0;
	}
	for (int i = 6; i < 16; i++) {
		if (path[i] == '/')
			return pid;
		if (path[i] < '0' || path[i] > '9')
			return 0;
		pid = pid * 10 + (path[i] - '0');
	}
	return 0;
}

/* The process that the current system call is about, where its arguments tell. */
static __always_inline __u32 named_target(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	unsigned long number, first, second;

#if defined(__TARGET_ARCH_x86)
	number = BPF_CORE_READ(regs, orig_ax);
	first = BPF_CORE_READ(regs, di);
	second = BPF_CORE_READ(regs, si);
	if (number == 101) /* ptrace */
		return second;
	if (number == 310 || number == 311) /* process_vm_readv, process_vm_writev */
		return first;
	if (number == 257 || number == 437) /* openat, openat2 */
		return path_target(second);
	if (number == 2) /* open */
		return path_target(first);
#elif defined(__TARGET_ARCH_arm64)
	number = BPF_CORE_READ(regs, syscallno);
	first = BPF_CORE_READ(regs, orig_x0);
	second = BPF_CORE_READ(regs, regs[1]);
	if (number == 117)
		return second;
	if (number == 270 || number == 271)
		return first;
	if (number == 56 || number == 437)
		return path_target(second);
#endif
	return 0;
}

/*
 * Why cap_capable: ptrace, /proc/PID/mem, process_vm_* and pidfd_getfd all come by here when
 * the target runs as another user, io_uring or not. The check does not say whose memory it
 * is about; the system call does where its argument is a pid or a path in /proc, and else it
 * is only counted. A refused attempt is no access, and anybody can make one.
 */
SEC("tp_btf/cap_capable")
int BPF_PROG(on_capable, const struct cred *cred, struct user_namespace *target_ns,
	     const struct user_namespace *capable_ns, int cap, int refused)
{
	struct follow_member *m, *by;
	struct follow_counts *c;
	struct follow_ledger *l;
	struct follow_record *r;
	__u32 actor, target, access, slot;

	if (cap != CAP_SYS_PTRACE || refused)
		return 0;
	actor = current_tgid();
	if (actor == self_tgid)
		return 0;
	l = this_ledger();
	if (!l)
		return 0;
	access = access_class(ctx);
	if (access >= FOLLOW_ACCESSES)
		return 0;
	by = bpf_map_lookup_elem(&members, &actor);
	target = named_target();
	m = target ? bpf_map_lookup_elem(&members, &target) : NULL;
	if (!m) {
		/* Of another program, if what the call names can be believed: so it is counted. */
		if (!by)
			__sync_fetch_and_add(&l->checks[access], 1);
		return 0;
	}
	if (by && by->slot == m->slot)
		return 0;
	slot = m->slot;
	c = bpf_map_lookup_elem(&counts, &slot);
	if (c)
		__sync_fetch_and_add(&c->access[access], 1);
	r = begin(l, slot, FOLLOW_FOREIGN);
	if (!r)
		return 0;
	r->pid = target;
	r->value = access;
	submit(l, r);
	return 0;
}

static __always_inline struct follow_traffic *this_traffic(void)
{
	return bpf_get_local_storage(&traffic, 0);
}

/* Why cgroup_skb: every packet of every socket of the cgroup, at the IP level, without sampling. */
SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct follow_traffic *t = this_traffic();

	__sync_fetch_and_add(&t->sent_bytes, skb->len);
	__sync_fetch_and_add(&t->sent_packets, 1);
	return 1;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct follow_traffic *t = this_traffic();

	__sync_fetch_and_add(&t->received_bytes, skb->len);
	__sync_fetch_and_add(&t->received_packets, 1);
	return 1;
}

/*
 * Why a device program: an application that could ask the chip for reports itself could
 * forge measurements. It holds for root in the cgroup too, and for nodes made with mknod.
 */
SEC("cgroup/dev")
int on_device(struct bpf_cgroup_dev_ctx *ctx)
{
	struct follow_device key = {
		.type = ctx->access_type & 0xffff,
		.major = ctx->major,
		.minor = ctx->minor,
	};
	struct follow_traffic *t;

	if (!bpf_map_lookup_elem(&denied, &key)) {
		key.minor = FOLLOW_ANY_MINOR;
		if (!bpf_map_lookup_elem(&denied, &key))
			return 1;
	}
	t = this_traffic();
	__sync_fetch_and_add(&t->devices_denied, 1);
	return 0;
}
