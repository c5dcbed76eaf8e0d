/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "attesters/tee.h"

/*
 * 64 bytes that a report is to cover, and what a host gave for one: what the attesters look at
 * before they hand it on.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const tee_covers all[] = { tdx_covers, snp_covers, csv_covers, cca_covers };
	struct reader in = reader_of(view_of(data, size));
	struct view wanted, report;

	if (read_view(&in, TSM_INBLOB_SIZE, &wanted) < 0)
		return 0;
	report = view_of(in.at, in.left);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *why = NULL;
		int r = all[i](report, wanted.data, &why);

		/* Refused in words, or the data are in it. */
		if (r != 0 && (r != -EBADMSG || !why))
			abort();
		if (r == 0 && report.len < wanted.len)
			abort();
	}
	return 0;
}
