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
#define CAP_SYS_PTRACE	   19
#define AF_INET		   2
#define AF_INET6	   10
#define TCP_STATE_SYN_SENT 2
#define TCP_STATE_LISTEN   10

/* si_code of signals that a process sends (kill, sigqueue, tgkill): asm-generic/siginfo.h */
#define SI_USER	 0
#define SI_QUEUE (-1)
#define SI_TKILL (-6)

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

struct task_struct {
	int tgid;
	struct mm_struct *mm;
	int exit_code;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
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
	unsigned long orig_ax, di, si;
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
