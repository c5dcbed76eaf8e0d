/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_DELIVER_H
#define ASSAY_DAEMON_DELIVER_H

#include <sys/types.h>

#include "config.h"
#include "secret.h"

struct event_base;

/*
 * How secrets reach programs that do not ask for them: at start as arguments and
 * environment, as files in a private tmpfs, or through systemd's LoadCredential=.
 */

/* A secret of a stage. All lent. */
struct deliver_secret {
	const char *name;
	uint32_t stage;
	const struct secret *value;
};

/* A list of strings for execve(2) in secret memory. At most SECRET_MAX bytes. */
struct deliver_strings {
	char **list; /* NULL-terminated, into content */
	size_t n;
	struct secret content;
};

/* True if a secret may have that name: a credential's file name (letters, digits, '.', '_', '-', no
 * '.' first). */
bool deliver_name_valid(const char *name);

/*
 * The application's arguments, each {secret:NAME} replaced where the secret's
 * stage is delivered as argument. An argument can be read by every user of the
 * machine in /proc/PID/cmdline; docs say so. -ENOENT: a secret that exec names is not among
 * them (*ret_name is its place in exec); -EINVAL: a secret with a zero byte; -EMSGSIZE.
 */
MUST_CHECK int deliver_arguments(const struct config_application *a,
				 const struct deliver_secret *secrets, size_t n,
				 struct deliver_strings *ret);

/*
 * Its environment: PATH and LANG, HOME, USER, LOGNAME and SHELL, what the configuration sets,
 * CREDENTIALS_DIRECTORY where credentials (a path) is not NULL, and a variable for each secret
 * whose stage is delivered as environment. lang may be NULL. -EINVAL: a secret with a zero byte;
 * -EMSGSIZE.
 */
struct launch_user;
MUST_CHECK int deliver_environment(const struct config_application *a,
				   const struct launch_user *user, const char *lang,
				   const char *credentials, const struct deliver_secret *secrets,
				   size_t n, struct deliver_strings *ret);

/* Wipes. May be called again. */
void deliver_strings_done(struct deliver_strings *s);

/*
 * Credential files of one application: RUNTIME/credentials/APP, a tmpfs that is never swapped,
 * directory 0500, files 0400, owned by the application's user; inside the
 * application's mount namespace read-only and the only one that can be seen.
 */
struct deliver_files;

#define DELIVER_FILES_MAX (1024 * 1024) /* bytes of the tmpfs */

/* What an earlier assayd left mounted there is unmounted. Errors of mkdir(2), mount(2). */
MUST_CHECK int deliver_files_open(const char *runtime_directory, const char *application, uid_t uid,
				  gid_t gid, struct deliver_files **ret);

/* RUNTIME/credentials, and the application's directory in it. Lent. */
const char *deliver_files_root(const struct deliver_files *f);
const char *deliver_files_path(const struct deliver_files *f);

/* Writes a file; another of that name is replaced, in one step. -EINVAL: not a name; -ENOSPC. */
MUST_CHECK int deliver_files_put(struct deliver_files *f, const char *name,
				 const struct secret *value);

/* Removes the files and unmounts. Accepts NULL. */
void deliver_files_close(struct deliver_files *f);

/* RUNTIME/credentials, made where it is missing; for applications without files, too. */
MUST_CHECK int deliver_root_make(const char *runtime_directory, char **ret);

/*
 * The credential socket: LoadCredential=NAME:/run/assay/credential.sock in the unit APP.service
 * (systemd.exec(5)). systemd connects from the abstract address "\0RANDOM/unit/UNIT/NAME".
 */
struct deliver_socket;

#define DELIVER_WAITING_MAX 128 /* connections */

struct deliver_socket_ops {
	/*
	 * 0 and the secret, lent until the call after it returns; -EAGAIN: not yet, ask again after
	 * deliver_socket_notify; anything else: the connection is closed without an answer.
	 * application is a unit's name without ".service" and may be none of ours; pid is of
	 * systemd's process that asks.
	 */
	int (*get)(void *arg, const char *application, const char *name, pid_t pid,
		   struct deliver_secret *ret);
	/* It was handed to systemd (pid). */
	void (*delivered)(void *arg, const char *application, uint32_t stage, const char *name,
			  pid_t pid);
	/* Somebody who is not systemd asked. */
	void (*foreign)(void *arg, pid_t pid, uid_t uid);
};

/*
 * passed_fd: a socket that the service manager listens on at path already (assayd.socket), which it
 * keeps, so that whoever connects while assayd is away waits; owned by it from here on, whatever
 * comes back. -1: none, it is made, and removed in the end. Errors of bind(2).
 */
MUST_CHECK int deliver_socket_open(struct event_base *base, const char *path, int passed_fd,
				   const struct deliver_socket_ops *ops, void *arg,
				   struct deliver_socket **ret);
/* An application's secrets changed: those that wait are asked for again. */
void deliver_socket_notify(struct deliver_socket *s, const char *application);
void deliver_socket_close(struct deliver_socket *s);

/*
 * Unit and credential of such an address (as from getpeername, sun_path of len bytes):
 * the unit's name without ".service". -EBADMSG: another form or a name that could not be ours.
 */
MUST_CHECK int deliver_socket_parse(struct view address, char ret_application[256],
				    char ret_name[256]);

#endif
