/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_KERNEL_H
#define ASSAY_BPF_KERNEL_H

/*
 * The few kernel types that our programs look into, with the few fields they read.
 * Where a field really is, the loader finds out from the running kernel's BTF
 * (CO-RE), so building needs no particular kernel, and the result is the same everywhere.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef _Bool bool;
#define true 1
#define false 0

#define CLONE_THREAD	   0x00010000
#define CAP_SETGID	   6
#define CAP_SETUID	   7
#define CAP_SYS_PTRACE	   19
#define AF_INET		   2
#define AF_INET6	   10
#define TCP_STATE_SYN_SENT 2
#define TCP_STATE_LISTEN   10

/* si_code of signals that a process sends (kill, sigqueue, tgkill): asm-generic/siginfo.h */
#define SI_USER	 0
#define SI_QUEUE (-1)
#define SI_TKILL (-6)

#define SIGSTOP_NUMBER 19 /* both architectures */
#define SIGCHLD_NUMBER 17
#define CLD_TRAPPED    4

/* File systems: uapi/linux/magic.h */
#define PROC_MAGIC	0x9fa0
#define PIDFS_MAGIC	0x50494446
#define TMPFS_MAGIC	0x01021994
#define RAMFS_MAGIC	0x858458f6
#define HUGETLBFS_MAGIC 0x958458f6
/* sb->s_flags of what no user mounted, as the file system of memfds. */
#define SB_KERNMOUNT (1UL << 22)

#define VM_EXEC	  0x4
#define TS_COMPAT 0x2 /* x86: thread_info.status during a 32-bit system call */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads that have not begun to exit */
	int group_exit_code;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp; /* in the v2 hierarchy, whatever v1 ones there are */
};

struct mm_struct {
	unsigned long env_start, env_end;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct pid {
	unsigned int level;	    /* of its namespace; 0 is the initial one */
	struct hlist_head tasks[4]; /* 0: the thread of that number */
};

struct qstr {
	const unsigned char *name;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	unsigned long s_flags;
};

struct inode {
	unsigned short i_mode;
	__u32 i_rdev; /* major << 20 | minor */
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	struct hlist_head i_dentry;
	void *i_private;
};

/* Where the state of an inode is kept has changed more than once. */
struct inode___word {
	unsigned long i_state;
};

enum inode_state_flags_t {
	INODE_STATE_NEW = 1, /* I_NEW: being read or made, nobody can have it yet */
};

struct inode___enum {
	enum inode_state_flags_t i_state;
};

struct inode_state_flags {
	enum inode_state_flags_t __state;
};

struct inode___wrapped {
	struct inode_state_flags i_state;
};

union dentry_place {
	struct hlist_node d_alias;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	union dentry_place d_u;
};

struct path {
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* A look-up of a path under way, as open does. */
struct nameidata {
	struct inode *inode;
};

/* What procfs keeps beside each of its inodes. */
struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct thread_info {
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int tgid;
	struct mm_struct *mm;
	int exit_code;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	struct nameidata *nameidata;
	struct files_struct *files;
};

struct bpf_map {
	__u32 id;
};

struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct vm_area_struct {
	unsigned long vm_flags;
};

struct address_space {
	struct inode *host;
};

struct folio;

struct io_kiocb {
	__u8 opcode;
};

struct io_ring_ctx;

struct io_uring_cqe {
	__u64 user_data;
	__s32 res;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
	__u32 secureexec : 1;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* host order */
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct kernel_siginfo {
	int si_code;
};

struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax, di, si, bx, cx, dx;
#elif defined(__TARGET_ARCH_arm64)
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
#endif
};

struct cred;
struct user_namespace;

#pragma clang attribute pop

#endif
