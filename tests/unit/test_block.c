/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"

#define CHUNK  1024 /* small, so that the cases have many chunks and little data */
#define SEALED (CHUNK + BLOCK_TAG_SIZE)
#define SIZE   (3 * CHUNK + 100)

static const uint8_t key_a[BLOCK_KEY_SIZE] = { 1, 2, 3 };
static const uint8_t key_b[BLOCK_KEY_SIZE] = { 1, 2, 4 };

static int to_bytes(void *arg, const void *data, size_t len)
{
	return bytes_append(arg, data, len);
}

/* Hands out at most `step` bytes at a time, so that every read is a short one. */
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

static struct block_header header_of(uint32_t index, uint32_t count, uint8_t data_set)
{
	struct block_header h = { .chunk_size = CHUNK, .index = index, .count = count };

	memset(h.data_set, data_set, sizeof(h.data_set));
	return h;
}

static uint8_t plain_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void seal(const struct block_header *h, const uint8_t *key, size_t size, struct bytes *ret)
{
	struct block_sink sink = { to_bytes, ret };
	struct block_writer *w;
	uint8_t piece[333];

	assert_int_equal(block_writer_new(h, view_of(key, BLOCK_KEY_SIZE), sink, &w), 0);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < sizeof(piece) ? size - at : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = plain_at(at + i);
		assert_int_equal(block_writer_add(w, piece, n), 0);
		at += n;
	}
	assert_int_equal(block_writer_finish(w), 0);
	block_writer_free(w);
}

/* 0, or what refused; checks that whatever plaintext came out is that of the block. */
static int unseal_by(struct view sealed, const uint8_t *key, uint32_t index, size_t step,
		     size_t *ret_size)
{
	struct slow slow = { reader_of(sealed), step };
	struct block_source source = { from_slow, &slow };
	struct block_reader *b;
	struct view v;
	size_t at = 0;
	int r;

	r = block_reader_new(source, view_of(key, BLOCK_KEY_SIZE), index, &b, NULL);
	if (r < 0)
		return r;
	do {
		r = block_reader_next(b, &v);
		if (r < 0) {
			/* It stays refused. */
			assert_int_equal(block_reader_next(b, &v), r);
			break;
		}
		for (size_t i = 0; i < v.len; i++)
			assert_int_equal(v.data[i], plain_at(at + i));
		at += v.len;
	} while (v.len > 0);
	*ret_size = at;
	block_reader_free(b);
	return r;
}

static int unseal(struct view sealed, const uint8_t *key, uint32_t index)
{
	size_t size;

	return unseal_by(sealed, key, index, SIZE_MAX, &size);
}

static void every_size_comes_back(void **state)
{
	static const size_t sizes[] = { 0,	   1,	      CHUNK - 1,     CHUNK,
					CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 100 * CHUNK + 17 };
	static const size_t steps[] = { 1, 7, CHUNK, SEALED, SEALED + 1, SIZE_MAX };
	struct block_header h = header_of(2, 4, 9);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct bytes sealed = BYTES_INIT(1024 * 1024);
		size_t chunks = sizes[i] == 0 ? 1 : (sizes[i] + CHUNK - 1) / CHUNK;

		seal(&h, key_a, sizes[i], &sealed);
		assert_int_equal(sealed.len,
				 BLOCK_HEADER_SIZE + sizes[i] + chunks * BLOCK_TAG_SIZE);
		for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
			size_t size = 1;

			assert_int_equal(unseal_by(bytes_view(&sealed), key_a, 2, steps[j], &size),
					 0);
			assert_int_equal(size, sizes[i]);
		}
		bytes_done(&sealed);
	}
}

