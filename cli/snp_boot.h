/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_SNP_BOOT_H
#define ASSAY_CLI_SNP_BOOT_H

#include "boot_files.h"
#include "snp_launch.h"

/* The launch of an SEV-SNP machine, as the command line of `assay measure boot` says it. */
struct snp_boot {
	const char *firmware; /* lent from argv */
	unsigned int vcpus;   /* 0: not given */
	bool cpu_given;
	uint32_t cpu_signature;
};

/* -EINVAL: not 1 to SNP_VCPUS_MAX. */
MUST_CHECK int snp_boot_vcpus(struct snp_boot *b, const char *text);

/* "25,1,1". -EINVAL. */
MUST_CHECK int snp_boot_cpu(struct snp_boot *b, const char *text);

/* Reads the files; messages on standard error. Returns the exit status. */
MUST_CHECK int snp_boot_measurement(const struct snp_boot *b, const struct boot_files *files,
				    struct digest *ret);

#endif
