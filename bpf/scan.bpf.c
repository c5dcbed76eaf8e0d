// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Two iterators, run when a time node is taken, that tell what the threads of an
 * application may do and what processes hold open. One pass reads the kernel's own
 * structures: it costs a fraction of the text under /proc, and what a thread is cannot
 * be changed by what it is called. They load alone: a kernel without them loses only this.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/scan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/uapi/linux/magic.h */
#define PROC_MAGIC	0x9fa0
#define TMPFS_MAGIC	0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define SECRETMEM_MAGIC 0x5345434d
#define ANON_MAGIC	0x09041934

#define S_IFMT	 0170000
#define S_IFSOCK 0140000
#define S_IFREG	 0100000
#define S_IFBLK	 0060000
#define S_IFCHR	 0020000

#define FMODE_WRITE 2
#define PF_EXITING  0x00000004
#define PF_KTHREAD  0x00200000

#define AF_UNIX	  1
#define AF_INET	  2
#define AF_INET6  10
#define AF_PACKET 17
#define AF_VSOCK  40

#define SOCK_STREAM  1
#define SOCK_RAW     3
#define TCP_LISTEN   10
#define IPPROTO_TCP  6
#define IPPROTO_UDP  17
#define NO_NEW_PRIVS 0	/* bit in atomic_flags: PFA_NO_NEW_PRIVS */
#define DUMPABLE     3	/* mask in mm flags */
#define MEM_MAJOR    1	/* /dev/mem, kmem, port */

typedef _Bool bool;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct ns_common {
	unsigned int inum;
};
struct cgroup_namespace {
	struct ns_common ns;
};
struct ipc_namespace {
	struct ns_common ns;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct net {
	struct ns_common ns;
};
struct pid_namespace {
	struct ns_common ns;
};
struct time_namespace {
	struct ns_common ns;
};
struct user_namespace {
	struct ns_common ns;
};
struct uts_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct cgroup_namespace *cgroup_ns;
};

typedef struct {
	unsigned int val;
} kuid_t, kgid_t;

struct group_info {
	int ngroups;
	kgid_t gid[0];
};

/* Of one size on every kernel; only its bytes are read. */
typedef struct {
} kernel_cap_t;

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct hlist_node {
	struct hlist_node *next;
};
struct hlist_head {
	struct hlist_node *first;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[];
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};
struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_rdev;
};
struct qstr {
	const unsigned char *name;
};
struct dentry {
	struct qstr d_name;
};
struct path {
	struct dentry *dentry;
};
struct file {
	struct inode *f_inode;
	struct path f_path;
	unsigned int f_mode;
	void *private_data;
};
struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct mm_struct {
	struct file *exe_file;
};
/* The flags were a word until they became a bitmap. */
struct mm_struct___word {
	unsigned long flags;
};
typedef struct {
	unsigned long __mm_flags[1];
} mm_flags_t;
struct mm_struct___bitmap {
	mm_flags_t flags;
};

struct seccomp {
	int mode;
	atomic_t filter_count;
};
struct task_struct {
	unsigned int flags;
	int pid, tgid;
	unsigned int ptrace;
	unsigned long atomic_flags;
	__u64 self_exec_id;
	struct mm_struct *mm;
	struct task_struct *group_leader, *parent;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	const struct cred *real_cred, *cred;
	struct nsproxy *nsproxy;
	struct seccomp seccomp;
	char comm[16];
};

