/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_GUARD_H
#define ASSAY_BPF_GUARD_H

/* What the kernel side and the user side of guarding assayd share, in fixed widths. */
#include <linux/types.h>

/* eBPF maps, programs and links of assayd that nobody else gets hold of. */
#define GUARD_OBJECTS 8192
#define GUARD_COMM    16

/* What is guarded, one bit each. */
enum guard_part {
	GUARD_SELF = 1,	 /* assayd's processes and its eBPF objects */
	GUARD_FILES = 2, /* measured files, and files mapped as code, against writing */
	GUARD_CHIP = 4,	 /* the chip's devices and configfs-tsm */
};
#define GUARD_PARTS 3

/* What was refused. */
enum guard_denial {
	GUARD_DENIED_ACCESS, /* ptrace, memory, descriptors of assayd */
	GUARD_DENIED_LOOK,   /* state under /proc that others may not see: ps does that, and goes on
			      */
	GUARD_DENIED_SIGNAL,
	GUARD_DENIED_LIMIT,  /* resource limits of assayd */
	GUARD_DENIED_OBJECT, /* a descriptor of an eBPF object of assayd */
	GUARD_DENIED_FILE,
	GUARD_DENIED_CHIP,
	GUARD_DENIALS,
};

/* Of each kind. The map is frozen: user space cannot set a count back. */
struct guard_denied {
	__u64 count;
	__u64 boottime_ns; /* the last one, and who it was */
	__u32 actor;
	__u32 pad;
	char comm[GUARD_COMM]; /* informative: a program can change it */
};
_Static_assert(sizeof(struct guard_denied) == 40, "both sides agree on what was denied");

enum guard_object_type { GUARD_MAP, GUARD_PROGRAM, GUARD_LINK };

struct guard_object {
	__u32 type; /* enum guard_object_type */
	__u32 id;
};
_Static_assert(sizeof(struct guard_object) == 8, "both sides agree on an object");

#endif
