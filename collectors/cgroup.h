/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_CGROUP_H
#define ASSAY_COLLECTORS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/*
 * Directories of a cgroup v2 hierarchy, which may be mounted anywhere and have no
 * controllers: it holds processes together, can freeze and kill them, and eBPF programs
 * attach to it.
 */

/* Most bytes of /proc/self/mountinfo that are looked at. */
#define CGROUP_MOUNTINFO_MAX (4 * 1024 * 1024)

/*
 * Where a cgroup v2 hierarchy is mounted, from the text of /proc/self/mountinfo (proc(5); escapes
 * such as \040 undone). Pure. The caller frees *ret. -ENOENT: none is.
 */
MUST_CHECK int cgroup_parse_mountinfo(struct view text, char **ret);

/* This process's place below that mount, from the text of /proc/self/cgroup. Pure. -ENOENT. */
MUST_CHECK int cgroup_parse_self(struct view text, char **ret);

/*
 * Opens, and makes where needed, the directory below which applications get theirs:
 * the configured one (absolute; must be on a cgroup v2 file system), or with NULL `assay` below
 * this process's own place in the hierarchy that is mounted. On success the caller closes *ret_fd
 * and frees *ret_path. Otherwise ret_why says what to do. -ENOENT: no cgroup v2 is mounted;
 * -ENOTSUP: configured path is not on one; -EACCES and others.
 */
MUST_CHECK int cgroup_base(const char *configured, int *ret_fd, char **ret_path, char *ret_why,
			   size_t size);

/*
 * Makes the directory, or takes an existing one that holds no process. -EEXIST: it is there
 * and a process is in it. The caller closes *ret_fd.
 */
MUST_CHECK int cgroup_make(int parent_fd, const char *name, int *ret_fd);

/* Removes it with the cgroups below it. -EBUSY: a process is in it. -ENOENT. */
MUST_CHECK int cgroup_remove(int parent_fd, const char *name);

/* The kernel's number of the cgroup, as eBPF programs see it. */
MUST_CHECK int cgroup_id(int fd, uint64_t *ret);

/* Moves the process, with all its threads, into the cgroup. -ESRCH. */
MUST_CHECK int cgroup_add(int fd, pid_t pid);

/*
 * Thread group ids in the cgroup and those below it, for at most max, in no
 * order; returns their number (past max: all the same), or a negative errno. A process of
 * another pid namespace, which shows as 0, is counted and not listed.
 */
MUST_CHECK ssize_t cgroup_pids(int fd, pid_t *ret, size_t max);

/* True if a process is alive in it or below it (cgroup.events). */
MUST_CHECK int cgroup_populated(int fd, bool *ret);

/*
 * cgroup.events, whose change shows as EPOLLPRI and POLLERR: for noticing that
 * the last process ended. The caller closes *ret_fd.
 */
MUST_CHECK int cgroup_open_events(int fd, int *ret_fd);

/* Ends every process: cgroup.kill, or on a kernel without it SIGKILL to each until none is new. */
MUST_CHECK int cgroup_kill(int fd);

/* Stops or continues every process. Takes effect a moment later: cgroup.events says when. */
MUST_CHECK int cgroup_freeze(int fd, bool stop);

/* CPU time used by all that ever ran in it. -ENOENT: the kernel does not say. */
MUST_CHECK int cgroup_cpu_ns(int fd, uint64_t *ret);

#endif
