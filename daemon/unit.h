/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_UNIT_H
#define ASSAY_DAEMON_UNIT_H

#include <sys/types.h>

#include "bytes.h"

/*
 * Applications that systemd starts (`unit:`): the files that say how, and the cgroup that its
 * processes are in.
 */

#define UNIT_FILES_MAX 256
#define UNIT_PATH_MAX  4096

/* Full names, NULL-terminated. Each, and the list, is allocated. */
struct unit_files {
	char **paths;
	size_t n;
};

/*
 * What says how systemd runs the service, below root ("" for this machine's): the unit's own file,
 * the first in systemd's order, and all *.conf beside it or its kind in NAME.service.d and service.d
 * (systemd.unit(5)), those that another of that name hides included. Sorted within each directory.
 * -ENOENT: there is no such unit; -E2BIG: more than UNIT_FILES_MAX. Ended with unit_files_done.
 */
MUST_CHECK int unit_files(const char *root, const char *unit, struct unit_files *ret);
void unit_files_done(struct unit_files *f);

/*
 * Finds the unit's cgroup in a cgroup v2 hierarchy (the directory it is mounted at, lent for the
 * call): units are in slices, and slices in one another. What a service makes below its own is not
 * looked through. The caller closes *ret_fd and frees *ret_path. -ENOENT: the unit has none now.
 */
MUST_CHECK int unit_cgroup(int hierarchy_fd, const char *hierarchy, const char *unit, int *ret_fd,
			   char **ret_path);

/* True if the text of /proc/PID/cgroup (of this hierarchy) is that of a process of the unit. Pure. */
bool unit_owns(struct view proc_cgroup, const char *unit);

/*
 * The main process as systemd knows it, asked on its private socket: 0 and its pid (0: it has none
 * now), and whether the start is over. Blocks, for at most UNIT_ASK_SECONDS. -ENOENT: no systemd
 * is there.
 */
#define UNIT_ASK_SECONDS 5
MUST_CHECK int unit_main_process(const char *unit, pid_t *ret, bool *ret_started);

#endif
