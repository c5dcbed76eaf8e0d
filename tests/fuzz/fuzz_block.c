/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block under a key that is known, read in pieces whose size the first byte says. With its
 * second byte's lowest bit set the input is plaintext instead: what is sealed must come back.
 */
#include <string.h>

#include "block.h"

static const uint8_t key[BLOCK_KEY_SIZE];

struct slow {
	struct reader at;
	size_t step;
};

static int from_slow(void *arg, void *to, size_t len, size_t *ret)
{
	struct slow *s = arg;
	size_t n = len < s->step ? len : s->step;

	if (n > s->at.left)
		n = s->at.left;
	*ret = n;
	return read_copy(&s->at, to, n);
}

static int to_bytes(void *arg, const void *data, size_t len)
{
	return bytes_append(arg, data, len);
}

/* The plaintext as far as it opens: 0, or what refused the rest. */
static int unseal(struct view sealed, size_t step, struct bytes *ret)
{
	struct slow slow = { reader_of(sealed), step };
	struct block_reader *b;
	struct view v;
	int r;

	r = block_reader_new((struct block_source){ from_slow, &slow }, view_of(key, sizeof(key)),
			     0, &b, NULL);
	if (r < 0)
		return r;
	do {
		r = block_reader_next(b, &v);
		if (r == 0 && bytes_append_view(ret, v) < 0)
			__builtin_trap();
	} while (r == 0 && v.len > 0);
	block_reader_free(b);
	return r;
}

static int seal(struct view plain, uint32_t chunk_size, struct bytes *ret)
{
	struct block_header h = { .chunk_size = chunk_size, .index = 1, .count = 1 };
	struct block_writer *w;
	int r;

	r = block_writer_new(&h, view_of(key, sizeof(key)), (struct block_sink){ to_bytes, ret },
			     &w);
	if (r < 0)
		return r;
	r = block_writer_add(w, plain.data, plain.len);
	if (r == 0)
		r = block_writer_finish(w);
	block_writer_free(w);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes plain = BYTES_INIT(16 << 20), sealed = BYTES_INIT(16 << 20);
	struct reader in = reader_of(view_of(data, size));
	uint8_t step, mode;
	struct view rest;

	if (read_u8(&in, &step) == 0 && read_u8(&in, &mode) == 0 &&
	    read_view(&in, in.left, &rest) == 0) {
		if ((mode & 1) == 0) {
			(void)!unseal(rest, step + 1u, &plain);
		} else if (seal(rest, (mode >> 1) + 1u, &sealed) < 0 ||
			   unseal(bytes_view(&sealed), step + 1u, &plain) < 0 ||
			   !view_equal(bytes_view(&plain), rest)) {
			__builtin_trap();
		}
	}
	bytes_done(&plain);
	bytes_done(&sealed);
	return 0;
}
