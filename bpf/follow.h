/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_H
#define ASSAY_BPF_FOLLOW_H

/*
 * What the kernel side and the user side of following applications share: records
 * and map values, in fixed widths.
 */
#include <linux/types.h>

/* Applications at once, and processes of all of them together. */
#define FOLLOW_SLOTS   64
#define FOLLOW_MEMBERS 32768
/* Cgroups whose members are followed, and devices that they are denied. */
#define FOLLOW_CGROUPS 256
#define FOLLOW_DEVICES 256
/* Depth below an application's cgroup at which a process is still recognised as its own. */
#define FOLLOW_CGROUP_DEPTH 16
/* Kernel functions by which an access check is classified. */
#define FOLLOW_RANGES 24
/* Files watched for a change, of all applications together. */
#define FOLLOW_FILES 65536
/* Processes of assayd itself. */
#define FOLLOW_OWN 16

#define FOLLOW_TEXT 96
#define FOLLOW_COMM 16
/* Most bytes of the environment that go with a record of exec; a power of two. */
#define FOLLOW_ENVIRONMENT_MAX 16384

/* The kernel's function of a system call. */
#if defined(__TARGET_ARCH_arm64) || defined(__aarch64__)
#define FOLLOW_CALL(call) "__arm64_sys_" call
#else
#define FOLLOW_CALL(call) "__x64_sys_" call
#endif

enum follow_kind {
	FOLLOW_EXEC,	/* pid executed text; device, inode: of the file; its environment follows */
	FOLLOW_FORK,	/* actor made pid */
	FOLLOW_EXIT,	/* pid ended, its last thread; value: wait status */
	FOLLOW_ENTER,	/* pid came into the application's cgroup from outside, moved by actor */
	FOLLOW_LISTEN,	/* pid listens on local */
	FOLLOW_CONNECT, /* pid connects to remote (TCP; UDP has no such moment) */
	FOLLOW_SIGNAL,	/* actor, not of the application, sent pid the signal value */
	FOLLOW_FOREIGN, /* actor, not of the application, reached pid; value: enum follow_access */
	FOLLOW_FILE_CHANGED, /* actor changed a watched file; value: enum follow_change; text: name */
	FOLLOW_IO_URING,     /* pid made a ring: system calls that are none */
	FOLLOW_CREDENTIALS,  /* pid changed its credentials; value: the system call, 0: exec */
	FOLLOW_CODE_MOVED,   /* pid moved executable memory to address (mremap) */
	FOLLOW_USERFAULT,    /* pid made a userfaultfd: it decides what its memory holds */
	FOLLOW_BPF_KINDS,
	/* Of perf's records of mappings, which user space reads itself: not in the ring. */
	FOLLOW_CODE_MAPPED = FOLLOW_BPF_KINDS, /* pid has new executable memory at address */
	FOLLOW_CODE_ANONYMOUS,		       /* the same, and it is no file's */
	FOLLOW_WX_MEMORY,		       /* the same, and it is writable too */
	FOLLOW_KINDS,
};

/*
 * How foreign access came about, as the kernel's stack or the file behind the descriptor tells.
 * From FOLLOW_ACCESS_MEM on it is more than looking.
 */
enum follow_access {
	FOLLOW_ACCESS_UNKNOWN, /* to be taken for the worst */
	FOLLOW_ACCESS_READ,    /* of state under /proc, as ps and top do */
	FOLLOW_ACCESS_ENVIRON, /* /proc/PID/environ */
	FOLLOW_ACCESS_MAPS,    /* /proc/PID/maps, smaps, pagemap, map_files */
	FOLLOW_ACCESS_MEM,     /* /proc/PID/mem */
	FOLLOW_ACCESS_PTRACE,
	FOLLOW_ACCESS_PROCESS_VM, /* process_vm_readv, process_vm_writev */
	FOLLOW_ACCESS_PIDFD_GETFD,
	FOLLOW_ACCESS_MADVISE, /* process_madvise */
	FOLLOW_ACCESS_PERF,    /* perf_event_open */
	FOLLOW_ACCESSES,
};
#define FOLLOW_ACCESS_LOOKS(a) ((a) >= FOLLOW_ACCESS_READ && (a) <= FOLLOW_ACCESS_MAPS)

/* What of a watched file changed. */
enum follow_change {
	FOLLOW_CHANGE_CONTENT = 1, /* a page of it became dirty */
	FOLLOW_CHANGE_INODE = 2,   /* its ctime moved: write, truncate, chmod, link, rename, unlink */
};

/* In flags of FOLLOW_EXEC, counted in follow_counts.exec by their bit. */
enum follow_exec_flag {
	FOLLOW_EXEC_DELETED, /* no name leads to the file */
	FOLLOW_EXEC_MEMFD,   /* nor ever did: memfd_create */
	FOLLOW_EXEC_TMPFS,   /* on a file system in memory */
	FOLLOW_EXEC_SCRIPT,  /* an interpreter runs it */
	FOLLOW_EXEC_SECURE,  /* it gained privileges: set-user-id, capabilities of the file */
	FOLLOW_EXEC_FLAGS,
};

