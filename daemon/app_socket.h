/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_APP_SOCKET_H
#define ASSAY_DAEMON_APP_SOCKET_H

#include <stdint.h>
#include <sys/types.h>

#include "app.pb-c.h"
#include "arena.h"
#include "secret.h"

struct event_base;

/*
 * The application socket (docs/protocol.md): SOCK_SEQPACKET, one Request or Answer a packet.
 * Anyone may connect; who it is the kernel says (SO_PEERCRED, SO_PEERPIDFD, and
 * SCM_CREDENTIALS with each packet), and what they get follows from the
 * application they belong to. Loop's thread only.
 */
struct app_socket;

#define APP_PACKET_MAX		   (64 * 1024)
#define APP_MEMORY_MAX		   (256 * 1024) /* for one request or answer while it is worked on */
#define APP_CONNECTIONS_MAX	   64		/* of one application; and of root for its status */
#define APP_CONNECTIONS_TOTAL_MAX  1024
#define APP_WAITING_MAX		   16  /* GetSecret with wait, of one connection */
#define APP_ANSWERS_MAX		   64  /* answers a peer has not read yet */
#define APP_PACKETS_PER_SECOND_MAX 200 /* of one connection; more wait in the kernel */

/* Belongs to no application: root, asking for the status. */
#define APP_NONE (-1)

struct app_secret {
	const struct secret *value; /* lent until the next call into the monitor */
	const char *name;	    /* likewise */
	uint32_t stage;
};

/*
 * What the monitor does for applications, told apart by the index that `which` gave. Callbacks
 * return 0 or a negative errno, which becomes Answer.error; *ret_why (text that lives until the
 * next callback; may be left alone) becomes Answer.message. They do not call back into the
 * app_socket but for app_socket_notify and app_socket_event.
 */
struct app_socket_ops {
	/* The application a process belongs to, or APP_NONE. */
	int (*which)(void *arg, pid_t pid);

	/* name is NULL when asked by stage. -EAGAIN: not yet; -ENOENT, -EACCES, -ENOTCONN: see
	 * app.proto. */
	int (*get_secret)(void *arg, int application, const char *name, uint32_t stage,
			  struct app_secret *ret, const char **ret_why);
	int (*begin_stage)(void *arg, int application, uint32_t stage, pid_t pid,
			   const char **ret_why);
	int (*measure)(void *arg, int application, const char *reason, pid_t pid,
		       const char **ret_why);

	/* Fills in answer->status, in the arena; of all applications for APP_NONE. */
	int (*status)(void *arg, int application, struct arena *arena, Assay__Answer *answer);

	/* A secret was handed to a process. name is lent. */
	void (*delivered)(void *arg, int application, uint32_t stage, const char *name, pid_t pid);

	/* Somebody who belongs to no application asked; got -EPERM; is closed. */
	void (*foreign)(void *arg, pid_t pid, uid_t uid);
};

/*
 * Listens at path, mode 0666; a socket that an earlier assayd left there is replaced. ops and arg
 * outlive it. Errors of bind(2).
 */
MUST_CHECK int app_socket_new(struct event_base *base, const char *path,
			      const struct app_socket_ops *ops, void *arg, struct app_socket **ret);

/* Closes every connection and removes the socket. Accepts NULL. */
void app_socket_free(struct app_socket *s);

/* The application's secrets or verdict changed: waiting GetSecret requests are tried again, from
 * the loop. */
void app_socket_notify(struct app_socket *s, int application);

/* Sends an Answer with id 0 to the application's subscribers. */
void app_socket_event(struct app_socket *s, int application, uint32_t stage, int error,
		      const char *message);

/* Callers that belonged to no application. */
uint64_t app_socket_foreign(const struct app_socket *s);

#endif
