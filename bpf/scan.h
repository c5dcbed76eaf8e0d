/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_SCAN_H
#define ASSAY_BPF_SCAN_H

/*
 * What the kernel side and the user side of scanning share: the records that the two
 * iterators write, in fixed widths. A record may be followed by text.
 */
#include <linux/types.h>

/* Processes that can be asked for at once; as many as an application may have. */
#define SCAN_WANTED_MAX 16384
/* Supplementary groups that are carried; a program with more is said to have more. */
#define SCAN_GROUPS_MAX 64
/* Most bytes of text behind a record: a path as the kernel makes it; a power of two. */
#define SCAN_TEXT_MAX 4096
#define SCAN_COMM     16

/* Namespaces of a thread, in the order of message Namespaces. */
enum scan_namespace {
	SCAN_NS_CGROUP,
	SCAN_NS_IPC,
	SCAN_NS_MNT,
	SCAN_NS_NET,
	SCAN_NS_PID,
	SCAN_NS_TIME,
	SCAN_NS_USER,
	SCAN_NS_UTS,
	SCAN_NS_PAD,
	SCAN_NS_WORDS = SCAN_NS_PAD + 1,
};

enum scan_capabilities {
	SCAN_CAP_INHERITABLE,
	SCAN_CAP_PERMITTED,
	SCAN_CAP_EFFECTIVE,
	SCAN_CAP_BOUNDING,
	SCAN_CAP_AMBIENT,
	SCAN_CAP_SETS,
};

/* What decides what a thread may do; two threads with equal bytes here may do the same. */
struct scan_credentials {
	__u32 uid, effective_uid, saved_uid, filesystem_uid;
	__u32 gid, effective_gid, saved_gid, filesystem_gid;
	__u64 capabilities[SCAN_CAP_SETS];
	__u32 no_new_privs;
	__u32 seccomp; /* mode */
	__u32 seccomp_filters;
	__u32 n_groups; /* all of them; SCAN_GROUPS_MAX are carried */
	__u32 groups[SCAN_GROUPS_MAX];
};

/* One of the first thread of each process, and of each other that differs from it. */
struct scan_thread {
	__u32 tgid, tid;
	__u32 tracer;	/* thread group; 0: none */
	__u32 dumpable; /* plus 1; 0: it has no memory any more */
	__u64 executions;
	__u64 exe_device; /* as the kernel encodes it: major << 20 | minor; 0: none */
	__u64 exe_inode;
	__u32 namespaces[SCAN_NS_WORDS];
	__u32 pad;
	struct scan_credentials credentials;
};
_Static_assert(sizeof(struct scan_thread) == 16 + 24 + 40 + 32 + 40 + 16 + 256,
	       "both sides agree on a thread");

enum scan_kind {
	SCAN_SOCKET,
	SCAN_WRITTEN,	     /* a regular file open for writing; text: its path */
	SCAN_PROCESS_MEMORY, /* /proc/PID/mem, of target */
	SCAN_MEMORY_FILE,    /* a memfd that may be executed; text: its name */
	SCAN_DELETED,	     /* an unlinked file that could be executed; text: its name */
	SCAN_CHARACTER,	     /* a device that is memory; device: which */
	SCAN_BLOCK,	     /* a whole disk or part of it */
	SCAN_OBJECT,	     /* of the kernel (bpf, perf, userfaultfd ...); text: its name */
	SCAN_PERF_EVENT,     /* of target; 0: of no single process */
	SCAN_KERNEL_IMAGE,   /* /proc/kcore */
	SCAN_KINDS,
};

/* One open descriptor. Of processes that are not wanted: only what reaches those that are. */
struct scan_descriptor {
	__u32 tgid;
	__u32 number;
	__u32 kind; /* enum scan_kind */
	__u32 foreign;
	__u32 target; /* thread group */
	__u32 uid;
	__u32 writable;
	__u32 text; /* bytes behind the record */
	__u64 device, inode;
	__u32 netns;
	__u16 family, type, protocol;
	__u16 state;
	__u16 local_port, remote_port; /* host order */
	__u8 local[16], remote[16];
	__u32 local_cid, remote_cid; /* of vsock, whose ports are wider too */
	__u32 local_vport, remote_vport;
	__u64 sent_bytes, received_bytes;
	char comm[SCAN_COMM];
};
_Static_assert(sizeof(struct scan_descriptor) == 32 + 16 + 16 + 32 + 16 + 16 + 16,
	       "both sides agree on a descriptor");

#endif
