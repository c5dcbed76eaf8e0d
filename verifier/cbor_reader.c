/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor_reader.h"

#include <cbor.h>

/*
 * cbor_load() is not used: it allocates as much as a header says that there will be, before it
 * has seen any of it, and frees what it built by recursion.
 */

/* What the decoder said of one item's head. */
struct heard {
	struct cbor_head head;
	bool taken; /* false: a float, an indefinite length, undefined */
};

static void hear(void *to, enum cbor_kind kind, uint64_t number)
{
	*(struct heard *)to = (struct heard){ { kind, number, { NULL, 0 } }, true };
}

static void hear_string(void *to, enum cbor_kind kind, const uint8_t *data, size_t len)
{
	*(struct heard *)to = (struct heard){ { kind, len, { data, len } }, true };
}

#define HEAR_NUMBER(name, type, kind)                                                              \
	static void name(void *to, type number)                                                    \
	{                                                                                          \
		hear(to, kind, number);                                                            \
	}

HEAR_NUMBER(uint8, uint8_t, CBOR_IS_UINT)
HEAR_NUMBER(uint16, uint16_t, CBOR_IS_UINT)
HEAR_NUMBER(uint32, uint32_t, CBOR_IS_UINT)
HEAR_NUMBER(uint64, uint64_t, CBOR_IS_UINT)
HEAR_NUMBER(negint8, uint8_t, CBOR_IS_NEGATIVE)
HEAR_NUMBER(negint16, uint16_t, CBOR_IS_NEGATIVE)
HEAR_NUMBER(negint32, uint32_t, CBOR_IS_NEGATIVE)
HEAR_NUMBER(negint64, uint64_t, CBOR_IS_NEGATIVE)
HEAR_NUMBER(array_start, size_t, CBOR_IS_ARRAY)
HEAR_NUMBER(map_start, size_t, CBOR_IS_MAP)
HEAR_NUMBER(tag, uint64_t, CBOR_IS_TAG)
HEAR_NUMBER(boolean, bool, CBOR_IS_SIMPLE)

static void null(void *to)
{
	hear(to, CBOR_IS_SIMPLE, 0);
}

static void byte_string(void *to, cbor_data data, size_t len)
{
	hear_string(to, CBOR_IS_BYTES, data, len);
}

static void string(void *to, cbor_data data, size_t len)
{
	hear_string(to, CBOR_IS_TEXT, data, len);
}

/* A callback that is left out says nothing: the item is then not taken. */
static const struct cbor_callbacks callbacks = {
	.uint8 = uint8,
	.uint16 = uint16,
	.uint32 = uint32,
	.uint64 = uint64,
	.negint8 = negint8,
	.negint16 = negint16,
	.negint32 = negint32,
	.negint64 = negint64,
	.byte_string_start = cbor_null_byte_string_start_callback,
	.byte_string = byte_string,
	.string = string,
	.string_start = cbor_null_string_start_callback,
	.indef_array_start = cbor_null_indef_array_start_callback,
	.array_start = array_start,
	.indef_map_start = cbor_null_indef_map_start_callback,
	.map_start = map_start,
	.tag = tag,
	.float2 = cbor_null_float2_callback,
	.float4 = cbor_null_float4_callback,
	.float8 = cbor_null_float8_callback,
	.undefined = cbor_null_undefined_callback,
	.null = null,
	.boolean = boolean,
	.indef_break = cbor_null_indef_break_callback,
};

/* RFC 8949, 4.2.1: the bytes that a head takes in its shortest form. */
static size_t shortest(const struct cbor_head *h)
{
	if (h->kind == CBOR_IS_SIMPLE || h->number < 24)
		return 1;
	if (h->number <= UINT8_MAX)
		return 2;
	if (h->number <= UINT16_MAX)
		return 3;
	return h->number <= UINT32_MAX ? 5 : 9;
}