/* Why a record that had its sequence number did not reach user space. */
enum follow_loss {
	FOLLOW_LOST_RING, /* the ring was full */
	FOLLOW_LOST_MAP,  /* the table of processes was full: the process is not followed */
	FOLLOW_LOSSES,
};

/* CPU in the upper 16 bits, from 1 below: two CPUs never contend for a number. */
#define FOLLOW_SEQUENCE(cpu, n)	  (((__u64)(cpu) << 48) | (n))
#define FOLLOW_SEQUENCE_CPU(s)	  ((__u32)((s) >> 48))
#define FOLLOW_SEQUENCE_NUMBER(s) ((s)&0xffffffffffffULL)

struct follow_record {
	__u64 sequence;
	__u64 boottime_ns;
	__u32 kind; /* enum follow_kind */
	__u32 slot;
	__u32 pid;   /* thread group of the application, in the initial pid namespace */
	__u32 actor; /* thread group of who did it; pid itself where nobody else is involved */
	__u32 value; /* exec: bytes of the environment; extra is less where it was cut or unreadable
		      */
	__u16 family;	  /* AF_INET, AF_INET6 */
	__u16 protocol;	  /* IPPROTO_ */
	__u16 local_port; /* host order */
	__u16 remote_port;
	__u32 extra;   /* bytes behind the record */
	__u32 flags;   /* exec: bits of enum follow_exec_flag; code: PROT_ bits */
	__u32 pad;
	__u64 address; /* code: where it begins; length: its bytes */
	__u64 length;
	__u64 device; /* as the kernel encodes it: major << 20 | minor */
	__u64 inode;
	__u8 local[16];
	__u8 remote[16];
	char comm[FOLLOW_COMM]; /* of the actor; informative, a program can change it */
	char text[FOLLOW_TEXT]; /* exec: the file's name as it was given, cut */
};
_Static_assert(sizeof(struct follow_record) == 232, "both sides agree on the record");

/* An exec as it is put together, on its way into the ring. */
struct follow_exec {
	struct follow_record record;
	char environment[FOLLOW_ENVIRONMENT_MAX];
};

/* Value of the map members, by thread group id. */
struct follow_member {
	__u32 slot;
	__u32 pad;
};
_Static_assert(sizeof(struct follow_member) == 8, "both sides agree on a member");

/*
 * Sticky counters of one slot. The map is frozen: user space, root included, can no longer
 * write it, so a count cannot be taken back. A slot's next user subtracts what it found.
 */
struct follow_counts {
	__u64 kinds[FOLLOW_KINDS];
	__u64 access[FOLLOW_ACCESSES]; /* FOLLOW_FOREIGN by how it came about */
	__u64 exec[FOLLOW_EXEC_FLAGS]; /* FOLLOW_EXEC by what is special about it */
};
_Static_assert(sizeof(struct follow_counts) ==
		       8 * (FOLLOW_KINDS + FOLLOW_ACCESSES + FOLLOW_EXEC_FLAGS),
	       "both sides agree on the counts");

/* One a CPU: assigned == submitted + dropped whenever no program is half-way. */
struct follow_ledger {
	__u64 assigned;
	__u64 submitted;
	__u64 dropped[FOLLOW_LOSSES];
	/* Access checks by processes of no application, whose target the check does not carry. */
	__u64 checks[FOLLOW_ACCESSES];
	/* The same at assayd itself. */
	__u64 own[FOLLOW_ACCESSES];
	/* Programs and links that others than assayd gave the kernel (bpf(2); hooks: full). */
	__u64 bpf;
};
_Static_assert(sizeof(struct follow_ledger) == 8 * (3 + FOLLOW_LOSSES + 2 * FOLLOW_ACCESSES),
	       "both sides agree on the ledger");

/* One a cgroup and CPU. */
struct follow_traffic {
	__u64 sent_bytes, sent_packets; /* at the IP level, headers included */
	__u64 received_bytes, received_packets;
	__u64 devices_denied;
};
_Static_assert(sizeof(struct follow_traffic) == 40, "both sides agree on traffic");

/* Key of the map of denied devices. */
struct follow_device {
	__u32 type; /* BPF_DEVCG_DEV_ */
	__u32 major;
	__u32 minor; /* FOLLOW_ANY_MINOR: each of that major */
};
_Static_assert(sizeof(struct follow_device) == 12, "both sides agree on a device");
#define FOLLOW_ANY_MINOR 0xffffffffU

/* Key of the map of watched files: as the kernel has them, whatever name leads there. */
struct follow_file {
	__u64 device; /* major << 20 | minor */
	__u64 inode;
};
_Static_assert(sizeof(struct follow_file) == 16, "both sides agree on a file");

struct follow_watched {
	__u64 slots;   /* one bit an application */
	__u64 changes; /* events on it since it is watched */
	__u64 told;    /* number of the window in which a record was last made of it */
};
_Static_assert(sizeof(struct follow_watched) == 24, "both sides agree on a watched file");
_Static_assert(FOLLOW_SLOTS <= 64, "a bit for each slot");

/* A kernel function: addresses from start up to end. */
struct follow_range {
	__u64 start, end;
	__u32 access; /* enum follow_access */
	__u32 pad;
};
_Static_assert(sizeof(struct follow_range) == 24, "both sides agree on a range");

#endif
