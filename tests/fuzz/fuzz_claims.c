/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes again = BYTES_INIT(CLAIMS_MAX);
	const char *why = NULL;
	Assay__Claims *claims;
	struct arena *arena;
	int r;

	if (arena_new(1024 * 1024, &arena) < 0)
		return 0;
	r = claims_unpack(view_of(data, size), arena, &claims, &why);
	if (r < 0) {
		assert(why);
	} else {
		/* What was understood is what was signed, all of it. */
		r = claims_pack(claims, &again);
		assert(r == -ENOMEM ||
		       (r == 0 && view_equal(bytes_view(&again), view_of(data, size))));
	}
	bytes_done(&again);
	arena_free(arena);
	return 0;
}
