/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_ECDSA_P256_H
#define ASSAY_VERIFIER_ECDSA_P256_H

#include <openssl/evp.h>

#include "bytes.h"

/* ECDSA over P-256 with SHA-256 as Intel writes it: raw numbers, big-endian. */

#define P256_KEY_SIZE	    64 /* x || y */
#define P256_SIGNATURE_SIZE 64 /* r || s */

/*
 * A public key, and what OpenSSL looks up to verify with it: the first look takes as long as many
 * others, so that a key that is used again is kept. For one thread.
 */
struct p256_key;

/* -EBADMSG: not a point of the curve. -ENOMEM. */
MUST_CHECK int p256_key_of_point(struct view xy, struct p256_key **ret);

/* Takes a reference of its own. -EBADMSG: NULL, or of another kind. -ENOMEM. */
MUST_CHECK int p256_key_of(EVP_PKEY *key, struct p256_key **ret);

/* Accepts NULL. */
void p256_key_free(struct p256_key *k);

/* 1: the key made the signature over the data; 0: it did not, or k is NULL. -ENOMEM. */
MUST_CHECK int p256_verify(struct p256_key *k, struct view signature, struct view data);

#endif
