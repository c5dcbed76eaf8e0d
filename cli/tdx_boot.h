/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_TDX_BOOT_H
#define ASSAY_CLI_TDX_BOOT_H

#include "tdx_launch.h"

/*
 * MRTD of a machine with that firmware, as the command line of `assay measure boot` names it;
 * messages on standard error. Returns the exit status.
 */
MUST_CHECK int tdx_boot_mrtd(const char *firmware, struct digest *ret);

#endif
