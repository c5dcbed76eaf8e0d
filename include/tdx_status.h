/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TDX_STATUS_H
#define ASSAY_TDX_STATUS_H

#include <stdbool.h>

#include "bytes.h"

/* What Intel says of a platform's TCB, in its words (PCS v4, tcbStatus). The worst is first. */
enum tdx_status {
	TDX_NOT_SUPPORTED, /* no level of the TCB info is as low */
	TDX_REVOKED,
	TDX_OUT_OF_DATE,
	TDX_OUT_OF_DATE_CONFIGURATION_NEEDED,
	TDX_RELAUNCH_ADVISED, /* the platform was mended, the TD still runs on what was before */
	TDX_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
	TDX_CONFIGURATION_NEEDED,
	TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	TDX_SW_HARDENING_NEEDED,
	TDX_UP_TO_DATE,
};

const char *tdx_status_name(enum tdx_status s);

/* -EINVAL: not one of Intel's names. */
MUST_CHECK int tdx_status_by_name(struct view name, enum tdx_status *ret);

/* True for one that a policy may accept: neither revoked nor unsupported, ever. */
bool tdx_status_acceptable(enum tdx_status s);

#endif