struct perf_event_context {
	struct task_struct *task;
};
struct perf_event {
	struct perf_event_context *ctx;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type, sk_protocol;
};
struct socket {
	struct sock *sk;
};
struct tcp_sock {
	__u64 bytes_received, bytes_sent;
};
struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};
struct unix_address {
	int len; /* of family and path */
	struct sockaddr_un name[0];
};
struct unix_sock {
	struct unix_address *addr;
};
struct packet_sock {
	__be16 num;
};
struct sockaddr_vm {
	unsigned int svm_port, svm_cid;
};
struct vsock_sock {
	struct sockaddr_vm local_addr, remote_addr;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop

/* The thread groups that are asked for. User space fills it before a pass. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SCAN_WANTED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} wanted SEC(".maps");

struct scratch {
	struct scan_thread thread;
	char text[2 * SCAN_TEXT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* The thread group that scans: what it holds is no finding. */
const volatile __u32 scanner;

static bool is_wanted(__u32 tgid)
{
	return bpf_map_lookup_elem(&wanted, &tgid) != 0;
}

static void read_namespaces(struct task_struct *task, const struct cred *cred, __u32 *to)
{
	struct nsproxy *all = BPF_CORE_READ(task, nsproxy);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	to[SCAN_NS_USER] = BPF_CORE_READ(cred, user_ns, ns.inum);
	if (pid) {
		unsigned int level = BPF_CORE_READ(pid, level) & 31;

		to[SCAN_NS_PID] = BPF_CORE_READ(pid, numbers[level].ns, ns.inum);
	}
	if (!all) /* it has ended */
		return;
	to[SCAN_NS_CGROUP] = BPF_CORE_READ(all, cgroup_ns, ns.inum);
	to[SCAN_NS_IPC] = BPF_CORE_READ(all, ipc_ns, ns.inum);
	to[SCAN_NS_MNT] = BPF_CORE_READ(all, mnt_ns, ns.inum);
	to[SCAN_NS_NET] = BPF_CORE_READ(all, net_ns, ns.inum);
	if (bpf_core_field_exists(all->time_ns))
		to[SCAN_NS_TIME] = BPF_CORE_READ(all, time_ns, ns.inum);
	to[SCAN_NS_UTS] = BPF_CORE_READ(all, uts_ns, ns.inum);
}

static void read_credentials(struct task_struct *task, const struct cred *cred,
			     struct scan_credentials *to)
{
	struct group_info *groups = BPF_CORE_READ(cred, group_info);
	__u32 n;

	to->uid = BPF_CORE_READ(cred, uid.val);
	to->effective_uid = BPF_CORE_READ(cred, euid.val);
	to->saved_uid = BPF_CORE_READ(cred, suid.val);
	to->filesystem_uid = BPF_CORE_READ(cred, fsuid.val);
	to->gid = BPF_CORE_READ(cred, gid.val);
	to->effective_gid = BPF_CORE_READ(cred, egid.val);
	to->saved_gid = BPF_CORE_READ(cred, sgid.val);
	to->filesystem_gid = BPF_CORE_READ(cred, fsgid.val);
	bpf_core_read(&to->capabilities[SCAN_CAP_INHERITABLE], 8, &cred->cap_inheritable);
	bpf_core_read(&to->capabilities[SCAN_CAP_PERMITTED], 8, &cred->cap_permitted);
	bpf_core_read(&to->capabilities[SCAN_CAP_EFFECTIVE], 8, &cred->cap_effective);
	bpf_core_read(&to->capabilities[SCAN_CAP_BOUNDING], 8, &cred->cap_bset);
	bpf_core_read(&to->capabilities[SCAN_CAP_AMBIENT], 8, &cred->cap_ambient);
	to->no_new_privs = BPF_CORE_READ(task, atomic_flags) >> NO_NEW_PRIVS & 1;
	to->seccomp = (__u32)BPF_CORE_READ(task, seccomp.mode);
	if (bpf_core_field_exists(task->seccomp.filter_count))
		to->seccomp_filters = (__u32)BPF_CORE_READ(task, seccomp.filter_count.counter);
	if (!groups)
		return;
	n = (__u32)BPF_CORE_READ(groups, ngroups);
	to->n_groups = n;
	if (n > SCAN_GROUPS_MAX)
		n = SCAN_GROUPS_MAX;
	bpf_core_read(to->groups, n * sizeof(to->groups[0]), &groups->gid);
}

static __u32 dumpable_of(struct mm_struct *mm)
{
	struct mm_struct___word *word = (void *)mm;
	struct mm_struct___bitmap *bitmap = (void *)mm;
	unsigned long flags = 0;

	if (!mm)
		return 0;
	if (bpf_core_field_exists(bitmap->flags.__mm_flags))
		bpf_core_read(&flags, sizeof(flags), &bitmap->flags.__mm_flags);
	else if (bpf_core_field_exists(word->flags))
		bpf_core_read(&flags, sizeof(flags), &word->flags);
	else
		return 0;
	return (flags & DUMPABLE) + 1;
}

/* Threads of one process mostly share all of it, down to the same structures. */
static bool as_leader(struct task_struct *task, struct task_struct *leader)
{
	return BPF_CORE_READ(task, real_cred) == BPF_CORE_READ(leader, real_cred) &&
	       BPF_CORE_READ(task, nsproxy) == BPF_CORE_READ(leader, nsproxy) &&
	       BPF_CORE_READ(task, seccomp.mode) == BPF_CORE_READ(leader, seccomp.mode) &&
	       BPF_CORE_READ(task, seccomp.filter_count.counter) ==
		       BPF_CORE_READ(leader, seccomp.filter_count.counter) &&
	       (BPF_CORE_READ(task, atomic_flags) >> NO_NEW_PRIVS & 1) ==
		       (BPF_CORE_READ(leader, atomic_flags) >> NO_NEW_PRIVS & 1) &&
	       BPF_CORE_READ(task, ptrace) == 0 && BPF_CORE_READ(task, mm) != 0;
}

/*
 * Why an iterator: what a thread may do is not told by any event that could not be missed, least of
 * all where a fault in the kernel was used to write it (X09).
 */
SEC("iter/task")
int scan_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct scratch *scratch;
	struct scan_thread *t;
	const struct cred *cred;
	struct mm_struct *mm;
	struct inode *exe;
	__u32 zero = 0, tgid;