static void two_seals_of_one_text_differ(void **state)
{
	struct bytes one = BYTES_INIT(SIZE * 2), two = BYTES_INIT(SIZE * 2);
	struct block_header h = header_of(1, 1, 9);

	(void)state;
	seal(&h, key_a, SIZE, &one);
	seal(&h, key_a, SIZE, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_not_equal(one.data + BLOCK_HEADER_SIZE, two.data + BLOCK_HEADER_SIZE, SIZE);
	bytes_done(&one);
	bytes_done(&two);
}

static void each_cut_is_noticed(void **state)
{
	struct block_header h = header_of(1, 4, 9);
	struct bytes sealed = BYTES_INIT(SIZE * 2);

	(void)state;
	seal(&h, key_a, SIZE, &sealed);
	for (size_t len = 0; len < sealed.len; len++)
		if (unseal(view_of(sealed.data, len), key_a, 1) != -EBADMSG)
			fail_msg("cut to %zu of %zu bytes it opens", len, sealed.len);
	bytes_done(&sealed);
}

static void each_changed_byte_is_noticed(void **state)
{
	struct block_header h = header_of(1, 4, 9);
	struct bytes sealed = BYTES_INIT(SIZE * 2);

	(void)state;
	seal(&h, key_a, SIZE, &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.data[i] ^= 1;
		/* A changed header may be refused for its index. */
		if (unseal(bytes_view(&sealed), key_a, 1) == 0)
			fail_msg("with byte %zu changed it opens", i);
		sealed.data[i] ^= 1;
	}
	assert_int_equal(unseal(bytes_view(&sealed), key_a, 1), 0);
	bytes_done(&sealed);
}

/* One way to spoil block 1 of 4; other is block 2 of the same data set under the same key. */
static void swap_first_chunks(struct bytes *b, const struct bytes *other)
{
	uint8_t saved[SEALED];

	(void)other;
	memcpy(saved, b->data + BLOCK_HEADER_SIZE, SEALED);
	memmove(b->data + BLOCK_HEADER_SIZE, b->data + BLOCK_HEADER_SIZE + SEALED, SEALED);
	memcpy(b->data + BLOCK_HEADER_SIZE + SEALED, saved, SEALED);
}

static void drop_first_chunk(struct bytes *b, const struct bytes *other)
{
	(void)other;
	memmove(b->data + BLOCK_HEADER_SIZE, b->data + BLOCK_HEADER_SIZE + SEALED,
		b->len - BLOCK_HEADER_SIZE - SEALED);
	b->len -= SEALED;
}

static void drop_last_chunk(struct bytes *b, const struct bytes *other)
{
	(void)other;
	b->len = BLOCK_HEADER_SIZE + 3 * SEALED;
}

static void append_byte(struct bytes *b, const struct bytes *other)
{
	(void)other;
	assert_int_equal(bytes_append_u8(b, 0), 0);
}

static void append_chunk(struct bytes *b, const struct bytes *other)
{
	uint8_t chunk[SEALED];

	(void)other;
	memcpy(chunk, b->data + BLOCK_HEADER_SIZE, SEALED);
	assert_int_equal(bytes_append(b, chunk, SEALED), 0);
}

static void append_itself(struct bytes *b, const struct bytes *other)
{
	uint8_t whole[2 * SIZE];
	size_t len = b->len;

	(void)other;
	assert_true(len <= sizeof(whole));
	memcpy(whole, b->data, len);
	assert_int_equal(bytes_append(b, whole, len), 0);
}

static void take_other_block(struct bytes *b, const struct bytes *other)
{
	bytes_reset(b);
	assert_int_equal(bytes_append(b, other->data, other->len), 0);
}

static void take_other_block_renumbered(struct bytes *b, const struct bytes *other)
{
	take_other_block(b, other);
	b->data[19] = 1;
}

static void take_other_chunk(struct bytes *b, const struct bytes *other)
{
	memcpy(b->data + BLOCK_HEADER_SIZE, other->data + BLOCK_HEADER_SIZE, SEALED);
}

static void take_other_body(struct bytes *b, const struct bytes *other)
{
	memcpy(b->data + 40, other->data + 40, other->len - 40); /* with its nonce prefix */
}

static void other_count(struct bytes *b, const struct bytes *other)
{
	(void)other;
	b->data[23] = 3;
}

static void other_data_set(struct bytes *b, const struct bytes *other)
{
	(void)other;
	memset(b->data + 24, 8, BLOCK_DATA_SET_SIZE);
}

static void other_chunk_size(struct bytes *b, const struct bytes *other)
{
	(void)other;
	b->data[14] = 8;
}

static const struct {
	const char *what;
	void (*spoil)(struct bytes *b, const struct bytes *other);
	int expected;
} spoils[] = {
	{ "two chunks in the other's place", swap_first_chunks, -EBADMSG },
	{ "the first chunk is missing", drop_first_chunk, -EBADMSG },
	{ "cut between two chunks", drop_last_chunk, -EBADMSG },
	{ "one byte appended", append_byte, -EBADMSG },
	{ "a chunk of its own appended", append_chunk, -EBADMSG },
	{ "the block appended to itself", append_itself, -EBADMSG },
	{ "block 2 in the place of block 1", take_other_block, -ESTALE },
	{ "block 2 with the number of block 1 written over its own", take_other_block_renumbered,
	  -EBADMSG },
	{ "a chunk of block 2", take_other_chunk, -EBADMSG },
	{ "prefix and chunks of block 2 under the header of block 1", take_other_body, -EBADMSG },
	{ "another count of blocks", other_count, -EBADMSG },
	{ "another data set, with the same key", other_data_set, -EBADMSG },
	{ "another chunk size", other_chunk_size, -EBADMSG },
};

static void what_was_rearranged_is_noticed(void **state)
{
	struct block_header one = header_of(1, 4, 9), two = header_of(2, 4, 9);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
		struct bytes b = BYTES_INIT(SIZE * 4), other = BYTES_INIT(SIZE * 4);
		int r;

		/* The same key for both: the keys are not what keeps them apart here. */
		seal(&one, key_a, SIZE, &b);
		seal(&two, key_a, SIZE, &other);
		assert_int_equal(unseal(bytes_view(&b), key_a, 1), 0);
		spoils[i].spoil(&b, &other);
		r = unseal(bytes_view(&b), key_a, 1);
		if (r != spoils[i].expected)
			fail_msg("%s: %d", spoils[i].what, r);
		bytes_done(&b);
		bytes_done(&other);
	}
}

