/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_SEV_SNP_H
#define ASSAY_POLICY_SEV_SNP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a policy accepts of a genuine SEV-SNP report: `platforms.sev-snp`, in
 * docs/evidence-sev-snp.md. Part of policy.h.
 */

/* Byte strings of one size, one after the other. n is 0: any is accepted. */
struct policy_values {
	const uint8_t *bytes;
	size_t size, n;
};

/* The firmware parts that a TCB numbers. */
enum policy_snp_component {
	POLICY_SNP_BOOTLOADER,
	POLICY_SNP_TEE,
	POLICY_SNP_SNP,
	POLICY_SNP_MICROCODE,
	POLICY_SNP_FMC,
	POLICY_SNP_COMPONENTS,
};

/* Bits that a structure of the report must have, must not have. */
struct policy_flags {
	uint64_t require, deny;
};

/* Bits of `platform`: those of PLATFORM_INFO; of `guest_policy`: those of the guest policy. */
struct policy_flag {
	const char *word;
	uint64_t bit;
};
extern const struct policy_flag policy_snp_platform_flags[];	 /* ended by a NULL word */
extern const struct policy_flag policy_snp_guest_policy_flags[]; /* likewise */

struct policy_snp {
	struct policy_values measurement, host_data, id_key_digest, author_key_digest;
	struct policy_values family_id, image_id, chip_id;
	bool debug, migration; /* accepted */
	bool crl_required;     /* of the ARK, in force at the reference time */
	uint32_t vmpl_max, guest_svn_min;
	uint8_t minimum_tcb[POLICY_SNP_COMPONENTS];
	struct policy_flags platform, guest_policy;
	const char *const *products; /* lower case, NULL-terminated; NULL: any */
	const char *const *keys;     /* "vcek", "vlek"; NULL: either */
};

#endif
