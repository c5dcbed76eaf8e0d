/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_LAUNCH_H
#define ASSAY_DAEMON_LAUNCH_H

#include <sys/types.h>

#include "config.h"
#include "target.h"

struct event_base;

/*
 * Starts a measured application: what is executed is the descriptor that was
 * measured, in the application's cgroup, as its user, with nothing inherited and without a way to
 * the chip. Two phases: launch_prepare makes the process, which waits; the caller ties it to the
 * application (target.root_pid, follow_add_root) and lets it go with launch_go. After execve the
 * process is held before its first instruction (PTRACE_SEIZE by assayd, let go at once) until
 * the files were checked once more; where the kernel forbids ptrace altogether nothing is started.
 *
 * All calls come from the loop's thread, callbacks from the loop; none waits for the child. SIGCHLD
 * must not be ignored by the program.
 *
 * A process cannot be made non-dumpable across execve: who may look into it (ptrace, /proc/PID/mem)
 * is decided by its user and the capabilities in the VM; the kernel collectors report who did.
 */
struct launch;

/* From launch_go until the program runs; a child that takes longer is killed. */
#define LAUNCH_START_SECONDS 30
/* From LAUNCH_STOP_ASK until it is killed. */
#define LAUNCH_STOP_SECONDS 10
#define LAUNCH_GROUPS_MAX   256
#define LAUNCH_HIDDEN_MAX   64

/* What is hidden from every application: shell patterns (glob(7)), NULL-terminated. */
extern const char *const launch_chip_paths[];

/* Who it runs as. */
struct launch_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[LAUNCH_GROUPS_MAX];
	size_t n_groups;
	char home[256], name[64], shell[128];
};

/*
 * Looks up user and group of the configuration, names or numbers; assayd's own where there are
 * none. -ENOENT: no such user or group.
 */
MUST_CHECK int launch_user_of(const struct config_application *a, struct launch_user *ret);

/* Everything is lent for the duration of launch_prepare, unless it says otherwise. */
struct launch_in {
	const struct target *target; /* its cgroup_fd */
	const struct launch_user *user;
	int program_fd;	   /* from measured_open_program, readable, not O_PATH */
	char *const *argv; /* deliver_arguments, deliver_environment; may be wiped when */
	char *const *envp; /* launch_prepare returned: the child has its own copy */
	const char *credentials_root; /* deliver_files_root: it must exist; hidden but for */
	const char *credentials;      /* this application's directory, its last part; NULL: none */
	const char *const
		*hide; /* further patterns (a swtpm socket), NULL-terminated; NULL: none */
	/* Were the measured files touched? 0 or -ESTALE. Called by launch_go and after execve. */
	int (*check)(void *arg);
};

/* All with the arg of launch_prepare, which in.check gets too. */
struct launch_events {
	/* It runs. */
	void (*started)(void *arg);
	/* May come before launch_go. Nothing was started and the child is gone: step in words
	 * ("user", "execve", "measured files"), errno. */
	void (*failed)(void *arg, const char *step, int error);
	/* After started: it ended, with the status of waitpid(2). */
	void (*exited)(void *arg, int status);
};

/*
 * The child exists afterwards, in its cgroup, and waits. -ret_step (static text) names
 * what failed.
 */
MUST_CHECK int launch_prepare(struct event_base *base, const struct config_application *a,
			      const struct launch_in *in, const struct launch_events *events,
			      void *arg, struct launch **ret, const char **ret_step);

pid_t launch_pid(const struct launch *l);
/* Lent. Readable when the process is gone. */
int launch_pidfd(const struct launch *l);

/*
 * Lets it go. -ESTALE: a measured file was touched; the child is killed, nothing was started
 * and no callback follows. After 0 exactly one of started and failed follows.
 */
MUST_CHECK int launch_go(struct launch *l);

enum launch_stop {
	LAUNCH_STOP_ASK,  /* SIGTERM, and SIGKILL after LAUNCH_STOP_SECONDS */
	LAUNCH_STOP_KILL, /* SIGKILL */
};

/* Ends the first process (the others: target_kill). exited or failed follows. */
void launch_stop(struct launch *l, enum launch_stop how);

/*
 * Accepts NULL. A child that was not let go or is not running yet is killed and reaped; a running
 * application is left alone. No callback follows. May be called in failed and exited.
 */
void launch_free(struct launch *l);

#endif
