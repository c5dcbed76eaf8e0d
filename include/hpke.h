/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_HPKE_H
#define ASSAY_HPKE_H

#include "bytes.h"
#include "secret.h"

/*
 * Hybrid public key encryption, RFC 9180, base mode, single shot:
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 */

#define HPKE_PUBLIC_SIZE  32 /* of a public key, and of enc */
#define HPKE_PRIVATE_SIZE 32
#define HPKE_TAG_SIZE     16

/* A fresh key pair P_i. -EIO: the random generator failed; -ENOMEM. */
MUST_CHECK int hpke_keypair(uint8_t ret_public[HPKE_PUBLIC_SIZE], struct secret *ret_private);

/*
 * Seals plain for the holder of the private key (RFC 9180, 6.1). Appends the
 * ciphertext, plain.len + HPKE_TAG_SIZE bytes, to ret. -EINVAL: not a usable
 * public key (the shared point is zero); -EMSGSIZE, -ENOMEM, -EIO.
 */
MUST_CHECK int hpke_seal(const uint8_t public_key[HPKE_PUBLIC_SIZE], struct view info,
			 struct view aad, struct view plain, uint8_t ret_enc[HPKE_PUBLIC_SIZE],
			 struct bytes *ret);

/* Opens. -EBADMSG: not sealed for this key, info and aad, or changed on the way. */
MUST_CHECK int hpke_open(const struct secret *private_key, const uint8_t enc[HPKE_PUBLIC_SIZE],
			 struct view info, struct view aad, struct view sealed,
			 struct secret *ret);

#endif
