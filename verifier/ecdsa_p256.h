/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_ECDSA_P256_H
#define ASSAY_VERIFIER_ECDSA_P256_H

#include <openssl/evp.h>

#include "bytes.h"

/* ECDSA over P-256 with SHA-256 as Intel writes it: raw numbers, big-endian. */

#define P256_KEY_SIZE	    64 /* x || y */
#define P256_SIGNATURE_SIZE 64 /* r || s */

/* -EBADMSG: not a point of the curve. -ENOMEM. */
MUST_CHECK int p256_key(struct view xy, EVP_PKEY **ret);

/* 1: the key made the signature over the data; 0: it did not, or is no P-256 key. -ENOMEM. */
MUST_CHECK int p256_verify(EVP_PKEY *key, struct view signature, struct view data);

#endif
