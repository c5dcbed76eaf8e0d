/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CBOR_READER_H
#define ASSAY_VERIFIER_CBOR_READER_H

#include "bytes.h"

/*
 * CBOR (RFC 8949) read item by item, by libcbor's streaming decoder: nothing is allocated, nothing
 * recurses, and what comes out is lent from what went in. Only what can be read in one way is
 * taken: numbers and lengths in their shortest form, lengths and counts given beforehand (no
 * indefinite ones), no key twice in a map. The order of keys is free. Every function gives -EBADMSG
 * for what is not as it must be, and then has not moved on.
 */

#define CBOR_DEPTH_MAX 16   /* items within one another that are passed over */
#define CBOR_ITEMS_MAX 4096 /* items that one that is passed over is made of */
#define CBOR_MAP_MAX   32   /* entries of a map that is read as one */

enum cbor_kind {
	CBOR_IS_UINT,
	CBOR_IS_NEGATIVE, /* -1 - number */
	CBOR_IS_BYTES,
	CBOR_IS_TEXT, /* not checked to be UTF-8 */
	CBOR_IS_ARRAY,
	CBOR_IS_MAP,
	CBOR_IS_TAG,
	CBOR_IS_SIMPLE, /* true, false, null */
};

/* How an item begins. */
struct cbor_head {
	enum cbor_kind kind;
	uint64_t number;    /* the number, or how many items (entries of a map) follow, or the tag */
	struct view string; /* of bytes and text */
};

MUST_CHECK int cbor_reader_head(struct reader *r, struct cbor_head *ret);

/* The next item, which must be of that kind. */
MUST_CHECK int cbor_reader_uint(struct reader *r, uint64_t *ret);
MUST_CHECK int cbor_reader_int(struct reader *r, int64_t *ret);
MUST_CHECK int cbor_reader_bytes(struct reader *r, struct view *ret);
MUST_CHECK int cbor_reader_text(struct reader *r, struct view *ret);
MUST_CHECK int cbor_reader_array(struct reader *r, size_t *ret_n);
MUST_CHECK int cbor_reader_tag(struct reader *r, uint64_t *ret);

/* The next item as it stands, with all that is in it. */
MUST_CHECK int cbor_reader_item(struct reader *r, struct view *ret);

/* A map whose keys are numbers or texts. */
struct cbor_entry {
	bool by_text;
	int64_t key;
	struct view text;
	struct view value; /* the item as it stands */
};

struct cbor_map {
	struct cbor_entry entries[CBOR_MAP_MAX];
	size_t n;
};

/* -EBADMSG also for a key that occurs twice, or more entries than CBOR_MAP_MAX. */
MUST_CHECK int cbor_reader_map(struct reader *r, struct cbor_map *ret);

/* The value of a key; NULL: there is none. Lent from m. */
const struct view *cbor_map_at(const struct cbor_map *m, int64_t key);
const struct view *cbor_map_named(const struct cbor_map *m, const char *key);

/* The value, which must be there and of that kind. */
MUST_CHECK int cbor_map_bytes(const struct cbor_map *m, int64_t key, struct view *ret);
MUST_CHECK int cbor_map_text(const struct cbor_map *m, int64_t key, struct view *ret);
MUST_CHECK int cbor_map_uint(const struct cbor_map *m, int64_t key, uint64_t *ret);
MUST_CHECK int cbor_map_int(const struct cbor_map *m, int64_t key, int64_t *ret);

#endif
