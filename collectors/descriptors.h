/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_DESCRIPTORS_H
#define ASSAY_COLLECTORS_DESCRIPTORS_H

#include "target.h"

/* What the processes of an application have open, as /proc/PID/fd shows it. */

/* Most descriptors of one application that are looked at, at one time node. */
#define DESCRIPTORS_MAX (256 * 1024)

struct descriptor_visitor {
	void *arg;
	/* A socket, by its inode. May be NULL. */
	int (*on_socket)(void *arg, size_t process, uint64_t inode);
	/* A regular file open for writing. The path is lent for the call. May be NULL. */
	int (*on_write)(void *arg, size_t process, const char *path);
};

/*
 * Goes through all descriptors of all processes. *ret_complete is false where a process
 * could not be read (it ended) or there were too many. An error is the visitor's own.
 */
MUST_CHECK int descriptors_visit(const struct target *t, const struct descriptor_visitor *v,
				 bool *ret_complete);

#endif