	if (!task || task->flags & PF_KTHREAD)
		return 0;
	tgid = (__u32)task->tgid;
	if (!is_wanted(tgid))
		return 0;
	leader = BPF_CORE_READ(task, group_leader);
	if (task->pid != task->tgid && leader && as_leader(task, leader))
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &zero);
	if (!scratch)
		return 0;
	t = &scratch->thread;
	__builtin_memset(t, 0, sizeof(*t));
	t->tgid = tgid;
	t->tid = (__u32)task->pid;
	mm = BPF_CORE_READ(task, mm);
	t->dumpable = dumpable_of(mm);
	t->executions = BPF_CORE_READ(task, self_exec_id);
	if (BPF_CORE_READ(task, ptrace))
		t->tracer = (__u32)BPF_CORE_READ(task, parent, tgid);
	exe = mm ? BPF_CORE_READ(mm, exe_file, f_inode) : 0;
	if (exe) {
		t->exe_device = BPF_CORE_READ(exe, i_sb, s_dev);
		t->exe_inode = BPF_CORE_READ(exe, i_ino);
	}
	cred = BPF_CORE_READ(task, real_cred);
	read_namespaces(task, cred, t->namespaces);
	read_credentials(task, cred, &t->credentials);
	/*
	 * One that ends loses its namespaces bit by bit and runs no code of the application any more; it
	 * is marked before, so the mark is looked at after.
	 */
	if (task->pid != task->tgid && task->flags & PF_EXITING)
		return 0;
	bpf_seq_write(ctx->meta->seq, t, sizeof(*t));
	return 0;
}

/* The thread group that a file of procfs below /proc/PID is of; 0: it is of none, or has ended. */
static __u32 process_of(struct inode *inode)
{
	struct proc_inode *proc =
		(void *)((char *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode));
	struct pid *pid = BPF_CORE_READ(proc, pid);
	struct hlist_node *first = pid ? BPF_CORE_READ(pid, tasks[0].first) : 0;
	struct task_struct *task;

	if (!first)
		return 0;
	task = (void *)((char *)first - bpf_core_field_offset(struct task_struct, pid_links));
	return (__u32)BPF_CORE_READ(task, tgid);
}

static __u32 read_name(struct file *file, char *to)
{
	const unsigned char *name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	long n = bpf_probe_read_kernel_str(to, 256, name);

	return n > 0 ? (__u32)n : 0;
}

