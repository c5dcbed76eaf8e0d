/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_FETCH_H
#define ASSAY_CLI_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

/*
 * Gets what a service on the network has, over HTTPS, with a cache of files and with patience where
 * the service asks for it (RFC 6585, 4; RFC 9110, 10.2.3). The command line alone fetches: neither
 * assayd nor assay-verifierd speaks HTTP.
 */

#define FETCH_BODY_MAX	 (1024 * 1024)
#define FETCH_CHAIN_MAX	 (64 * 1024) /* of one header, decoded */
#define FETCH_TRIES_MAX	 6
#define FETCH_AGE_MAX	 (24 * 3600) /* seconds that an answer is kept at most */
#define FETCH_CONNECT_S	 15
#define FETCH_TRANSFER_S 60
#define FETCH_WHY_MAX	 256

struct fetch_config {
	const char *cache;     /* a directory, made where it is not there; NULL: no cache */
	const char *ca;	       /* PEM, instead of the system's CAs; NULL: those */
	bool allow_http;       /* http: as well: for a service on this machine */
	unsigned int max_wait; /* seconds to wait in all where services ask for it */
	int64_t (*now)(void);
	void (*wait)(unsigned int seconds);
};

/* ret->chain: issuers that the service names in a header (Intel's PCS), PEM; often empty. */
struct fetched {
	struct bytes body, chain;
	bool from_cache;
};

struct fetch;

MUST_CHECK int fetch_new(const struct fetch_config *config, struct fetch **ret);
void fetch_free(struct fetch *f);

/*
 * again: past the cache. *ret is the caller's (fetched_done). -ENOENT: the service has no such
 * thing; -EAGAIN: it asked to wait longer than allowed; -EMSGSIZE; -EPROTO: any other answer;
 * -EHOSTUNREACH: no answer. fetch_why then says it in words.
 */
MUST_CHECK int fetch_get(struct fetch *f, const char *url, bool again, struct fetched *ret);
void fetched_done(struct fetched *d);
const char *fetch_why(const struct fetch *f);

#endif
