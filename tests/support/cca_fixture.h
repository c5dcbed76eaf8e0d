/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_CCA_FIXTURE_H
#define ASSAY_TESTS_CCA_FIXTURE_H

#include <openssl/evp.h>

#include "digest.h"
#include "endorsements.h"
#include "x509_chain.h"

/*
 * An Arm CCA platform of our own: its key (CPAK), a realm's key (RAK), and the tokens that they
 * sign, in the legacy form and in that of 2023. What a test changes is signed as it is then.
 */

#define CCA_FIXTURE_CHALLENGE 64
#define CCA_FIXTURE_COMPONENTS 2

struct cca_fixture {
	EVP_PKEY *cpak, *rak, *other; /* P-384; other is nobody's */
	struct x509_pin root;	      /* the CPAK, by its SubjectPublicKeyInfo */

	bool profile_2023; /* realm profile, RAK as a COSE_Key; else legacy, RAK as a point */
	bool wrapped;	   /* a CMW collection of both tokens, tag 907; else tag 399 */
	uint8_t implementation_id[32], instance_id[33];
	uint64_t lifecycle;
	const char *component_types[CCA_FIXTURE_COMPONENTS];
	uint8_t component_measurements[CCA_FIXTURE_COMPONENTS][32], signer_id[32];

	uint8_t challenge[CCA_FIXTURE_CHALLENGE], personalization[64];
	size_t size; /* of rim and rem: 32, 48, 64 */
	uint8_t rim[64], rem[4][64];

	/* What is wrong with it; NULL and 0: nothing. */
	EVP_PKEY *platform_signer, *realm_signer; /* instead of CPAK and RAK */
	EVP_PKEY *vouched; /* the realm key that the platform token speaks of, instead of the RAK */
	const char *key_hash_name; /* instead of "sha-256", which it is */
	int64_t platform_algorithm; /* instead of -35 */
	bool algorithm_unprotected, critical_header;
	int64_t without_platform_claim, without_realm_claim, twice_realm_claim;
	const char *platform_profile, *realm_profile;
};

/* Keys, and the values of a good token: RIM 0x3e ..., registers 0x11 ... to 0x44 ..., secured. */
void cca_fixture_init(struct cca_fixture *f);
void cca_fixture_done(struct cca_fixture *f);

/* The token as f says, signed. The caller ends *ret. */
void cca_fixture_token(const struct cca_fixture *f, struct bytes *ret);

/* The CPAK. */
void cca_fixture_endorse(const struct cca_fixture *f, struct endorsements *e);

/* The public half as PEM. The caller ends *ret. */
void cca_fixture_public_pem(EVP_PKEY *key, struct bytes *ret);

#endif
