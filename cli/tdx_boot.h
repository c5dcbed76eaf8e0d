/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_TDX_BOOT_H
#define ASSAY_CLI_TDX_BOOT_H

#include "boot_files.h"
#include "tdx_launch.h"

/* What a TDX quote will have of a boot, as `assay measure boot --tdx-firmware` prints it. */

#define TDX_BOOT_RTMR1_MAX 2

struct tdx_boot {
	struct digest mrtd;
	size_t n; /* of rtmr1: one for each way in which a QEMU may hand over the kernel; 0: not
		     known */
	struct tdx_boot_rtmr1 {
		struct digest value;
		const char *of; /* in words */
	} rtmr1[TDX_BOOT_RTMR1_MAX];
	bool has_rtmr2;
	struct digest rtmr2;
};

/*
 * From the firmware's file and those that will be booted; messages on standard error, also of what
 * is left out. Returns the exit status.
 */
MUST_CHECK int tdx_boot_predict(const char *firmware, const struct boot_files *files,
				struct tdx_boot *ret);

#endif
