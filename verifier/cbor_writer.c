/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor_writer.h"

#include <cbor.h>

#define HEAD_MAX 9

/* len is 0 only where the room is too small, which it is not. */
static int put(struct bytes *to, const uint8_t head[HEAD_MAX], size_t len)
{
	return len == 0 ? -EINVAL : bytes_append(to, head, len);
}

int cbor_writer_int(struct bytes *to, int64_t number)
{
	uint8_t head[HEAD_MAX];
	size_t len = number < 0 ? cbor_encode_negint((uint64_t)(-1 - number), head, HEAD_MAX)
				: cbor_encode_uint((uint64_t)number, head, HEAD_MAX);

	return put(to, head, len);
}

int cbor_writer_bytes(struct bytes *to, struct view v)
{
	uint8_t head[HEAD_MAX];
	int r;

	r = put(to, head, cbor_encode_bytestring_start(v.len, head, HEAD_MAX));
	return r < 0 ? r : bytes_append_view(to, v);
}

int cbor_writer_text_view(struct bytes *to, struct view text)
{
	uint8_t head[HEAD_MAX];
	int r;

	r = put(to, head, cbor_encode_string_start(text.len, head, HEAD_MAX));
	return r < 0 ? r : bytes_append_view(to, text);
}

int cbor_writer_text(struct bytes *to, const char *text)
{
	return cbor_writer_text_view(to, view_text(text));
}

int cbor_writer_array(struct bytes *to, size_t n)
{
	uint8_t head[HEAD_MAX];

	return put(to, head, cbor_encode_array_start(n, head, HEAD_MAX));
}

int cbor_writer_map(struct bytes *to, size_t n)
{
	uint8_t head[HEAD_MAX];

	return put(to, head, cbor_encode_map_start(n, head, HEAD_MAX));
}

int cbor_writer_tag(struct bytes *to, uint64_t tag)
{
	uint8_t head[HEAD_MAX];

	return put(to, head, cbor_encode_tag(tag, head, HEAD_MAX));
}