static void keys_are_checked(void **state)
{
	struct block_header h = header_of(1, 4, 9);
	struct bytes sealed = BYTES_INIT(SIZE * 2);
	struct slow slow;
	struct block_source source = { from_slow, &slow };
	struct block_reader *b = NULL;

	(void)state;
	seal(&h, key_a, SIZE, &sealed);
	assert_int_equal(unseal(bytes_view(&sealed), key_b, 1), -EBADMSG);
	slow = (struct slow){ reader_of(bytes_view(&sealed)), SIZE_MAX };
	assert_int_equal(block_reader_new(source, view_of(key_a, 31), 1, &b, NULL), -EINVAL);
	assert_null(b);
	bytes_done(&sealed);
}

static void a_refused_chunk_leaves_no_plaintext(void **state)
{
	struct block_header h = header_of(1, 1, 9);
	struct bytes sealed = BYTES_INIT(SIZE * 2);
	struct slow slow;
	struct block_source source = { from_slow, &slow };
	struct block_reader *b;
	struct view first, v = { NULL, 77 };

	(void)state;
	seal(&h, key_a, 2 * CHUNK, &sealed);
	sealed.data[sealed.len - 1] ^= 1; /* in the second chunk's tag */
	slow = (struct slow){ reader_of(bytes_view(&sealed)), SIZE_MAX };
	assert_int_equal(block_reader_new(source, view_of(key_a, 32), 1, &b, NULL), 0);
	assert_int_equal(block_reader_next(b, &first), 0);
	assert_int_equal(first.len, CHUNK);
	assert_int_equal(block_reader_next(b, &v), -EBADMSG);
	assert_int_equal(v.len, 77); /* untouched */
	/* The lent memory, still the reader's, was wiped when the tag was found bad. */
	for (size_t i = 0; i < CHUNK; i++)
		assert_int_equal(first.data[i], 0);
	block_reader_free(b);
	bytes_done(&sealed);
}