/* Each item takes a byte at least, so that a count of more than are left is none. */
static bool fits(const struct cbor_head *h, size_t left)
{
	if (h->kind == CBOR_IS_ARRAY)
		return h->number <= left;
	if (h->kind == CBOR_IS_MAP)
		return h->number <= left / 2;
	return true;
}

/*
 * A tag of one byte: libcbor 0.8, which is Debian 12's, takes those from 6 to 20 for an error.
 * 0: it is one; else nothing was read.
 */
static int read_short_tag(struct reader *r, struct cbor_head *ret)
{
	struct reader at = *r;
	uint8_t first;

	if (read_u8(&at, &first) < 0 || first < 0xc0 || first >= 0xc0 + 24)
		return -EBADMSG;
	*r = at;
	*ret = (struct cbor_head){ .kind = CBOR_IS_TAG, .number = first - 0xc0 };
	return 0;
}

int cbor_reader_head(struct reader *r, struct cbor_head *ret)
{
	struct heard heard = { .taken = false };
	struct cbor_decoder_result d;
	struct reader at = *r;
	struct view read;

	if (read_short_tag(r, ret) == 0)
		return 0;
	if (at.left == 0)
		return -EBADMSG;
	d = cbor_stream_decode(at.at, at.left, &callbacks, &heard);
	if (d.status != CBOR_DECODER_FINISHED || !heard.taken ||
	    d.read != shortest(&heard.head) + heard.head.string.len)
		return -EBADMSG;
	if (read_view(&at, d.read, &read) < 0 || !fits(&heard.head, at.left))
		return -EBADMSG;
	*r = at;
	*ret = heard.head;
	return 0;
}

static int next(struct reader *r, enum cbor_kind kind, struct cbor_head *ret)
{
	struct reader at = *r;
	struct cbor_head h;

	if (cbor_reader_head(&at, &h) < 0 || h.kind != kind)
		return -EBADMSG;
	*r = at;
	*ret = h;
	return 0;
}

int cbor_reader_uint(struct reader *r, uint64_t *ret)
{
	struct cbor_head h;

	if (next(r, CBOR_IS_UINT, &h) < 0)
		return -EBADMSG;
	*ret = h.number;
	return 0;
}

static int int_of(const struct cbor_head *h, int64_t *ret)
{
	if ((h->kind != CBOR_IS_UINT && h->kind != CBOR_IS_NEGATIVE) || h->number > INT64_MAX)
		return -EBADMSG;
	*ret = h->kind == CBOR_IS_UINT ? (int64_t)h->number : -1 - (int64_t)h->number;
	return 0;
}

int cbor_reader_int(struct reader *r, int64_t *ret)
{
	struct reader at = *r;
	struct cbor_head h;

	if (cbor_reader_head(&at, &h) < 0 || int_of(&h, ret) < 0)
		return -EBADMSG;
	*r = at;
	return 0;
}

int cbor_reader_bytes(struct reader *r, struct view *ret)
{
	struct cbor_head h;

	if (next(r, CBOR_IS_BYTES, &h) < 0)
		return -EBADMSG;
	*ret = h.string;
	return 0;
}

int cbor_reader_text(struct reader *r, struct view *ret)
{
	struct cbor_head h;

	if (next(r, CBOR_IS_TEXT, &h) < 0)
		return -EBADMSG;
	*ret = h.string;
	return 0;
}

int cbor_reader_array(struct reader *r, size_t *ret_n)
{
	struct cbor_head h;

	if (next(r, CBOR_IS_ARRAY, &h) < 0)
		return -EBADMSG;
	*ret_n = (size_t)h.number;
	return 0;
}

int cbor_reader_tag(struct reader *r, uint64_t *ret)
{
	struct cbor_head h;

	if (next(r, CBOR_IS_TAG, &h) < 0)
		return -EBADMSG;
	*ret = h.number;
	return 0;
}

/* Items that belong directly to one that begins so. */
static uint64_t children(const struct cbor_head *h)
{
	switch (h->kind) {
	case CBOR_IS_ARRAY:
		return h->number;
	case CBOR_IS_MAP:
		return 2 * h->number;
	case CBOR_IS_TAG:
		return 1;
	default:
		return 0;
	}
}

