/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "boot_values.h"
#include "pe.h"

/* Any bytes as an image, and as one that is booted: values, or a refusal that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view file = view_of(data, size), content;
	struct boot_direct direct = {
		.kernel = file, .initrd = file, .command_line = "quiet", .memory_mib = 512
	};
	struct boot_values with, without;
	const char *why = NULL;
	struct digest d;
	struct pe pe;
	int r;

	r = pe_parse(file, &pe, &why);
	if (r < 0)
		return why ? 0 : (abort(), 0);
	if (pe_authenticode(&pe, HASH_SHA256, &d) < 0)
		abort();
	if (pe_content(&pe, ".linux", &content, &why) == 0 && content.len > size)
		abort();
	/* Secure Boot changes PCR 4 alone. */
	r = boot_values_unified(file, false, HASH_SHA256, &without, &why);
	if (r == 0 && (boot_values_unified(file, true, HASH_SHA256, &with, &why) < 0 ||
		       digest_equal(&with.pcr[4], &without.pcr[4]) ||
		       !digest_equal(&with.pcr[9], &without.pcr[9]) ||
		       !digest_equal(&with.pcr[11], &without.pcr[11])))
		abort();
	why = NULL;
	if (boot_values_direct(&direct, HASH_SHA256, &with, &why) < 0 && !why)
		abort();
	/* What a TD's registers are is said only where it is known. */
	direct.kernel_unchanged = true;
	if (boot_values_direct(&direct, HASH_SHA384, &with, &why) == 0 &&
	    (boot_values_rtmr1(&with, &d) < 0 ||
	     (boot_values_rtmr2(&with, &d) == 0) != with.measures_without_tpm))
		abort();
	return 0;
}
