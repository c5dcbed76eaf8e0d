/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "ima_log.h"

/* Any bytes: entries that lend from them, or a refusal that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view log = view_of(data, size);
	struct ima_signature s;
	struct ima_replay all, some;
	struct ima_entry e;
	struct ima_log l;
	const char *why = NULL;
	size_t n = 0;
	int r;

	if (ima_log_open(log, &l, &why) < 0)
		return why ? 0 : (abort(), 0);
	while ((r = ima_log_next(&l, &e, &why)) == 1) {
		n++;
		if (e.path.len > e.data.len || e.signature.len > e.data.len)
			abort();
		(void)!ima_signature_parse(e.signature, &s, &why);
	}
	ima_log_done(&l);
	if (r < 0 && !why)
		abort();
	if (ima_replay(log, IMA_PCR, HASH_SHA256, NULL, &all, &why) != r)
		abort();
	if (r < 0)
		return 0;
	/* What the whole replay gives is proven by a quote of it, at its end or before. */
	if (ima_replay(log, IMA_PCR, HASH_SHA256, &all.value, &some, &why) < 0 || all.entries > n ||
	    (all.entries > 0 && (!some.matched || some.proven > all.entries)))
		abort();
	return 0;
}
