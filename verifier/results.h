/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_RESULTS_H
#define ASSAY_VERIFIER_RESULTS_H

#include <event2/event.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "config.h"
#include "store.h"

/*
 * Attestation results for other relying parties: verdicts signed as EARs by the keeper, the keys
 * that check them served by the appraiser. docs/attestation-results.md.
 */
struct results {
	EVP_PKEY *key; /* NULL: there are no results */
	int64_t valid_seconds;
};

/*
 * Reads the signing key, where the configuration names one, and holds it against the public keys.
 * *ret_error says what is wrong with which file (free() it). -EINVAL, -ENOMEM.
 */
MUST_CHECK int results_load(const struct verifier_config *config, const char *directory,
			    struct results *ret, char **ret_error);
void results_done(struct results *r);

struct results_wanted {
	const char *application;
	const char *attester; /* hex of the key's name; NULL: every machine that has shown it */
	const char *nonce;    /* NULL: none */
	int64_t now;
};

/*
 * [{"attester": HEX, "result": TOKEN}, ...]. -ENOTSUP: no key; -ENOENT: no verdict; -EINVAL: the
 * nonce's length. -ENOMEM, -EIO.
 */
MUST_CHECK int results_sign(const struct results *r, struct store *store,
			    const struct results_wanted *wanted, json_t **ret);

/* The public keys, over HTTP at /.well-known/jwks.json. */
struct results_http;

/*
 * Reads the keys and binds the address of the configuration; NULL in *ret where it has none. What
 * is wrong is logged. -EINVAL, -ENOMEM, or what binding gave.
 */
MUST_CHECK int results_http_open(struct event_base *base, const struct verifier_config *config,
				 const char *directory, struct results_http **ret);
void results_http_close(struct results_http *h);

#endif