static bool same_name(const char *name, const char *other, int n)
{
	for (int i = 0; i < n; i++) {
		if (name[i] != other[i])
			return 0;
	}
	return 1;
}

static void read_inet(struct sock *sk, struct scan_descriptor *d)
{
	struct tcp_sock *tcp;

	d->local_port = sk->__sk_common.skc_num;
	d->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (d->family == AF_INET) {
		bpf_core_read(d->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(d->remote, 4, &sk->__sk_common.skc_daddr);
	} else {
		bpf_core_read(d->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(d->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	if (d->protocol == IPPROTO_TCP && d->state != TCP_LISTEN) {
		tcp = bpf_skc_to_tcp_sock(sk);
		if (!tcp)
			return;
		d->sent_bytes = tcp->bytes_sent;
		d->received_bytes = tcp->bytes_received;
	}
}

static void read_unix(struct sock *sk, struct scan_descriptor *d, char *text)
{
	struct unix_address *a = BPF_CORE_READ((struct unix_sock *)sk, addr);
	int len;

	if (!a)
		return;
	len = BPF_CORE_READ(a, len) - 2;
	if (len <= 0 || len > 108)
		return;
	/* Abstract names begin with a zero byte. */
	if (bpf_core_read(text, len & 127, &a->name[0].sun_path) == 0)
		d->text = (__u32)len;
}

static void read_vsock(struct sock *sk, struct scan_descriptor *d)
{
	struct vsock_sock *v = (void *)sk;

	if (!bpf_core_type_exists(struct vsock_sock))
		return;
	d->local_cid = BPF_CORE_READ(v, local_addr.svm_cid);
	d->local_vport = BPF_CORE_READ(v, local_addr.svm_port);
	d->remote_cid = BPF_CORE_READ(v, remote_addr.svm_cid);
	d->remote_vport = BPF_CORE_READ(v, remote_addr.svm_port);
}

/* False: nothing to be told. */
static bool read_socket(struct file *file, struct scan_descriptor *d, char *text)
{
	struct socket *socket = bpf_sock_from_file(file);
	struct sock *sk = socket ? socket->sk : 0;

	if (!sk)
		return 0;
	d->kind = SCAN_SOCKET;
	d->family = sk->__sk_common.skc_family;
	d->state = sk->__sk_common.skc_state;
	d->type = sk->sk_type;
	d->protocol = sk->sk_protocol;
	if (d->foreign) {
		/* Those that can take what is meant for the application, or listen to it. */
		bool inet = d->family == AF_INET || d->family == AF_INET6;

		if (d->family != AF_PACKET && !(inet && d->type == SOCK_RAW) &&
		    !(inet && d->protocol == IPPROTO_TCP && d->state == TCP_LISTEN) &&
		    !(inet && d->protocol == IPPROTO_UDP))
			return 0;
	}
	d->netns = sk->__sk_common.skc_net.net->ns.inum;
	if (d->family == AF_INET || d->family == AF_INET6)
		read_inet(sk, d);
	else if (d->family == AF_UNIX)
		read_unix(sk, d, text);
	else if (d->family == AF_VSOCK)
		read_vsock(sk, d);
	return 1;
}

static bool read_object(struct file *file, struct scan_descriptor *d, char *text)
{
	struct perf_event *event;

	d->text = read_name(file, text);
	d->kind = SCAN_OBJECT;
	if (!same_name(text, "[perf_event]", 12))
		return !d->foreign;
	event = BPF_CORE_READ(file, private_data);
	d->kind = SCAN_PERF_EVENT;
	d->target = (__u32)BPF_CORE_READ(event, ctx, task, tgid);
	return !d->foreign || is_wanted(d->target);
}

static bool read_proc(struct file *file, struct inode *inode, struct scan_descriptor *d,
		      char *text)
{
	__u32 n = read_name(file, text);

	if (n == 6 && same_name(text, "kcore", 5)) {
		d->kind = SCAN_KERNEL_IMAGE;
		return 1;
	}
	if (n != 4 || !same_name(text, "mem", 3))
		return 0;
	d->kind = SCAN_PROCESS_MEMORY;
	d->target = process_of(inode);
	return !d->foreign || is_wanted(d->target);
}

static bool read_regular(struct file *file, struct inode *inode, unsigned long magic, __u16 mode,
			 struct scan_descriptor *d, char *text)
{
	bool gone = BPF_CORE_READ(inode, i_nlink) == 0;
	long n;

	if (d->foreign)
		return 0;
	if (magic == SECRETMEM_MAGIC ||
	    ((magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC) && gone)) {
		d->text = read_name(file, text);
		if (magic == SECRETMEM_MAGIC || same_name(text, "memfd:", 6)) {
			d->kind = SCAN_MEMORY_FILE;
			return (mode & 0111) != 0;
		}
	}
	if (gone && mode & 0111) {
		d->text = read_name(file, text);
		d->kind = SCAN_DELETED;
		return 1;
	}
	if (!d->writable)
		return 0;
	d->kind = SCAN_WRITTEN;
	n = bpf_d_path(&file->f_path, text, SCAN_TEXT_MAX);
	d->text = n > 0 && n <= SCAN_TEXT_MAX ? (__u32)n : 0;
	return 1;
}

static bool look_at(struct file *file, struct scan_descriptor *d, char *text)
{
	struct inode *inode = file->f_inode;
	unsigned long magic;
	__u16 mode, type;
	__u32 device;

	if (!inode)
		return 0;
	mode = inode->i_mode;
	type = mode & S_IFMT;
	d->inode = inode->i_ino;
	d->writable = (file->f_mode & FMODE_WRITE) != 0;
	if (type == S_IFSOCK)
		return read_socket(file, d, text);
	magic = inode->i_sb->s_magic;
	d->device = inode->i_sb->s_dev;
	if (magic == ANON_MAGIC)
		return read_object(file, d, text);
	if (magic == PROC_MAGIC)
		return read_proc(file, inode, d, text);
	if (type == S_IFREG)
		return read_regular(file, inode, magic, mode, d, text);
	if (type != S_IFCHR && (d->foreign || type != S_IFBLK))
		return 0;
	device = inode->i_rdev;
	d->device = device;
	d->kind = type == S_IFCHR ? SCAN_CHARACTER : SCAN_BLOCK;
	/*
	 * Of /dev/mem's driver: mem 1, kmem 2, which have everyone's memory, and port 4, which does
	 * not; null, zero and random are harmless.
	 */
	return type == S_IFBLK || (device >> 20 == MEM_MAJOR &&
				   ((device & 0xfffff) == 1 || (device & 0xfffff) == 2 ||
				    ((device & 0xfffff) == 4 && !d->foreign)));
}

/*
 * Why an iterator: the file behind a descriptor is told by the kernel's own pointers, so another
 * procfs mount, a renamed link or io_uring makes no difference to what is found here.
 */
SEC("iter/task_file")
int scan_descriptors(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct scan_descriptor d = { 0 };
	struct scratch *scratch;
	__u32 zero = 0;
	__u64 text;

	if (!task || !file)
		return 0;
	d.tgid = (__u32)task->tgid;
	d.foreign = !is_wanted(d.tgid);
	if (d.foreign && (d.tgid == scanner || task->flags & PF_KTHREAD))
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &zero);
	if (!scratch)
		return 0;
	d.number = ctx->fd;
	if (!look_at(file, &d, scratch->text))
		return 0;
	if (d.foreign) {
		d.uid = BPF_CORE_READ(task, real_cred, uid.val);
		bpf_core_read(d.comm, sizeof(d.comm), &task->comm);
	}
	if (d.text > SCAN_TEXT_MAX)
		d.text = 0;
	text = d.text;
	if (bpf_seq_write(ctx->meta->seq, &d, sizeof(d)) != 0 || text == 0)
		return 0;
	/* So that the verifier sees a bound where it looks for one. */
	asm volatile("%0 &= %1" : "+r"(text) : "i"(2 * SCAN_TEXT_MAX - 1));
	bpf_seq_write(ctx->meta->seq, scratch->text, text);
	return 0;
}