int cbor_reader_item(struct reader *r, struct view *ret)
{
	uint64_t missing[CBOR_DEPTH_MAX] = { 1 }; /* items at each depth that are still to come */
	struct reader at = *r;
	struct cbor_head h;
	size_t depth = 0;

	for (size_t items = 0; depth > 0 || missing[0] > 0; items++) {
		if (items == CBOR_ITEMS_MAX || cbor_reader_head(&at, &h) < 0)
			return -EBADMSG;
		missing[depth]--;
		if (children(&h) > 0) {
			if (++depth == CBOR_DEPTH_MAX)
				return -EBADMSG;
			missing[depth] = children(&h);
		}
		while (depth > 0 && missing[depth] == 0)
			depth--;
	}
	return read_view(r, r->left - at.left, ret);
}

static bool same_key(const struct cbor_entry *a, const struct cbor_entry *b)
{
	if (a->by_text != b->by_text)
		return false;
	return a->by_text ? view_equal(a->text, b->text) : a->key == b->key;
}

static int read_entry(struct reader *r, struct cbor_entry *ret)
{
	struct cbor_entry e = { 0 };
	struct cbor_head h;

	if (cbor_reader_head(r, &h) < 0)
		return -EBADMSG;
	e.by_text = h.kind == CBOR_IS_TEXT;
	e.text = h.string;
	if (!e.by_text && int_of(&h, &e.key) < 0)
		return -EBADMSG;
	if (cbor_reader_item(r, &e.value) < 0)
		return -EBADMSG;
	*ret = e;
	return 0;
}

int cbor_reader_map(struct reader *r, struct cbor_map *ret)
{
	struct reader at = *r;
	struct cbor_head h;

	if (next(&at, CBOR_IS_MAP, &h) < 0 || h.number > CBOR_MAP_MAX)
		return -EBADMSG;
	ret->n = 0;
	for (size_t i = 0; i < h.number; i++) {
		if (read_entry(&at, &ret->entries[i]) < 0)
			return -EBADMSG;
		for (size_t k = 0; k < i; k++) {
			if (same_key(&ret->entries[k], &ret->entries[i]))
				return -EBADMSG;
		}
		ret->n++;
	}
	*r = at;
	return 0;
}

const struct view *cbor_map_at(const struct cbor_map *m, int64_t key)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!m->entries[i].by_text && m->entries[i].key == key)
			return &m->entries[i].value;
	}
	return NULL;
}

const struct view *cbor_map_named(const struct cbor_map *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->entries[i].by_text && view_is(m->entries[i].text, key))
			return &m->entries[i].value;
	}
	return NULL;
}

/* An item that stands in a map was read once, so that its head can be read. */
static int value_at(const struct cbor_map *m, int64_t key, struct reader *ret)
{
	const struct view *v = cbor_map_at(m, key);

	if (!v)
		return -EBADMSG;
	*ret = reader_of(*v);
	return 0;
}

int cbor_map_bytes(const struct cbor_map *m, int64_t key, struct view *ret)
{
	struct reader r;

	return value_at(m, key, &r) < 0 ? -EBADMSG : cbor_reader_bytes(&r, ret);
}

int cbor_map_text(const struct cbor_map *m, int64_t key, struct view *ret)
{
	struct reader r;

	return value_at(m, key, &r) < 0 ? -EBADMSG : cbor_reader_text(&r, ret);
}

int cbor_map_uint(const struct cbor_map *m, int64_t key, uint64_t *ret)
{
	struct reader r;

	return value_at(m, key, &r) < 0 ? -EBADMSG : cbor_reader_uint(&r, ret);
}

int cbor_map_int(const struct cbor_map *m, int64_t key, int64_t *ret)
{
	struct reader r;

	return value_at(m, key, &r) < 0 ? -EBADMSG : cbor_reader_int(&r, ret);
}
