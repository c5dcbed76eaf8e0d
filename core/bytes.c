/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int bytes_reserve(struct bytes *b, size_t len, uint8_t **ret)
{
	size_t room;
	uint8_t *data;

	if (len > b->max || b->len > b->max - len)
		return -EMSGSIZE;
	if (b->len + len > b->room || !b->data) {
		room = b->room ? b->room : 64;
		while (room < b->len + len)
			room = room > b->max / 2 ? b->max : 2 * room;
		if (room > b->max)
			room = b->max;
		/* A zero maximum still yields a pointer, so that callers need no special case. */
		data = realloc(b->data, room ? room : 1);
		if (!data)
			return -ENOMEM;
		b->data = data;
		b->room = room;
	}
	*ret = b->data + b->len;
	return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t len)
{
	uint8_t *to;
	int r;

	r = bytes_reserve(b, len, &to);
	if (r < 0)
		return r;
	if (len > 0)
		memcpy(to, data, len);
	b->len += len;
	return 0;
}

int bytes_append_view(struct bytes *b, struct view v)
{
	return bytes_append(b, v.data, v.len);
}

int bytes_append_u8(struct bytes *b, uint8_t v)
{
	return bytes_append(b, &v, 1);
}

static int append_be(struct bytes *b, uint64_t v, size_t size)
{
	uint8_t be[8];

	for (size_t i = 0; i < size; i++)
		be[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
	return bytes_append(b, be, size);
}

int bytes_append_be16(struct bytes *b, uint16_t v)
{
	return append_be(b, v, 2);
}

int bytes_append_be32(struct bytes *b, uint32_t v)
{
	return append_be(b, v, 4);
}

int bytes_append_be64(struct bytes *b, uint64_t v)
{
	return append_be(b, v, 8);
}

int bytes_append_text(struct bytes *b, const char *text)
{
	return bytes_append(b, text, strlen(text));
}

int bytes_printf(struct bytes *b, const char *format, ...)
{
	va_list args;
	char *text;
	int n, r;

	/* Not into b itself: the final NUL would need a byte more than the maximum allows. */
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	r = bytes_append(b, text, (size_t)n);
	free(text);
	return r;
}

int bytes_read_fd(struct bytes *b, int fd)
{
	uint8_t *to;
	size_t want;
	ssize_t n;
	int r;

	for (;;) {
		want = b->room - b->len;
		if (want == 0) {
			want = b->max - b->len;
			if (want > 65536)
				want = 65536;
		}
		if (want == 0) {
			/* Full: one more byte would be one too many. */
			uint8_t extra;

			n = read(fd, &extra, 1);
			if (n < 0 && errno == EINTR)
				continue;
			return n < 0 ? neg_errno() : n == 0 ? 0 : -EMSGSIZE;
		}
		r = bytes_reserve(b, want, &to);
		if (r < 0)
			return r;
		n = read(fd, to, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (n == 0)
			return 0;
		b->len += (size_t)n;
	}
}

void bytes_reset(struct bytes *b)
{
	b->len = 0;
}

void bytes_done(struct bytes *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->room = 0;
}

struct view bytes_view(const struct bytes *b)
{
	return (struct view){ b->data, b->len };
}

struct view view_of(const void *data, size_t len)
{
	return (struct view){ data, len };
}

struct view view_text(const char *text)
{
	return view_of(text, strlen(text));
}

bool view_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool view_is(struct view v, const char *text)
{
	return view_equal(v, view_text(text));
}

struct reader reader_of(struct view v)
{
	return (struct reader){ v.data, v.len };
}

int read_view(struct reader *r, size_t len, struct view *ret)
{
	if (len > r->left)
		return -EBADMSG;
	*ret = (struct view){ r->at, len };
	if (len > 0)
		r->at += len;
	r->left -= len;
	return 0;
}

int read_copy(struct reader *r, void *to, size_t len)
{
	struct view v;
	int e;

	e = read_view(r, len, &v);
	if (e < 0)
		return e;
	if (len > 0)
		memcpy(to, v.data, len);
	return 0;
}

int read_until(struct reader *r, uint8_t stop, struct view *ret)
{
	const uint8_t *at;

	if (r->left == 0)
		return -EBADMSG;
	at = memchr(r->at, stop, r->left);
	if (!at)
		return read_view(r, r->left, ret);
	*ret = (struct view){ r->at, (size_t)(at - r->at) };
	r->at += ret->len + 1;
	r->left -= ret->len + 1;
	return 0;
}

static int read_be(struct reader *r, size_t size, uint64_t *ret)
{
	struct view v;
	uint64_t n = 0;
	int e;

	e = read_view(r, size, &v);
	if (e < 0)
		return e;
	for (size_t i = 0; i < size; i++)
		n = n << 8 | v.data[i];
	*ret = n;
	return 0;
}

static int read_le(struct reader *r, size_t size, uint64_t *ret)
{
	struct view v;
	uint64_t n = 0;
	int e;

	e = read_view(r, size, &v);
	if (e < 0)
		return e;
	for (size_t i = size; i > 0; i--)
		n = n << 8 | v.data[i - 1];
	*ret = n;
	return 0;
}

#define DEFINE_READ(name, type, how)                                                               \
	int name(struct reader *r, type *ret)                                                      \
	{                                                                                          \
		uint64_t n;                                                                        \
		int e;                                                                             \
                                                                                                   \
		e = how(r, sizeof(type), &n);                                                      \
		if (e < 0)                                                                         \
			return e;                                                                  \
		*ret = (type)n;                                                                    \
		return 0;                                                                          \
	}

DEFINE_READ(read_u8, uint8_t, read_be)
DEFINE_READ(read_be16, uint16_t, read_be)
DEFINE_READ(read_be32, uint32_t, read_be)
DEFINE_READ(read_be64, uint64_t, read_be)
DEFINE_READ(read_le16, uint16_t, read_le)
DEFINE_READ(read_le32, uint32_t, read_le)
DEFINE_READ(read_le64, uint64_t, read_le)

void hex_encode(const void *data, size_t len, char *to)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *d = data;

	for (size_t i = 0; i < len; i++) {
		to[2 * i] = digits[d[i] >> 4];
		to[2 * i + 1] = digits[d[i] & 15];
	}
	to[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

int hex_decode(const char *text, size_t len, struct bytes *ret)
{
	uint8_t *to;
	int r;

	if (len % 2 != 0)
		return -EINVAL;
	r = bytes_reserve(ret, len / 2, &to);
	if (r < 0)
		return r;
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		to[i] = (uint8_t)(high << 4 | low);
	}
	ret->len += len / 2;
	return 0;
}

int hex_decode_exact(const char *text, void *to, size_t size)
{
	struct bytes b = BYTES_INIT(size);
	int r;

	if (strlen(text) != 2 * size)
		return -EINVAL;
	r = hex_decode(text, 2 * size, &b);
	if (r == 0 && size > 0)
		memcpy(to, b.data, size);
	bytes_done(&b);
	return r;
}
