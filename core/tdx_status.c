/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_status.h"

static const char *const names[] = {
	[TDX_NOT_SUPPORTED] = "TCB not supported",
	[TDX_REVOKED] = "Revoked",
	[TDX_OUT_OF_DATE] = "OutOfDate",
	[TDX_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
	[TDX_RELAUNCH_ADVISED] = "TDRelaunchAdvised",
	[TDX_RELAUNCH_ADVISED_CONFIGURATION_NEEDED] = "TDRelaunchAdvisedConfigurationNeeded",
	[TDX_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
	[TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED] = "ConfigurationAndSWHardeningNeeded",
	[TDX_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
	[TDX_UP_TO_DATE] = "UpToDate",
};

const char *tdx_status_name(enum tdx_status s)
{
	return names[s];
}

int tdx_status_by_name(struct view name, enum tdx_status *ret)
{
	/* Unsupported is our finding, not a name that Intel gives. */
	for (size_t i = TDX_REVOKED; i < ARRAY_LEN(names); i++) {
		if (!view_is(name, names[i]))
			continue;
		*ret = (enum tdx_status)i;
		return 0;
	}
	return -EINVAL;
}

bool tdx_status_acceptable(enum tdx_status s)
{
	return s > TDX_REVOKED;
}
