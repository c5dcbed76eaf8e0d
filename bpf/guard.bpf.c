/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Guards assayd, the files it measured and the chip, with BPF LSM: what others may not do is
 * refused before it happens, to root as well. Each refusal is counted. Signals that the kernel
 * itself sends (its out-of-memory killer, cgroup.kill, a terminal's) do not come by here.
 */
#include "bpf/kernel.h"

#include "bpf/follow.h"
#include "bpf/guard.h"

#define EPERM 1

#define PF_FORKNOEXEC	   0x40 /* forked, and has not executed anything yet */
#define PTRACE_MODE_READ   0x01
#define PTRACE_MODE_ATTACH 0x02
#define FMODE_WRITE	   0x2
#define S_IFMT		   0170000
#define S_IFCHR		   0020000
#define CONFIGFS_MAGIC	   0x62656570
/* From /sys/kernel/config/tsm/report/NAME/FILE up to tsm, and some to spare. */
#define TSM_DEPTH 6

/* Set before loading, fixed from then on. */
const volatile __u32 self_tgid;
const volatile __u32 parts;	     /* bits of enum guard_part */
const volatile __u32 setattr_dentry; /* which argument of inode_setattr is the dentry: 0 or 1 */

/* Raised when self opens a file: proof that the kernel asks these programs at all. */
__u64 asked;

/* The maps of follow.bpf.c, shared with it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_OWN);
	__type(key, __u32);
	__type(value, __u32);
} own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_FILES);
	__type(key, struct follow_file);
	__type(value, struct follow_watched);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_DEVICES);
	__type(key, struct follow_device);
	__type(value, __u32);
} denied SEC(".maps");

/* Its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_DENIALS);
	__type(key, __u32);
	__type(value, struct guard_denied);
} denials SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_OBJECTS);
	__type(key, struct guard_object);
	__type(value, __u32);
} objects SEC(".maps");

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline bool is_own(__u32 tgid)
{
	return tgid == self_tgid || bpf_map_lookup_elem(&own, &tgid);
}

/* A copy of assayd that will be an application is assayd's, keys and all, until it executes it. */
static __always_inline bool is_own_task(struct task_struct *task)
{
	if (is_own(BPF_CORE_READ(task, tgid)))
		return true;
	return BPF_CORE_READ(task, flags) & PF_FORKNOEXEC &&
	       is_own(BPF_CORE_READ(task, real_parent, tgid));
}

static __always_inline int refuse(__u32 kind)
{
	struct guard_denied *d = bpf_map_lookup_elem(&denials, &kind);

	if (d) {
		__sync_fetch_and_add(&d->count, 1);
		d->boottime_ns = bpf_ktime_get_boot_ns();
		d->actor = current_tgid();
		bpf_get_current_comm(d->comm, sizeof(d->comm));
	}
	return -EPERM;
}

/*
 * Why ptrace_access_check: ptrace, /proc/PID/mem, process_vm_*, pidfd_getfd, process_madvise, perf
 * and all of /proc/PID that is not for everybody ask here, however they are reached.
 */
SEC("lsm/ptrace_access_check")
int BPF_PROG(guard_access, struct task_struct *child, unsigned int mode)
{
	if (is_own(current_tgid()) || !is_own_task(child))
		return 0;
	return refuse(mode & PTRACE_MODE_ATTACH ? GUARD_DENIED_ACCESS : GUARD_DENIED_LOOK);
}

/*
 * Who may: assayd itself, pid 1, and the process that started assayd, which is its supervisor.
 * Signal 0 only asks whether it is there.
 */
SEC("lsm/task_kill")
int BPF_PROG(guard_signal, struct task_struct *task, struct kernel_siginfo *info, int sig)
{
	__u32 sender = current_tgid();

	if (sig == 0 || sender == 1 || is_own(sender) || !is_own_task(task) ||
	    sender == (__u32)BPF_CORE_READ(task, real_parent, tgid))
		return 0;
	return refuse(GUARD_DENIED_SIGNAL);
}

/* RLIMIT_CPU of 0 kills as well as a signal. */
SEC("lsm/task_setrlimit")
int BPF_PROG(guard_limit, struct task_struct *task)
{
	__u32 sender = current_tgid();

	if (sender == 1 || is_own(sender) || !is_own_task(task))
		return 0;
	return refuse(GUARD_DENIED_LIMIT);
}

static __always_inline int object(__u32 type, __u32 id)
{
	struct guard_object key = { .type = type, .id = id };

	if (is_own(current_tgid()) || !bpf_map_lookup_elem(&objects, &key))
		return 0;
	return refuse(GUARD_DENIED_OBJECT);
}

/* Every way to a descriptor of a map or a program ends in these two; links have only their call. */
SEC("lsm/bpf_map")
int BPF_PROG(guard_map, struct bpf_map *map)
{
	return object(GUARD_MAP, BPF_CORE_READ(map, id));
}

SEC("lsm/bpf_prog")
int BPF_PROG(guard_program, struct bpf_prog *program)
{
	return object(GUARD_PROGRAM, BPF_CORE_READ(program, aux, id));
}

SEC("lsm/bpf")
int BPF_PROG(guard_call, int cmd, union bpf_attr *attr)
{
	__u32 id = 0;

	if (cmd != BPF_LINK_GET_FD_BY_ID)
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id), &attr->link_id);
	return object(GUARD_LINK, id);
}

