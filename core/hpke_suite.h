/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CORE_HPKE_SUITE_H
#define ASSAY_CORE_HPKE_SUITE_H

#include "bytes.h"
#include "hpke.h"
#include "secret.h"

/*
 * The steps of RFC 9180 by their names there, with the AEAD and the ephemeral
 * key as arguments: the vectors of its appendix A fix both. Programs use hpke.h.
 *
 * KEM and KDF are always DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256.
 */

#define HPKE_NONCE_SIZE 12

struct hpke_suite {
	uint16_t aead;	    /* RFC 9180, table 5 */
	const char *cipher; /* its name in OpenSSL */
	size_t key_size;
};

extern const struct hpke_suite hpke_aes_256_gcm;

/* The public key of a private one. -EINVAL: not HPKE_PRIVATE_SIZE bytes. */
MUST_CHECK int hpke_public(const struct secret *private_key, uint8_t ret[HPKE_PUBLIC_SIZE]);

/* 4.1. -EINVAL: the shared point is zero. */
MUST_CHECK int hpke_encap(const uint8_t public_key[HPKE_PUBLIC_SIZE],
			  const struct secret *ephemeral, uint8_t ret_enc[HPKE_PUBLIC_SIZE],
			  struct secret *ret_shared);
MUST_CHECK int hpke_decap(const uint8_t enc[HPKE_PUBLIC_SIZE], const struct secret *private_key,
			  struct secret *ret_shared);

/* 5.1, base mode. */
MUST_CHECK int hpke_key_schedule(const struct hpke_suite *suite, const struct secret *shared,
				 struct view info, struct secret *ret_key,
				 uint8_t ret_nonce[HPKE_NONCE_SIZE]);

/* 6.1 */
MUST_CHECK int hpke_seal_with(const struct hpke_suite *suite, const struct secret *ephemeral,
			      const uint8_t public_key[HPKE_PUBLIC_SIZE], struct view info,
			      struct view aad, struct view plain, uint8_t ret_enc[HPKE_PUBLIC_SIZE],
			      struct bytes *ret);
MUST_CHECK int hpke_open_with(const struct hpke_suite *suite, const struct secret *private_key,
			      const uint8_t enc[HPKE_PUBLIC_SIZE], struct view info,
			      struct view aad, struct view sealed, struct secret *ret);

#endif
