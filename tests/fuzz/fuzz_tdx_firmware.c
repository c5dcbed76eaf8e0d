/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tdx_launch.h"

/* Any bytes as firmware: an MRTD, or a refusal that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct tdx_firmware f;
	uint64_t bytes = 0;
	struct digest d;

	if (tdx_firmware_parse(view_of(data, size), &f, &why) < 0)
		return why ? 0 : (abort(), 0);
	if (f.n == 0 || f.n > TDX_SECTIONS_MAX)
		abort();
	for (size_t i = 0; i < f.n; i++) {
		if (f.sections[i].memory > TDX_SECTION_MAX ||
		    f.sections[i].size > f.sections[i].memory)
			abort();
		bytes += f.sections[i].memory;
	}
	if (bytes > 1024 * 1024) /* it would only take long */
		return 0;
	if (tdx_firmware_mrtd(&f, &d) < 0 || d.size != 48)
		abort();
	return 0;
}
