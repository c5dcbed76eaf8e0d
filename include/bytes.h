/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_BYTES_H
#define ASSAY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

/*
 * Bytes on their way through the program. All pointer arithmetic on input is in
 * bytes.c; everything else reads through struct reader and writes through
 * struct bytes, which never grows past the maximum it was made with.
 */

/* Bytes lent by somebody else; good for as long as the lender says. */
struct view {
	const uint8_t *data;
	size_t len;
};

/* Growing bytes that this object owns. len <= room <= max. */
struct bytes {
	uint8_t *data;
	size_t len, room, max;
};

/* An empty object that refuses to grow past max bytes. Nothing is allocated yet. */
#define BYTES_INIT(maximum)                                                                        \
	(struct bytes)                                                                             \
	{                                                                                          \
		.max = (maximum)                                                                   \
	}

/* Appends. -EMSGSIZE: the maximum would be passed (nothing was appended). -ENOMEM. */
MUST_CHECK int bytes_append(struct bytes *b, const void *data, size_t len);
MUST_CHECK int bytes_append_view(struct bytes *b, struct view v);
MUST_CHECK int bytes_append_u8(struct bytes *b, uint8_t v);
MUST_CHECK int bytes_append_be16(struct bytes *b, uint16_t v);
MUST_CHECK int bytes_append_be32(struct bytes *b, uint32_t v);
MUST_CHECK int bytes_append_be64(struct bytes *b, uint64_t v);
MUST_CHECK int bytes_append_text(struct bytes *b, const char *text);
MUST_CHECK int bytes_printf(struct bytes *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes room for len more bytes and returns where they go in *ret; the caller adds to b->len. */
MUST_CHECK int bytes_reserve(struct bytes *b, size_t len, uint8_t **ret);

/* Reads fd from its current place to its end into b. -EMSGSIZE past the maximum; read errors. */
MUST_CHECK int bytes_read_fd(struct bytes *b, int fd);

/* Forgets the content and keeps the room. */
void bytes_reset(struct bytes *b);

/* Frees the content. The object may be used again. */
void bytes_done(struct bytes *b);

/* The content, good until b is next changed. */
struct view bytes_view(const struct bytes *b);

struct view view_of(const void *data, size_t len);
struct view view_text(const char *text);
bool view_equal(struct view a, struct view b);

/* True if the view is the same text as the zero-terminated string. */
bool view_is(struct view v, const char *text);

/* A place in bytes that are being read. Every read moves it on, or returns -EBADMSG and does not. */
struct reader {
	const uint8_t *at;
	size_t left;
};

struct reader reader_of(struct view v);
MUST_CHECK int read_u8(struct reader *r, uint8_t *ret);
MUST_CHECK int read_be16(struct reader *r, uint16_t *ret);
MUST_CHECK int read_be32(struct reader *r, uint32_t *ret);
MUST_CHECK int read_be64(struct reader *r, uint64_t *ret);
MUST_CHECK int read_le16(struct reader *r, uint16_t *ret);
MUST_CHECK int read_le32(struct reader *r, uint32_t *ret);
MUST_CHECK int read_le64(struct reader *r, uint64_t *ret);

/* The next len bytes, lent: good for as long as the bytes that the reader was made over. */
MUST_CHECK int read_view(struct reader *r, size_t len, struct view *ret);
MUST_CHECK int read_copy(struct reader *r, void *to, size_t len);

/* The bytes before the next stop byte, lent, and past it; where there is none, all that is left. */
MUST_CHECK int read_until(struct reader *r, uint8_t stop, struct view *ret);

/* Lower-case hex of data with a final NUL; to has room for 2 * len + 1. */
void hex_encode(const void *data, size_t len, char *to);

/* Appends the bytes that the hex digits in text (either case) stand for. -EINVAL: not hex. */
MUST_CHECK int hex_decode(const char *text, size_t len, struct bytes *ret);

/* As above into exactly size bytes. -EINVAL: not hex, or another length. */
MUST_CHECK int hex_decode_exact(const char *text, void *to, size_t size);

static inline void bytes_cleanup(struct bytes *b)
{
	bytes_done(b);
}

#endif
