/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SDK_CONNECTION_H
#define ASSAY_SDK_CONNECTION_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "answer.h"
#include "assay/assay.h"
#include "cleanup.h"

#define MESSAGE_MAX 1024

struct assay {
	int fd; /* -1: closed, by assayd or because it sent what it must not */
	struct sockaddr_un address;
	socklen_t address_len;
	uint64_t id;	 /* of the last request */
	bool subscribed; /* answers with id 0 may come */
	bool event_seen; /* one came, and was dropped, while waiting for another answer */
	char message[MESSAGE_MAX];
	uint8_t packet[PACKET_MAX + 1]; /* a byte more, to see one that is too long */
};

/* A point in time by CLOCK_MONOTONIC. */
struct deadline {
	bool forever;
	int64_t at_ns;
};

struct deadline deadline_in(int timeout_ms);

/* An answer that was read and checked. */
struct answer {
	struct arena *arena;
	Assay__Answer *msg; /* in the arena */
	int fd;		    /* with has_secret; -1 otherwise */
};

#define ANSWER_NONE                                                                                \
	(struct answer)                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

void answer_done(struct answer *a);

/* Connects to where `to` names. */
MUST_CHECK int connection_new(const struct sockaddr_un *to, socklen_t len, struct deadline by,
			      struct assay **ret);

/*
 * Sends the request under a fresh id and waits for its answer. What the answer says as an
 * error is returned, its words go to a->message; so *ret, set on success, is a success. Answers
 * to earlier requests, whose calls timed out, are dropped.
 */
MUST_CHECK int connection_call(struct assay *a, Assay__Request *request, struct deadline by,
			       struct answer *ret);

/* As above where the answer says no more than "done". */
MUST_CHECK int connection_tell(struct assay *a, Assay__Request *request, struct deadline by);

/* Waits for an event, on a connection that is subscribed. An event may carry an error: see msg. */
MUST_CHECK int connection_event(struct assay *a, struct deadline by, struct answer *ret);

/* Makes the connection one that events come over. */
MUST_CHECK int connection_subscribe(struct assay *a, struct deadline by);

/*
 * The answers cannot be believed, or have ended: nothing more is read. Returns r, and every
 * later call -ECONNRESET.
 */
int connection_end(struct assay *a, int r);

/* Another connection to where a goes. */
MUST_CHECK int connection_again(const struct assay *a, struct deadline by, struct assay **ret);

CLEANUP_FUNCTION(struct assay *, assay_close)
CLEANUP_FUNCTION(struct arena *, arena_free)

#endif
