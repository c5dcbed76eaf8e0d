/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_MAPPED_H
#define ASSAY_BPF_MAPPED_H

/* What the kernel side and the user side of looking at mappings share, in fixed widths. */
#include <linux/types.h>

/*
 * Records of one process. All of them must fit what the kernel buffers for one step of an iterator,
 * 32 KiB; a process with more is asked for one by one, as on a kernel without the iterator.
 */
#define MAPPED_RECORDS_MAX 512
/* Mappings of a process that are passed by before its iterator gives up, the lock released. */
#define MAPPED_SEEN_MAX 65536

enum mapped_flag {
	MAPPED_READ = 1,
	MAPPED_WRITE = 2,
	MAPPED_EXECUTE = 4,
	MAPPED_SHARED = 8,
	MAPPED_COPIES = 16, /* it may have private pages: the kernel keeps account of such */
	MAPPED_END = 32,    /* no mapping: the process's last record */
	MAPPED_WHOLE = 64,  /* in it: the records are all there are */
};

struct mapped_record {
	__u32 tgid;
	__u32 flags;
	__u64 start, end; /* MAPPED_END: start is when the process started, of CLOCK_BOOTTIME */
	__u64 page;	  /* of the file */
	__u64 inode;
	__u32 device; /* as the kernel encodes it: major << 20 | minor */
	__u32 pad;
};
_Static_assert(sizeof(struct mapped_record) == 48, "both sides agree on a mapping");
_Static_assert(sizeof(struct mapped_record) * (MAPPED_RECORDS_MAX + 1) < 32768, "one step's room");

#endif
