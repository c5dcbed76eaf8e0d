/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SNP_LAUNCH_H
#define ASSAY_SNP_LAUNCH_H

#include <stdbool.h>

#include "bytes.h"
#include "digest.h"

/*
 * The measurement that an SEV-SNP report has of a virtual machine which QEMU launched with OVMF,
 * from the firmware's file: SEV Secure Nested Paging Firmware ABI Specification 1.55, 8.17 (page by
 * page) and OVMF's OvmfPkg/ResetVector (which pages). Pure.
 */

#define SNP_FIRMWARE_MAX (64u * 1024 * 1024)
#define SNP_SECTIONS_MAX 32
#define SNP_SECTION_MAX	 (16u * 1024 * 1024) /* bytes of one */
#define SNP_VCPUS_MAX	 512

/* A part of the guest's memory that is there at launch. */
struct snp_section {
	uint32_t address, size;
	enum snp_section_kind {
		SNP_SECTION_ZERO = 1,
		SNP_SECTION_SECRETS = 2,
		SNP_SECTION_CPUID = 3,
		SNP_SECTION_KERNEL_HASHES = 0x10,
	} kind;
};

/* Lends from the bytes that it was read from. */
struct snp_firmware {
	struct view image;
	uint32_t reset_at;  /* where further processors begin; 0: it does not say */
	uint32_t hashes_at; /* where the kernel's hashes go; 0: it takes none */
	size_t n;
	struct snp_section sections[SNP_SECTIONS_MAX];
};

/*
 * Reads the table at the firmware's end. -EBADMSG: no OVMF for SEV-SNP; -EMSGSIZE: more than
 * SNP_FIRMWARE_MAX; *ret_why says why, in words that live for ever.
 */
MUST_CHECK int snp_firmware_parse(struct view image, struct snp_firmware *ret,
				  const char **ret_why);

/* The digest after the firmware's own pages, before anything else. Errors of digest_of. */
MUST_CHECK int snp_firmware_digest(const struct snp_firmware *f, struct digest *ret);

struct snp_launch {
	unsigned int vcpus;	/* 1 to SNP_VCPUS_MAX */
	uint32_t cpu_signature; /* as snp_cpu_signature has it */
	/* A kernel that QEMU hands over (-kernel, with sev-snp-guest,kernel-hashes=on), as in its
	 * file. */
	bool has_kernel;
	struct view kernel, initrd;
	const char *command_line;
};

/* CPUID 1, EAX, of a processor's model as QEMU gives it to the guest (-cpu). */
uint32_t snp_cpu_signature(unsigned int family, unsigned int model, unsigned int stepping);

/*
 * The measurement, from the digest after the firmware's pages. -EINVAL: processors out of their
 * range, several of which the firmware does not know the start, or a kernel for which it has no
 * place; *ret_why. Errors of digest_of.
 */
MUST_CHECK int snp_launch_digest(const struct snp_firmware *f, const struct digest *firmware,
				 const struct snp_launch *in, struct digest *ret,
				 const char **ret_why);

#endif
