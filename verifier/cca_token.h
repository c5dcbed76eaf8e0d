/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CCA_TOKEN_H
#define ASSAY_VERIFIER_CCA_TOKEN_H

#include "cose.h"

/*
 * The attestation token of Arm CCA (Realm Management Monitor specification, DEN0137, A7.2): a
 * platform token, signed by the platform's key (CPAK), and a realm token, signed by a key (RAK)
 * that the platform token vouches for by its nonce.
 */

#define CCA_TOKEN_MAX	     (64 * 1024)
#define CCA_REMS	     4
#define CCA_COMPONENTS_MAX   64
#define CCA_TEXT_MAX	     256 /* of a text claim */
#define CCA_CONFIG_MAX	     1024
#define CCA_CHALLENGE_SIZE   64
#define CCA_PERSONAL_SIZE    64
#define CCA_IMPLEMENTATION_SIZE 32
#define CCA_INSTANCE_SIZE    33 /* a UEID of type RAND: 0x01, then 32 bytes */

/* One software component of the platform. All is lent; empty: not said. */
struct cca_component {
	struct view type, measurement, version, signer_id, hash_alg;
};

struct cca_platform {
	struct view profile, nonce, implementation_id, instance_id, config, hash_alg;
	struct view verification_service; /* empty: not said */
	uint64_t lifecycle;
	struct cca_component components[CCA_COMPONENTS_MAX];
	size_t n_components;
};

struct cca_realm {
	struct view profile; /* empty: not said (legacy) */
	struct view challenge, personalization, rim, rem[CCA_REMS], hash_alg;
	struct view public_key, public_key_hash_alg;
};

/* Lent from the bytes that it was read from. */
struct cca_token {
	struct cose_sign1 platform_message, realm_message;
	struct cca_platform platform;
	struct cca_realm realm;
	bool wrapped; /* members in a CMW collection (tag 907), not bare (tag 399) */
};

/* True if the bytes begin as a token does; they need not be one. */
bool cca_token_begins(struct view raw);

/* The whole of raw. -EBADMSG and *ret_why, in words that live for ever. Nothing is verified. */
MUST_CHECK int cca_token_read(struct view raw, struct cca_token *ret, const char **ret_why);

/* The claims alone, the whole of raw. -EBADMSG as above. */
MUST_CHECK int cca_platform_read(struct view raw, struct cca_platform *ret, const char **ret_why);
MUST_CHECK int cca_realm_read(struct view raw, struct cca_realm *ret, const char **ret_why);

#endif
