/* SPDX-License-Identifier: Apache-2.0 */
#include "der.h"

static int read_length(struct reader *r, size_t *ret)
{
	uint8_t first, byte;
	size_t n = 0;

	if (read_u8(r, &first) < 0)
		return -EBADMSG;
	if (first < 0x80) {
		*ret = first;
		return 0;
	}
	if (first < 0x81 || first > 0x84)
		return -EBADMSG;
	for (int i = 0; i < first - 0x80; i++) {
		if (read_u8(r, &byte) < 0 || (i == 0 && byte == 0))
			return -EBADMSG;
		n = n << 8 | byte;
	}
	if (n < 0x80)
		return -EBADMSG;
	*ret = n;
	return 0;
}

int der_next(struct reader *r, struct der *ret)
{
	struct reader at = *r;
	struct der d;
	size_t len;

	if (read_u8(&at, &d.tag) < 0 || (d.tag & 0x1f) == 0x1f || read_length(&at, &len) < 0 ||
	    read_view(&at, len, &d.content) < 0)
		return -EBADMSG;
	*r = at;
	*ret = d;
	return 0;
}

int der_unsigned(const struct der *d, uint64_t *ret)
{
	struct view c = d->content;
	uint64_t n = 0;

	if (d->tag != DER_INTEGER || c.len == 0 || (c.data[0] & 0x80) || c.len > sizeof(n))
		return -EBADMSG;
	/* Written as short as it can be. */
	if (c.len > 1 && c.data[0] == 0 && !(c.data[1] & 0x80))
		return -EBADMSG;
	for (size_t i = 0; i < c.len; i++)
		n = n << 8 | c.data[i];
	*ret = n;
	return 0;
}
