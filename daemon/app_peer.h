/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_APP_PEER_H
#define ASSAY_DAEMON_APP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "app_socket.h"
#include "bytes.h"
#include "local_socket.h"

/*
 * One connection of the application socket: packets in and out, and their limits. What is in
 * them is app_socket.c's.
 */

/* Answered with -EPERM, and closed. */
#define APP_FOREIGN (-2)

struct app_answer {
	struct bytes packet;
	int secret_fd; /* -1: none */
	char *name;    /* of the secret, for delivered */
	uint32_t stage;
	pid_t pid;
};

/* A GetSecret that waits. */
struct app_waiting {
	uint64_t id;
	char *name; /* NULL: by stage */
	uint32_t stage;
	pid_t pid;
};

struct app_peer {
	struct app_peer *next;
	struct app_socket *socket;
	int fd;
	struct local_peer who;
	uint8_t *buffer;
	int application; /* index, APP_NONE or APP_FOREIGN */
	bool subscribed;
	bool retry; /* its waiting requests are to be tried again */
	bool last;  /* closes when its answers are sent */
	bool dead;  /* closed; freed from the loop */

	struct event *readable, *writable, *refill;
	unsigned int packets_left; /* of this second */

	struct app_waiting waiting[APP_WAITING_MAX];
	size_t n_waiting;
	struct app_answer answers[APP_ANSWERS_MAX]; /* a ring */
	size_t first_answer, n_answers;
};

/*
 * What app_socket.c does with a packet (good during the call; cut: it was longer than a packet may
 * be) from that process; with somebody foreign who asked nothing for a second; with what was sent.
 */
void app_socket_on_packet(struct app_peer *p, struct view packet, bool cut, pid_t pid, uid_t uid);
void app_socket_on_silence(struct app_peer *p);
void app_socket_on_closed(struct app_peer *p);
void app_socket_on_sent(struct app_peer *p, const struct app_answer *a);

/* Takes fd and who over on success. buffer, of APP_PACKET_MAX bytes, is shared by all. */
MUST_CHECK int app_peer_new(struct event_base *base, struct app_socket *socket, int fd,
			    const struct local_peer *who, int application, uint8_t *buffer,
			    struct app_peer **ret);

/* Closes; the object stays until app_peer_free. */
void app_peer_close(struct app_peer *p);
void app_peer_free(struct app_peer *p);

/*
 * Sends, or queues. Takes over a's content whatever comes back. -ENOBUFS: the peer
 * does not read its answers; it was closed.
 */
MUST_CHECK int app_peer_send(struct app_peer *p, struct app_answer *a);

/* Closes when all that was sent has left. */
void app_peer_finish(struct app_peer *p);

/* Drops the waiting request; the others keep their order. */
void app_peer_forget_waiting(struct app_peer *p, size_t i);

#endif
