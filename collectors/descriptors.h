/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_DESCRIPTORS_H
#define ASSAY_COLLECTORS_DESCRIPTORS_H

#include "bpf/scan.h"
#include "bytes.h"
#include "target.h"

/*
 * What the processes of an application have open, and what others have open of it: one pass of the
 * iterator over descriptors, or /proc/PID/fd where the kernel has none.
 */

/* Most descriptors of one application that are looked at, at one time node. */
#define DESCRIPTORS_MAX (256 * 1024)
/* Most that are kept because of what they are: of the application, and of all others. */
#define DESCRIPTORS_NOTABLE_MAX 65536
/* Most bytes of the paths of files open for writing and the names of others. */
#define DESCRIPTOR_PATHS_MAX (8 * 1024 * 1024)

struct descriptor {
	uint32_t process; /* index into the target's */
	int number;
	uint64_t socket; /* its inode; 0: a regular file open for writing */
	uint32_t path;	 /* of such a file: where in paths it begins */
	uint32_t about;	 /* of a socket: where in notable it stands, from 1; 0: only its inode is known */
};

/* As the iterator told it; text begins in paths where text says, and is ended by a zero byte. */
struct descriptor_notable {
	struct scan_descriptor d;
	uint32_t process; /* index into the target's, where it is not foreign */
	uint32_t text, text_len;
};

struct descriptors {
	struct descriptor *all;
	size_t n, room;
	/* Sockets, and all that is neither a socket nor a file open for writing. */
	struct descriptor_notable *notable;
	size_t n_notable, room_notable;
	bool told; /* by the iterator: kinds are known, and what others hold */
	const char *why; /* not told, in words */
	struct bytes paths; /* each ended by a zero byte */
	uint64_t scan;	    /* of which scan */
	bool complete; /* false: a process could not be read (it ended), or there were too many */
};

/*
 * Sockets and files open for writing of all processes: read once a scan, however many
 * collectors ask. *ret is lent until the next scan. -ENOMEM.
 */
MUST_CHECK int descriptors_of(struct target *t, const struct descriptors **ret);

/* Accepts NULL. target_free does this. */
void descriptors_free(struct descriptors *d);

static inline const char *descriptor_path(const struct descriptors *d, const struct descriptor *one)
{
	return (const char *)d->paths.data + one->path;
}

static inline struct view descriptor_text(const struct descriptors *d,
					  const struct descriptor_notable *one)
{
	return view_of(d->paths.data + one->text, one->text_len);
}

#endif