static __always_inline bool is_watched(struct inode *inode)
{
	struct follow_file key = {};

	if (!inode)
		return false;
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	key.inode = BPF_CORE_READ(inode, i_ino);
	return bpf_map_lookup_elem(&files, &key);
}

static __always_inline int change(struct inode *inode)
{
	if (!(parts & GUARD_FILES) || !is_watched(inode) || is_own(current_tgid()))
		return 0;
	return refuse(GUARD_DENIED_FILE);
}

static __always_inline bool is_chip_device(struct inode *inode)
{
	struct follow_device key = { .type = BPF_DEVCG_DEV_CHAR };
	__u32 number;

	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
		return false;
	number = BPF_CORE_READ(inode, i_rdev);
	key.major = number >> 20;
	key.minor = number & 0xfffff;
	if (bpf_map_lookup_elem(&denied, &key))
		return true;
	key.minor = FOLLOW_ANY_MINOR;
	return bpf_map_lookup_elem(&denied, &key);
}

/* In configfs, below the directory tsm: where reports are asked for. */
static __always_inline bool is_tsm(struct inode *inode, struct dentry *dentry)
{
	char name[4];

	if (BPF_CORE_READ(inode, i_sb, s_magic) != CONFIGFS_MAGIC)
		return false;
	for (int i = 0; i < TSM_DEPTH && dentry; i++) {
		if (bpf_probe_read_kernel_str(name, sizeof(name),
					      BPF_CORE_READ(dentry, d_name.name)) == 4 &&
		    name[0] == 't' && name[1] == 's' && name[2] == 'm')
			return true;
		dentry = BPF_CORE_READ(dentry, d_parent);
	}
	return false;
}

/* Why file_open: every open ends here, in io_uring as well, before the device or the file is asked.
 */
SEC("lsm/file_open")
int BPF_PROG(guard_open, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 tgid = current_tgid();

	if (tgid == self_tgid)
		__sync_fetch_and_add(&asked, 1);
	if (parts & GUARD_CHIP && !is_own(tgid) &&
	    (is_chip_device(inode) || is_tsm(inode, BPF_CORE_READ(file, f_path.dentry))))
		return refuse(GUARD_DENIED_CHIP);
	return BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? change(inode) : 0;
}

SEC("lsm/inode_mkdir")
int BPF_PROG(guard_mkdir, struct inode *dir, struct dentry *dentry)
{
	if (is_own(current_tgid()) || !is_tsm(dir, BPF_CORE_READ(dentry, d_parent)))
		return 0;
	return refuse(GUARD_DENIED_CHIP);
}

SEC("lsm/inode_unlink")
int BPF_PROG(guard_unlink, struct inode *dir, struct dentry *dentry)
{
	return change(BPF_CORE_READ(dentry, d_inode));
}

/* The file that is moved away, and the one that is moved over. */
SEC("lsm/inode_rename")
int BPF_PROG(guard_rename, struct inode *from, struct dentry *old, struct inode *to,
	     struct dentry *dentry)
{
	int r = change(BPF_CORE_READ(old, d_inode));

	return r ? r : change(BPF_CORE_READ(dentry, d_inode));
}

/* Truncation, and everything of the inode: mode, owner, times. */
SEC("lsm/inode_setattr")
int guard_setattr(unsigned long long *ctx)
{
	struct dentry *dentry = (void *)(setattr_dentry ? ctx[1] : ctx[0]);

	return change(BPF_CORE_READ(dentry, d_inode));
}

SEC("lsm/inode_setxattr")
int BPF_PROG(guard_setxattr, void *idmap, struct dentry *dentry)
{
	return change(BPF_CORE_READ(dentry, d_inode));
}

SEC("lsm/inode_removexattr")
int BPF_PROG(guard_removexattr, void *idmap, struct dentry *dentry)
{
	return change(BPF_CORE_READ(dentry, d_inode));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
