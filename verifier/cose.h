/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_COSE_H
#define ASSAY_VERIFIER_COSE_H

#include <openssl/evp.h>

#include "bytes.h"

/* COSE_Sign1 (RFC 9052, 4.2) by ECDSA (RFC 9053, 2.1), and EC keys of two coordinates (RFC 9053, 7.1.1). */

#define COSE_MESSAGE_MAX (64 * 1024)

/* ES256 with P-256, ES384 with P-384, ES512 with P-521: no other pairs. */
struct cose_algorithm {
	int64_t id;	   /* in the protected header */
	const char *name;  /* "ES384" */
	const char *group; /* of the key, as OpenSSL calls it */
	const char *md;
	int64_t curve;	   /* of a COSE_Key */
	size_t coordinate; /* bytes of x, y, r, s */
};

/* Lent from what it was read from. */
struct cose_sign1 {
	struct view protected_header, payload, signature;
	const struct cose_algorithm *algorithm;
};

/*
 * Tagged (18), the whole of raw. -EBADMSG and *ret_why: another form, a detached payload, an
 * algorithm that is not known or not protected, a critical header (none is known), a signature of
 * another length than the algorithm's.
 */
MUST_CHECK int cose_sign1_read(struct view raw, struct cose_sign1 *ret, const char **ret_why);

/* 1: the key made the signature; 0: it did not, or is of another curve. -ENOMEM. */
MUST_CHECK int cose_sign1_verify(const struct cose_sign1 *m, EVP_PKEY *key);

/*
 * A COSE_Key, the whole of raw, or where it begins with 4 an uncompressed point (SEC 1, 2.3.3) of
 * the curve that has points of this length. The caller owns *ret. -EBADMSG and *ret_why: another
 * form, a private key, a point that is not on its curve. -ENOMEM.
 */
MUST_CHECK int cose_key_read(struct view raw, EVP_PKEY **ret, const char **ret_why);

/* The curve by its COSE number and coordinates as they stand in a key (RFC 7518, 6.2.1). */
MUST_CHECK int cose_key_of_point(int64_t curve, struct view x, struct view y, EVP_PKEY **ret,
				 const char **ret_why);

#endif
