/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_LAUNCH_CHILD_H
#define ASSAY_DAEMON_LAUNCH_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "launch.h"

/*
 * What the child does between clone and execve. The monitor has threads: after
 * the clone only system calls are safe, so all that needs memory or a look-up is made before, here.
 */

struct launch_hidden {
	char *path;
	bool directory;
};

struct launch_plan {
	const struct launch_user *user;
	const char *directory; /* working directory */
	char *const *argv, *const *envp;
	int program_fd;
	bool script;   /* its interpreter reads it through the descriptor, which stays open */
	int cgroup_fd; /* the directory, to move there */
	int report_fd; /* struct launch_report, on failure; closes on execve */
	int go_fd;     /* a byte: go; end of file: assayd is gone */

	const char *credentials_root, *credentials;
	char *empty_file, *empty_directory; /* below credentials_root, for what is hidden */
	struct launch_hidden hidden[LAUNCH_HIDDEN_MAX];
	size_t n_hidden;
};

struct launch_report {
	uint32_t step; /* for launch_step_name */
	int32_t error; /* negative errno */
};

/* In words; for a number that is not one, too. */
const char *launch_step_name(uint32_t step);

/* Runs the steps, and the program. */
_Noreturn void launch_child(const struct launch_plan *p);

#endif
