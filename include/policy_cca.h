/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_CCA_H
#define ASSAY_POLICY_CCA_H

#include "policy_sev_snp.h"

/*
 * What a policy accepts of a genuine Arm CCA token: `platforms.cca`, in docs/evidence-cca.md.
 * Part of policy.h.
 */

#define POLICY_CCA_REMS	      4
#define POLICY_CCA_DIGEST_MAX 64

/* Measurements of the three sizes that CCA has: SHA-256, SHA-384, SHA-512. */
struct policy_cca_digest {
	uint8_t bytes[POLICY_CCA_DIGEST_MAX];
	size_t size; /* 32, 48 or 64 */
};

/* n is 0: any is accepted. */
struct policy_cca_digests {
	const struct policy_cca_digest *at;
	size_t n;
};

/* The states of a platform's life (DEN0137, A7.2.3.2.4), bits of `lifecycle`. */
enum policy_cca_lifecycle {
	POLICY_CCA_UNKNOWN = 1 << 0,
	POLICY_CCA_ASSEMBLY = 1 << 1,
	POLICY_CCA_PROVISIONING = 1 << 2,
	POLICY_CCA_SECURED = 1 << 3,
	POLICY_CCA_NON_CCA_DEBUG = 1 << 4,
	POLICY_CCA_RECOVERABLE_DEBUG = 1 << 5,
	POLICY_CCA_DECOMMISSIONED = 1 << 6,
};

/* Words of `lifecycle`; those that no policy can accept are left out. Ended by a NULL word. */
extern const struct policy_flag policy_cca_lifecycles[];

struct policy_cca {
	/* SHA-256 of the SubjectPublicKeyInfo of platform keys (CPAK) that are believed. */
	struct policy_values cpak;
	struct policy_values implementation_id, instance_id, personalization;
	struct policy_cca_digests measurement, rem[POLICY_CCA_REMS];
	/* Of the platform's software components: each is one of these, was signed by one of these. */
	struct policy_cca_digests component_measurements, component_signers;
	const char *const *components; /* types that must be there, NULL-terminated; NULL: none */
	unsigned int lifecycle;	       /* accepted */
};

#endif
