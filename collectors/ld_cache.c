/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads /etc/ld.so.cache, in the form that glibc has written since 2.2 (and alone since
 * 2.32): header, entries, strings that entries point to from the start of the file.
 *
 * The other way would be to ask the loader (ld.so --list PROGRAM). But that runs code
 * out of the very files that are being measured, as root, before anybody has judged
 * them; and it says what this processor would take today, where M should be the same on all.
 */
#include "measure_parts.h"

#include <string.h>

#define CACHE_MAGIC    "glibc-ld.so.cache1.1"
#define ORDER_UNSET    0
#define ORDER_LITTLE   2
#define ENTRIES_MAX    100000
#define HEADER_FILLING 19 /* padding, offset of extensions, reserved words */

/* A path out of the strings of the cache; NULL where it points outside of it. */
static const char *text_in(struct view cache, uint32_t at)
{
	if (at >= cache.len || !memchr(cache.data + at, '\0', cache.len - at))
		return NULL;
	return (const char *)cache.data + at;
}

int ld_cache_find(struct view cache, const char *library,
		  int (*found)(void *arg, const char *path, bool special), void *arg)
{
	struct reader r = reader_of(cache);
	struct view magic, filling;
	uint32_t n, strings;
	uint8_t order;

	if (read_view(&r, strlen(CACHE_MAGIC), &magic) < 0 || !view_is(magic, CACHE_MAGIC) ||
	    read_le32(&r, &n) < 0 || read_le32(&r, &strings) < 0 || read_u8(&r, &order) < 0 ||
	    read_view(&r, HEADER_FILLING, &filling) < 0)
		return -EBADMSG;
	if (n > ENTRIES_MAX || (order != ORDER_LITTLE && order != ORDER_UNSET))
		return -EBADMSG;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t flags, key, value, version;
		const char *name, *path;
		uint64_t capabilities;
		int e;

		if (read_le32(&r, &flags) < 0 || read_le32(&r, &key) < 0 ||
		    read_le32(&r, &value) < 0 || read_le32(&r, &version) < 0 ||
		    read_le64(&r, &capabilities) < 0)
			return -EBADMSG;
		name = text_in(cache, key);
		if (!name || strcmp(name, library) != 0)
			continue;
		path = text_in(cache, value);
		if (!path || path[0] != '/')
			continue;
		e = found(arg, path, capabilities != 0);
		if (e != 0)
			return e;
	}
	return 0;
}