static void headers_have_limits(void **state)
{
	static const struct {
		const char *what;
		uint32_t chunk_size, index, count;
		int expected;
	} cases[] = {
		{ "as large as it goes", BLOCK_CHUNK_MAX, BLOCK_COUNT_MAX, BLOCK_COUNT_MAX, 0 },
		{ "chunks of no bytes", 0, 1, 1, -EINVAL },
		{ "chunks too large", BLOCK_CHUNK_MAX + 1, 1, 1, -EINVAL },
		{ "no blocks", CHUNK, 0, 0, -EINVAL },
		{ "blocks count from 1", CHUNK, 0, 4, -EINVAL },
		{ "block 5 of 4", CHUNK, 5, 4, -EINVAL },
		{ "too many blocks", CHUNK, 1, BLOCK_COUNT_MAX + 1, -EINVAL },
	};
	uint8_t raw[BLOCK_HEADER_SIZE];
	struct block_header h;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		h = (struct block_header){ .chunk_size = cases[i].chunk_size,
					   .index = cases[i].index,
					   .count = cases[i].count };
		if (block_header_write(&h, raw) != cases[i].expected)
			fail_msg("%s", cases[i].what);
	}
	/* A writer cannot be brought to write what readers refuse; so write it by hand. */
	h = header_of(1, 4, 9);
	assert_int_equal(block_header_write(&h, raw), 0);
	assert_int_equal(block_header_read(view_of(raw, sizeof(raw)), &h, NULL), 0);
	raw[12] = 0xff;
	assert_int_equal(block_header_read(view_of(raw, sizeof(raw)), &h, &why), -EBADMSG);
	assert_string_equal(why, "its chunk size is outside 1 to 1 MiB");
	raw[12] = 0;
	raw[9] = 2;
	assert_int_equal(block_header_read(view_of(raw, sizeof(raw)), &h, &why), -EBADMSG);
	assert_string_equal(why, "its version is not known");
}

static int full(void *arg, const void *data, size_t len)
{
	size_t *left = arg;

	(void)data;
	if (len > *left)
		return -ENOSPC;
	*left -= len;
	return 0;
}

static void a_full_disk_ends_the_writer(void **state)
{
	struct block_header h = header_of(1, 1, 9);
	static const uint8_t zeros[4 * CHUNK];

	(void)state;
	for (size_t room = BLOCK_HEADER_SIZE; room < BLOCK_HEADER_SIZE + 5 * SEALED; room += 500) {
		struct block_writer *w;
		size_t left = room;
		int r;

		assert_int_equal(block_writer_new(&h, view_of(key_a, 32),
						  (struct block_sink){ full, &left }, &w),
				 0);
		r = block_writer_add(w, zeros, sizeof(zeros));
		assert_true(r == 0 || r == -ENOSPC);
		assert_int_equal(block_writer_finish(w),
				 room < BLOCK_HEADER_SIZE + 4 * SEALED ? -ENOSPC : 0);
		block_writer_free(w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(two_seals_of_one_text_differ),
		cmocka_unit_test(each_cut_is_noticed),
		cmocka_unit_test(each_changed_byte_is_noticed),
		cmocka_unit_test(what_was_rearranged_is_noticed),
		cmocka_unit_test(keys_are_checked),
		cmocka_unit_test(a_refused_chunk_leaves_no_plaintext),
		cmocka_unit_test(headers_have_limits),
		cmocka_unit_test(a_full_disk_ends_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
