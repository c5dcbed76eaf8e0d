/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SERVER_DIAL_H
#define ASSAY_VERIFIER_SERVER_DIAL_H

#include "server.h"

struct addrinfo;

/*
 * Attesters in listen mode: the verifier opens the connection, and is the TLS server on
 * it all the same. One that is lost is dialled again, later and later.
 */

/* Resolves `dial` of the configuration, once. Errors are logged. */
MUST_CHECK int server_dial_all(struct server *s);
/* The first connections. */
void server_dial_begin(struct server *s);
void server_dial_done(struct server *s);

/* The session of it ended. */
void server_dial_again(struct server_dial *d);

/* "host:port", "[::1]:port", ":port" to addresses (freeaddrinfo). Errors are logged. */
MUST_CHECK int server_resolve(const char *address, bool passive, struct addrinfo **ret);

/* A connection that was made, either way: begins its session, or closes it. In server.c. */
MUST_CHECK int server_connection(struct server *s, int fd, const char *peer,
				 struct server_dial *dial);

#endif
