/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_SEV_SNP_REPORT_H
#define ASSAY_VERIFIER_EVIDENCE_SEV_SNP_REPORT_H

#include "bytes.h"

/*
 * ATTESTATION_REPORT of the SEV-SNP firmware (AMD 56860, "SEV Secure Nested Paging
 * Firmware ABI", MSG_REPORT_RSP), versions 2 to 5. Pure reading: nothing here is trusted
 * before the signature has been checked.
 */

#define SNP_REPORT_SIZE		1184
#define SNP_SIGNED_SIZE		0x2a0
#define SNP_NUMBER_SIZE		48 /* of r and s: P-384 */
#define SNP_TCB_SIZE		8
#define SNP_CHIP_ID_SIZE	64
#define SNP_VERSION_MIN		2
#define SNP_VERSION_MAX		5
#define SNP_VERSION_CPUID	3 /* from here on: family, model, stepping */
#define SNP_VERSION_MITIGATIONS 5
#define SNP_VMPL_MAX		3

/* Guest policy (56860, table "guest policy"). */
#define SNP_POLICY_SMT		     (UINT64_C(1) << 16)
#define SNP_POLICY_MUST_BE_ONE	     (UINT64_C(1) << 17)
#define SNP_POLICY_MIGRATE_MA	     (UINT64_C(1) << 18)
#define SNP_POLICY_DEBUG	     (UINT64_C(1) << 19)
#define SNP_POLICY_SINGLE_SOCKET     (UINT64_C(1) << 20)
#define SNP_POLICY_CXL_ALLOW	     (UINT64_C(1) << 21)
#define SNP_POLICY_AES_256_XTS	     (UINT64_C(1) << 22)
#define SNP_POLICY_RAPL_DISABLE	     (UINT64_C(1) << 23)
#define SNP_POLICY_CIPHERTEXT_HIDING (UINT64_C(1) << 24)
#define SNP_POLICY_PAGE_SWAP_DISABLE (UINT64_C(1) << 25)
#define SNP_POLICY_KNOWN	     ((UINT64_C(1) << 26) - 1)

/* PLATFORM_INFO. */
#define SNP_PLATFORM_SMT	       (UINT64_C(1) << 0)
#define SNP_PLATFORM_TSME	       (UINT64_C(1) << 1)
#define SNP_PLATFORM_ECC	       (UINT64_C(1) << 2)
#define SNP_PLATFORM_RAPL_DISABLED     (UINT64_C(1) << 3)
#define SNP_PLATFORM_CIPHERTEXT_HIDING (UINT64_C(1) << 4)
#define SNP_PLATFORM_ALIAS_CHECK       (UINT64_C(1) << 5)
#define SNP_PLATFORM_TIO	       (UINT64_C(1) << 7)
#define SNP_PLATFORM_KNOWN	       UINT64_C(0xbf)

/* SIGNING_KEY. */
enum snp_signing_key { SNP_KEY_VCEK = 0, SNP_KEY_VLEK = 1, SNP_KEY_NONE = 7 };

struct snp_firmware {
	uint8_t build, minor, major;
};

/* In the order of the structure; byte strings as they stand there. */
struct snp_report {
	uint32_t version, guest_svn;
	uint64_t policy;
	uint8_t family_id[16], image_id[16];
	uint32_t vmpl;
	uint8_t current_tcb[SNP_TCB_SIZE];
	uint64_t platform_info;
	bool author_key_enabled, chip_key_masked;
	enum snp_signing_key signing_key;
	uint8_t report_data[64], measurement[48], host_data[32];
	uint8_t id_key_digest[48], author_key_digest[48];
	uint8_t report_id[32], report_id_ma[32];
	uint8_t reported_tcb[SNP_TCB_SIZE];
	uint8_t family, model, stepping; /* zero in version 2 */
	uint8_t chip_id[SNP_CHIP_ID_SIZE];
	uint8_t committed_tcb[SNP_TCB_SIZE];
	struct snp_firmware current, committed;
	uint8_t launch_tcb[SNP_TCB_SIZE];
	uint64_t launch_mitigations, current_mitigations; /* zero before version 5 */
	uint8_t r[SNP_NUMBER_SIZE], s[SNP_NUMBER_SIZE];	  /* big-endian, unlike in the report */
};

/*
 * -EBADMSG: not exactly one report in a version that is known, with all that is reserved
 * zero; *ret_why says why, in words that live for ever.
 */
MUST_CHECK int snp_report_parse(struct view raw, struct snp_report *ret, const char **ret_why);

/* The part of the same bytes that the signature covers. */
struct view snp_report_signed(struct view raw);

/* True where all bytes are zero, as in an id that the host has masked. */
bool snp_all_zero(const uint8_t *bytes, size_t len);

#endif
