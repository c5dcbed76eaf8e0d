/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SESSION_H
#define ASSAY_VERIFIER_SESSION_H

#include <event2/bufferevent.h>

#include "appraise.h"
#include "appraise_ima.h"
#include "arena.h"
#include "credential.h"
#include "proto/frame.h"
#include "server.h"

/*
 * One connection of an attester: docs/protocol.md, Session. A message that does not
 * belong ends it with a Refusal that is recorded; nothing of one session reaches another.
 */

/* Of a frame, by what the peer has shown so far. */
#define SESSION_FRESH_FRAME_MAX (64 * 1024)
#define SESSION_ENROL_FRAME_MAX (512 * 1024) /* a chip's report, its log and endorsements */

#define SESSION_HELLO_SECONDS 15  /* from the connection to the end of Hello, TLS included */
#define SESSION_ENROL_SECONDS 120 /* ActivateCredential takes a chip its time */
#define SESSION_FRAME_SECONDS 60  /* from the first byte of a frame to its last */
#define SESSION_IDLE_SECONDS  (26 * 3600) /* a daily time node must fit */
#define SESSION_CLOSE_SECONDS 3

enum session_state {
	SESSION_FRESH,	 /* nothing came yet */
	SESSION_MI_ONLY, /* MI uploads, and nothing else */
	SESSION_ENROL,	 /* EnrolRequest is awaited */
	SESSION_PROVE,	 /* EnrolProof is awaited */
	SESSION_READY,
	SESSION_CLOSING, /* what comes is thrown away */
	SESSION_STATES,
};

struct session {
	LIST_ENTRY(session) next;
	struct server *server;
	struct server_dial *dial; /* NULL: it came to us */
	struct bufferevent *bev;
	struct event *timer;
	enum session_state state;
	bool busy;     /* a message is being worked on: the next one waits */
	bool in_frame; /* part of one has come */
	bool large;    /* counts in server->n_large_fresh */
	char peer[KEEPER_PEER_MAX];

	/* Of Hello. */
	uint64_t id; /* the keeper's; 0: none yet */
	const struct evidence_ops *ops;
	bool insecure;
	struct keeper_hello hello;
	uint8_t exporter[EXPORTER_SIZE];

	/* As enrolled, or about to be. */
	struct bytes ak_public, ek_public, ek_certificate, ek_chain;
	struct ima_witness ima; /* what its quotes have proven of IMA's list so far */
	uint8_t credential[CREDENTIAL_SIZE];

	/* The message at hand. */
	struct bytes frame;
	struct arena *arena;
	Assay__ToVerifier *message;
	struct session_evidence *evidence; /* session_evidence.c */
	size_t to_challenge;		   /* applications of Hello that have had theirs */
};

/* ssl is taken over; fd is in it. Frees both on failure. */
MUST_CHECK int session_start(struct server *server, int fd, SSL *ssl, const char *peer,
			     struct server_dial *dial);

/* Ends it at once. */
void session_free(struct session *s);

/* Ends it because of what the peer did: Refusal, a record, the end of the connection. */
void session_refuse(struct session *s, const char *rule, const char *why_format, ...)
	PRINTF_LIKE(3, 4);

/* Ends it because of us. */
void session_fail(struct session *s, const char *why);

/* Sends a message. Its failure ends the session. */
void session_send(struct session *s, const Assay__ToAttester *message);

/* The work on the message at hand is done; the next one may come. */
void session_next(struct session *s);

void session_timer(struct session *s, unsigned int seconds);

/* The application is in Hello and has a policy; NULL: not so. */
const struct policy *session_policy(const struct session *s, const char *application);

/* Asks the keeper for a nonce and sends the Challenge. */
void session_challenge(struct session *s, const char *application, uint32_t stage, bool demand,
		       const char *reason);

/* Handlers in the state table. 0, or a negative errno: the session fails. */
int session_on_hello(struct session *s);
int session_on_enrol_request(struct session *s);
int session_on_enrol_proof(struct session *s);
int session_on_evidence(struct session *s);

/* Enrolled: challenges for every application of Hello. */
void session_ready(struct session *s);

/* MI that it waits for came, or will not come. */
bool session_awaits_mi(const struct session *s, const struct digest *claims_hash);
void session_mi_came(struct session *s, struct bytes *mi);
void session_mi_timeout(struct session *s);
void session_evidence_free(struct session_evidence *e);

#endif
