/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_DESCRIPTORS_H
#define ASSAY_COLLECTORS_DESCRIPTORS_H

#include "bytes.h"
#include "target.h"

/* What the processes of an application have open, as /proc/PID/fd shows it. */

/* Most descriptors of one application that are looked at, at one time node. */
#define DESCRIPTORS_MAX (256 * 1024)
/* Most bytes of the paths of files open for writing. */
#define DESCRIPTOR_PATHS_MAX (8 * 1024 * 1024)

struct descriptor {
	uint32_t process; /* index into the target's */
	int number;
	uint64_t socket; /* its inode; 0: a regular file open for writing */
	uint32_t path;	 /* of such a file: where in paths it begins */
};

struct descriptors {
	struct descriptor *all;
	size_t n, room;
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

#endif
