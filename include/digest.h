/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DIGEST_H
#define ASSAY_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

/* Hash algorithms by their TCG identifiers (TCG Algorithm Registry, table 3). */
enum hash_alg {
	HASH_NONE = 0,
	HASH_SHA1 = 0x0004,
	HASH_SHA256 = 0x000B,
	HASH_SHA384 = 0x000C,
	HASH_SHA512 = 0x000D,
	HASH_SM3 = 0x0012,
};

#define DIGEST_MAX     64
#define DIGEST_HEX_MAX (2 * DIGEST_MAX + 1)

struct digest {
	enum hash_alg alg;
	uint8_t size; /* of bytes in use */
	uint8_t bytes[DIGEST_MAX];
};

/* Bytes that the algorithm yields; 0 for one that is not known. */
size_t hash_size(enum hash_alg alg);

/* "sha256" and so on; NULL for one that is not known. */
const char *hash_name(enum hash_alg alg);

/* The algorithm of that name (lower case); HASH_NONE for another. */
enum hash_alg hash_by_name(const char *name);

/* Hashes the views one after the other. -EINVAL: unknown algorithm. -ENOMEM. */
MUST_CHECK int digest_of(enum hash_alg alg, struct view data, struct digest *ret);
MUST_CHECK int digest_of_parts(enum hash_alg alg, const struct view *parts, size_t n,
			       struct digest *ret);

/* Takes a digest from its raw bytes. -EINVAL: the length is not the algorithm's. */
MUST_CHECK int digest_from(enum hash_alg alg, struct view raw, struct digest *ret);

/* Extends as a TPM's register does: *reg = H(*reg || data) (TPM 2.0 part 1, 11.4.7). */
MUST_CHECK int digest_extend(struct digest *reg, struct view data);

/* All zero bytes, the value of a register after start-up. */
struct digest digest_zero(enum hash_alg alg);

/* Constant time in the content; false where algorithm or size differ. */
bool digest_equal(const struct digest *a, const struct digest *b);

struct view digest_view(const struct digest *d);

/* Lower-case hex into to, which is returned. */
const char *digest_hex(const struct digest *d, char to[DIGEST_HEX_MAX]);

/*
 * A hash over data that comes in pieces. One hasher serves any number of
 * messages, one after the other: making one costs as much as hashing 4 KiB.
 * Not for two threads at once.
 */
struct hasher;
MUST_CHECK int hasher_new(enum hash_alg alg, struct hasher **ret);
MUST_CHECK int hasher_begin(struct hasher *h);
MUST_CHECK int hasher_add(struct hasher *h, const void *data, size_t len);
MUST_CHECK int hasher_end(struct hasher *h, struct digest *ret);
void hasher_free(struct hasher *h);

#endif
