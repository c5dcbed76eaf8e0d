/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CCA_ANCHOR_H
#define ASSAY_VERIFIER_CCA_ANCHOR_H

#include <openssl/evp.h>

#include "cca_token.h"
#include "digest.h"

/*
 * Keys of CCA platforms (CPAK) with the platform that each is of: a JSON list of objects with
 * "pkey" (a JWK of an elliptic curve, RFC 7517), "instance-id" and, optional, "implementation-id"
 * (hex), as verifiers of Arm's and Veraison's are given them.
 */

#define CCA_ANCHORS_MAX 256

struct cca_anchor {
	uint8_t instance_id[CCA_INSTANCE_SIZE];
	uint8_t implementation_id[CCA_IMPLEMENTATION_SIZE];
	bool has_implementation_id;
	EVP_PKEY *key;
};

struct cca_anchors;

/*
 * -EBADMSG and *ret_why (it lives for ever): another form, no entry, a key that is not on its
 * curve, two entries of one instance. -ENOMEM.
 */
MUST_CHECK int cca_anchors_read(struct view json, struct cca_anchors **ret, const char **ret_why);
void cca_anchors_free(struct cca_anchors *a);

/* By number from 0; NULL past the last. Lent. */
const struct cca_anchor *cca_anchors_at(const struct cca_anchors *a, size_t i);

/* SHA-256 of a key's SubjectPublicKeyInfo: what a policy names it by. -ENOMEM. */
MUST_CHECK int cca_key_digest(EVP_PKEY *key, struct digest *ret);

#endif
