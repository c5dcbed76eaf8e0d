/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "eventlog.h"

/* Any bytes: a replay, or a refusal that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct eventlog_replay replay;
	const char *why = NULL;
	int r;

	r = eventlog_replay(view_of(data, size), &replay, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	if (r == 0 && (replay.end > size || replay.events > EVENTLOG_EVENTS_MAX ||
		       replay.n_banks > EVENTLOG_BANKS_MAX))
		abort();
	return 0;
}
