/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SERVER_H
#define ASSAY_VERIFIER_SERVER_H

#include <sys/queue.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "config.h"
#include "keeper_client.h"
#include "policies.h"
#include "store.h"
#include "trust.h"

struct session;
struct server_dial;

/*
 * The appraiser: TLS with the attesters, their sessions, and nothing else. One
 * thread, one loop. Everything that it must read is read before server_main enters
 * the sandbox.
 */

/* MI that came over a second connection before the Evidence it belongs to. */
#define SERVER_UPLOADS_MAX	 16
#define SERVER_UPLOADS_BYTES_MAX (64 * 1024 * 1024)
/* Peers without Hello that may send a frame larger than one needs before it, at a time. */
#define SERVER_LARGE_FRESH_MAX 4
#define SERVER_MI_SECONDS      10

struct server_upload {
	TAILQ_ENTRY(server_upload) next;
	struct digest claims_hash;
	struct bytes mi;
	uint64_t until_ns;
};

struct server {
	const struct verifier_config *config;
	const struct policies *policies;
	struct trust trust;
	struct appraisal_cache *cache; /* across sessions */
	struct event_base *base;
	SSL_CTX *tls;
	struct keeper_client *keeper;
	struct evconnlistener **listeners;
	size_t n_listeners;
	struct server_dial *dials;
	size_t n_dials;
	struct event *alive;
	struct results_http *results; /* NULL: none are served */
	LIST_HEAD(, session) sessions;
	size_t n_sessions;
	size_t n_large_fresh;
	TAILQ_HEAD(, server_upload) uploads;
	size_t n_uploads, uploads_bytes;
	bool serving; /* the keeper has answered */
	bool lost;    /* the keeper has ended */
};

/* The clocks. Nothing else in the verifier reads one. */
struct store_time server_clock(void);

/* alive_ms: how often the keeper is to hear of us. Exit status. */
int server_main(const struct verifier_config *config, const char *directory,
		const struct policies *policies, int fd, unsigned int alive_ms);

/*
 * Keeps MI for the Evidence that is to come, or hands it to the session that waits for it.
 * -ENOBUFS: too much of it waits.
 */
MUST_CHECK int server_upload(struct server *s, const struct digest *claims_hash, struct view mi);

/* The MI that was kept for these Claims, moved to *ret. -ENOENT: none. */
MUST_CHECK int server_take_upload(struct server *s, const struct digest *claims_hash,
				  struct bytes *ret);

/* A session has ended: frees a place, and dials again where it was dialled. */
void server_session_ended(struct server *s, struct session *session, struct server_dial *dial);

#endif
