/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_JWS_H
#define ASSAY_VERIFIER_JWS_H

#include <jansson.h>
#include <openssl/evp.h>

#include "bytes.h"

/* JSON Web Signatures in the compact form (RFC 7515) with ES256 (RFC 7518, 3.4), and their keys. */

/* base64url without padding (RFC 4648, 5). -EMSGSIZE, -ENOMEM. */
MUST_CHECK int base64url_append(struct bytes *to, struct view data);

/* The public half as a JWK (RFC 7517) with kid, alg and use. -EINVAL: not a key of P-256. -ENOMEM.
 */
MUST_CHECK int jws_public_key(EVP_PKEY *key, json_t **ret);

/* {"keys":[...]}: the public halves (RFC 7517, 5). Errors as above. */
MUST_CHECK int jws_key_set(EVP_PKEY *const *keys, size_t n, json_t **ret);

/* HEADER.PAYLOAD.SIGNATURE over the payload as it is given. Errors as above. -EIO: OpenSSL. */
MUST_CHECK int jws_sign(EVP_PKEY *key, struct view payload, struct bytes *ret);

#endif
