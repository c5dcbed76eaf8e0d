/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "snp_launch.h"

/* Any bytes as firmware: a measurement, or a refusal that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snp_launch in = { .vcpus = 2, .cpu_signature = 0xa00f11, .command_line = "" };
	struct digest from, with, without;
	const char *why = NULL;
	struct snp_firmware f;
	uint64_t pages = 0;

	if (snp_firmware_parse(view_of(data, size), &f, &why) < 0)
		return why ? 0 : (abort(), 0);
	for (size_t i = 0; i < f.n; i++)
		pages += f.sections[i].size / 4096;
	if (f.n == 0 || f.n > SNP_SECTIONS_MAX || pages > f.n * (SNP_SECTION_MAX / 4096))
		abort();
	if (pages > 4096) /* it would only take long */
		return 0;
	if (snp_firmware_digest(&f, &from) < 0)
		abort();
	why = NULL;
	if (snp_launch_digest(&f, &from, &in, &without, &why) < 0)
		return why ? 0 : (abort(), 0);
	in.has_kernel = true;
	if (snp_launch_digest(&f, &from, &in, &with, &why) == 0 && digest_equal(&with, &without))
		abort();
	return 0;
}
