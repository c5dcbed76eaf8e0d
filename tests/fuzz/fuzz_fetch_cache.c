/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fetch_cache.h"

/* A file of the cache: whatever is in it, an answer comes out whole or none does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fetched f = { .body = BYTES_INIT(FETCH_BODY_MAX),
			     .chain = BYTES_INIT(FETCH_CHAIN_MAX) };

	if (fetch_cache_parse(view_of(data, size), "https://kds.example/a", 1000, &f) == 0 &&
	    (f.body.len > FETCH_BODY_MAX || f.chain.len > FETCH_CHAIN_MAX))
		__builtin_trap();
	fetched_done(&f);
	return 0;
}
