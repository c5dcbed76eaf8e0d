/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_MAPPINGS_H
#define ASSAY_COLLECTORS_MAPPINGS_H

#include "bytes.h"
#include "collectors/proc_text.h"

/* Executable memory of a process, as the kernel has it now. */

/* Most executable mappings of one process that are measured. */
#define MAPPINGS_MAX 16384

/* Which of the kernel's ways work here; found out at the first use. Zero to begin with. */
struct mappings_ways {
	bool no_query; /* PROCMAP_QUERY (Linux 6.11): then the text of maps is taken apart */
	bool no_scan;  /* PAGEMAP_SCAN (Linux 6.7): then pagemap's own bits */
	/* Whether the caller knows that file's name, so that it may be left empty. May be NULL. */
	bool (*is_known)(void *arg, uint64_t device, uint64_t inode);
	void *known_arg;
};

/*
 * Calls on_mapping for each executable mapping, in order of address; its name is lent for
 * the call. text is room for reading, used where the kernel cannot be asked better.
 * -ESRCH: the process is gone. -E2BIG: more than MAPPINGS_MAX.
 */
MUST_CHECK int mappings_executable(struct mappings_ways *ways, int proc_fd, struct bytes *text,
				   int (*on_mapping)(void *arg, const struct proc_mapping *m),
				   void *arg);

/* The same for mappings of files that are shared and writable. */
MUST_CHECK int mappings_written(struct mappings_ways *ways, int proc_fd, struct bytes *text,
				int (*on_mapping)(void *arg, const struct proc_mapping *m),
				void *arg);

/*
 * The mapping that the address lies in, of whatever protection; *ret has no name. -ENOENT: there is
 * none. Else as above.
 */
MUST_CHECK int mappings_at(struct mappings_ways *ways, int proc_fd, struct bytes *text,
			   uint64_t address, struct proc_mapping *ret);

/* /proc/PID/maps, for mappings_again; the caller closes it. -ESRCH. */
MUST_CHECK int mappings_open(int proc_fd, int *ret);

/*
 * The mapping that now begins in m's place, with its name, which is lent from name; no_copies stays
 * where it is the same. PROCMAP_QUERY only. -ENOENT: there is none any more.
 */
MUST_CHECK int mappings_again(int maps_fd, char *name, size_t size, struct proc_mapping *m);

/*
 * Calls on_pages for runs of pages in a mapping of a file that are private copies: somebody wrote
 * to them, and they stay so when the old bytes are put back. pagemap_fd is /proc/PID/pagemap.
 */
MUST_CHECK int mappings_private_pages(struct mappings_ways *ways, int pagemap_fd, uint64_t start,
				      uint64_t end,
				      int (*on_pages)(void *arg, uint64_t start, uint64_t pages),
				      void *arg);

#endif
