/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TARGET_H
#define ASSAY_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mi.h"

/*
 * The target environment (RFC 9334, 3.3): one application while it runs, as the
 * collectors see it. The processes are those of its cgroup and those that the
 * fork-following eBPF program ties to it, whatever cgroup they moved to.
 */

/* What the configuration says of an application that concerns measuring it. All lent. */
struct target_log {
	const char *file;
	const char *match; /* POSIX extended regular expression */
};

struct target_config {
	const char *name;
	const char *const *files; /* static measurement: paths, trees whole */
	size_t n_files;
	const struct target_log *logs;
	size_t n_logs;
	const char *const *environment; /* names to record, shell patterns */
	size_t n_environment;
	bool environment_hash_only;
	const char *const *storage; /* paths whose file system and tree are measured */
	size_t n_storage;
};

struct target_process {
	pid_t pid; /* thread group id */
	pid_t parent;
	uint64_t start_boottime_ns; /* with pid, the identity of a process */
	uid_t uid;
	gid_t gid;
	int proc_fd; /* /proc/PID, open; -1 once the process is gone */
};

/* A file as the kernel has it, whatever name leads there. */
struct target_file {
	uint64_t device; /* st_dev */
	uint64_t inode;
};

enum target_files {
	TARGET_FILES_MEASURED, /* what static measurement read */
	TARGET_FILES_MAPPED,   /* what is mapped as code */
};

struct follow; /* the eBPF side, shared by all applications: follow.h in collectors/ */

struct target {
	const struct target_config *config;
	int cgroup_fd;        /* directory of its cgroup */
	char *cgroup_path;    /* of the directory */
	uint64_t cgroup_id;
	struct follow *follow; /* NULL where eBPF cannot be used */
	const char *follow_why; /* then, why */
	uint32_t slot;        /* its number in the eBPF maps */

	/*
	 * Has changes of these files counted from here on, instead of those that were named before;
	 * NULL where nothing can. What cannot be watched shows in the loss of MI item 10. -ENOMEM.
	 */
	int (*watch)(struct target *t, enum target_files which, const struct target_file *files,
		     size_t n);

	pid_t root_pid; /* first process; 0 before start */
	uint64_t started_boottime_ns, started_realtime_ns;
	uint64_t root_start_boottime_ns;

	/* Snapshot, in order of pid, that target_scan makes at the beginning of a time node. */
	struct target_process *processes;
	size_t n_processes, room;
	bool scan_complete; /* false: processes came faster than they could be listed */
	uint64_t scanned_boottime_ns, previous_scan_boottime_ns;
	uint64_t longest_scan_gap_ns;
};

/* Most processes of one application that are measured; more is an error in MI. */
#define TARGET_PROCESSES_MAX 16384

/*
 * A target with a cgroup of its own, made below parent_fd (a directory of a
 * cgroup v2 hierarchy) under the application's name. -EEXIST: it is there and not
 * empty: an earlier assayd left processes behind. follow may be NULL.
 */
MUST_CHECK int target_new(const struct target_config *config, int parent_fd,
			  const char *parent_path, struct follow *follow, struct target **ret);

/* The cgroup is removed where it is empty by now. Accepts NULL. */
void target_free(struct target *t);

/*
 * From here on the cgroup (another one's: systemd's of a unit, path for people) is the target's, with
 * the processes that are in it by now, as at the begin of a run. It is not removed in the end. The
 * slot is another one afterwards. cgroup_fd is lent for the call. Errors of the kernel.
 */
MUST_CHECK int target_adopt(struct target *t, int cgroup_fd, const char *path);

/* Forgets the processes of the previous run; the cgroup must be empty. */
void target_restart(struct target *t);

/* Takes the snapshot and writes Mi.processes. -ENOMEM, or what reading the cgroup gave. */
MUST_CHECK int target_scan(struct target *t, uint64_t now_boottime_ns, struct mi *mi);

/*
 * After the collectors: takes the processes that ended meanwhile out of the MI. Where one moved on
 * to a child that was not measured, every item is only partly known. -ENOMEM, or as target_scan.
 */
MUST_CHECK int target_settle(struct target *t, struct mi *mi);

/* True if the process (by the identity that pidfd_or_pid's /proc shows) belongs to the application. */
bool target_has(struct target *t, pid_t pid);

/* Ends every process of the application: cgroup.kill, or signals where that is missing. */
MUST_CHECK int target_kill(struct target *t);

/* Stops or continues every process (cgroup.freeze). */
MUST_CHECK int target_freeze(struct target *t, bool stop);

/* True if a process of it is alive. */
bool target_populated(const struct target *t);

#endif
