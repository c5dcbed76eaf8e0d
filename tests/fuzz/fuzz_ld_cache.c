/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "collectors/measure_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int use(void *arg, const char *path, bool special)
{
	/* Lent strings are whole. */
	return strlen(path) > 0 ? 0 : -EBADMSG;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)!ld_cache_find(view_of(data, size), "libc.so.6", use, NULL);
	return 0;
}
