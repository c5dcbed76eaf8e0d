/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_TARGET_STATE_H
#define ASSAY_COLLECTORS_TARGET_STATE_H

#include <sys/stat.h>

#include "collectors/follow.h"
#include "collectors/proc_text.h"
#include "collectors/scan.h"
#include "target.h"

/* What target_scan keeps for the collectors beside struct target. In collectors/ only. */

struct target_detail {
	struct proc_stat stat; /* as of this scan */
	uint64_t resident_bytes;
	/*
	 * Where the first thread has ended and others go on, /proc/PID shows no memory: then
	 * proc_fd is /proc/PID/task/TID of one that lives, and this is /proc/PID. Otherwise -1.
	 */
	int leader_fd;
	bool in_cgroup;	     /* false: followed by eBPF alone, it moved away */
	uint32_t executable; /* index into Mi.files of this scan's MI */
};

struct descriptors;

struct target_state {
	struct target base; /* first */
	uint64_t scans;
	struct descriptors *descriptors; /* as of the scan that first asked; descriptors.c */
	struct scan *iterators;		 /* NULL: why is in iterators_why */
	char iterators_why[128];
	uint64_t iterators_scan; /* for whose processes they are set up; target_iterators */
	int parent_fd;
	struct target_detail *details; /* one for each of base.processes */

	pid_t *pids; /* of the cgroup and followed ones, in order, no pid twice */
	bool *in_cgroup;
	size_t n_pids, room_pids;

	pid_t *members; /* as the eBPF side last told */
	size_t n_members, room_members;
	uint64_t members_changes; /* counters when it did */
	bool members_known;
};

/* Reads the file of that name in the directory whole into b, from the start. */
MUST_CHECK int target_read(int proc_fd, const char *name, struct bytes *b);

/*
 * The kernel writes " (deleted)" behind the path of a file that its name no longer
 * leads to. True if that is what the end of path means, which is then cut off, and not how the
 * file is called. st is of the file, proc_fd of a process that sees it.
 */
bool target_path_deleted(int proc_fd, char *path, const struct stat *st);

/*
 * The iterators, set up for the processes of this scan. *ret is NULL where there are none, and
 * *ret_why then says why. -ENOMEM.
 */
MUST_CHECK int target_iterators(struct target *t, struct scan **ret, const char **ret_why);

/* True if the process has ended since it was scanned, waited for or not. */
bool target_process_ended(const struct target_process *p);

/* The processes of just now, in order; lent until the list is next taken. -ENOMEM, or as reading. */
MUST_CHECK int target_pids_now(struct target *t, const pid_t **ret, size_t *ret_n);

static inline const struct target_detail *target_detail(const struct target *t, size_t i)
{
	return &((const struct target_state *)t)->details[i];
}

/* Why there is no eBPF, in words. */
static inline const char *target_follow_why(const struct target *t)
{
	return t->follow_why ? t->follow_why : "eBPF is not used";
}

#endif
