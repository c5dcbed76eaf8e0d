/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate_table.h"

#include <string.h>

#define ENTRY_SIZE 24

static const uint8_t no_guid[16];

/* The part of the table that an entry points to; never the entries themselves. */
static int read_blob(struct view table, uint32_t offset, uint32_t len, struct view *ret)
{
	struct reader r = reader_of(table);
	struct view skipped;
	int e;

	if (offset < ENTRY_SIZE || len == 0)
		return -EBADMSG;
	e = read_view(&r, offset, &skipped);
	if (e < 0)
		return e;
	return read_view(&r, len, ret);
}

int certificate_table_read(struct view table, struct certificate_table *ret)
{
	struct reader r = reader_of(table);
	struct certificate_table t = { 0 };
	uint32_t offset, len;
	uint8_t guid[16];
	int e;

	for (;;) {
		e = read_copy(&r, guid, sizeof(guid));
		if (e == 0)
			e = read_le32(&r, &offset);
		if (e == 0)
			e = read_le32(&r, &len);
		if (e < 0)
			return e;
		if (memcmp(guid, no_guid, sizeof(guid)) == 0)
			break;
		if (t.n == CERTIFICATE_TABLE_ENTRIES)
			return -EBADMSG;
		memcpy(t.entries[t.n].guid, guid, sizeof(guid));
		e = read_blob(table, offset, len, &t.entries[t.n].blob);
		if (e < 0)
			return e;
		t.n++;
	}
	if (t.n == 0)
		return -EBADMSG;
	*ret = t;
	return 0;
}
