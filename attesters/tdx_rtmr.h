/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TDX_RTMR_H
#define ASSAY_ATTESTERS_TDX_RTMR_H

#include "digest.h"

/*
 * The runtime measurement registers of a TD, Linux 6.16
 * (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest).
 */

#define TDX_MEASUREMENTS "/sys/devices/virtual/misc/tdx_guest/measurements"
#define TDX_RTMR	 3 /* the one that is left to programs; 0 to 2 are the boot's */

/* -ENOENT: the kernel has none; -EIO: another size. */
MUST_CHECK int tdx_rtmr_read(struct digest *ret);

/* RTMR = SHA-384(RTMR || SHA-384(d)); a SHA-384 digest goes in as it is. */
MUST_CHECK int tdx_rtmr_extend(const struct digest *d);

#endif
