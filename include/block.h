/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_BLOCK_H
#define ASSAY_BLOCK_H

#include "bytes.h"

/*
 * Data D in blocks D_1..D_n, each under a key of its own: what S_i opens.
 *
 * A block is a header and then chunks of AES-256-GCM in the STREAM construction
 * (Hoang, Reyhanitabar, Rogaway, Vizár 2015). All numbers are big-endian:
 *
 *   offset size
 *        0    8  magic "ASSAYBLK"
 *        8    2  version, 1
 *       10    2  cipher, 1: AES-256-GCM
 *       12    4  chunk size: bytes of plaintext in every chunk but the last
 *       16    4  index of this block, from 1
 *       20    4  count of blocks in the data set
 *       24   16  data set: random, the same in all its blocks
 *       40    7  nonce prefix: random
 *       47    1  zero
 *       48       chunks: ciphertext, then its tag of 16 bytes
 *
 * Nonce of a chunk: prefix, its number from 0 in 4 bytes, 1 for the last chunk and 0 for the
 * others. The header is the additional data of every chunk. So a block that was cut, extended,
 * put together from another order of chunks, or whose header was changed does not open; a block
 * in the place of another one has another index or data set. A block of no bytes is one empty
 * last chunk; a last chunk is empty in no other case.
 *
 * Pure: bytes come and go through functions of the caller. Not for two threads at once.
 */

#define BLOCK_VERSION	    1
#define BLOCK_CIPHER	    1
#define BLOCK_KEY_SIZE	    32
#define BLOCK_TAG_SIZE	    16
#define BLOCK_HEADER_SIZE   48
#define BLOCK_DATA_SET_SIZE 16
#define BLOCK_PREFIX_SIZE   7
#define BLOCK_CHUNK_SIZE    (64 * 1024)	  /* what we write */
#define BLOCK_CHUNK_MAX	    (1024 * 1024) /* what we read: bounds a reader's memory */
#define BLOCK_COUNT_MAX	    4096	  /* as many as stages */

struct block_header {
	uint32_t chunk_size;
	uint32_t index; /* from 1 */
	uint32_t count;
	uint8_t data_set[BLOCK_DATA_SET_SIZE];
	uint8_t prefix[BLOCK_PREFIX_SIZE];
};

/* -EINVAL: a field is outside its limits. */
MUST_CHECK int block_header_write(const struct block_header *h, uint8_t ret[BLOCK_HEADER_SIZE]);

/*
 * The header in exactly these bytes. -EBADMSG: not a block, or a field is outside its limits;
 * *ret_why (may be NULL) then says what, in words that live for ever.
 */
MUST_CHECK int block_header_read(struct view bytes, struct block_header *ret, const char **ret_why);

/* Where sealed bytes go: all of them, or a negative errno, which ends the writer. */
struct block_sink {
	int (*write)(void *arg, const void *data, size_t len);
	void *arg;
};

/*
 * Seals one block. Makes a fresh nonce prefix, so h->prefix need not be set, and writes the
 * header at once. The key is copied, and wiped in the end. -EINVAL: header or key size; -EIO: the
 * random generator or the cipher failed; -ENOMEM; what the sink returned.
 */
struct block_writer;
MUST_CHECK int block_writer_new(const struct block_header *h, struct view key,
				struct block_sink sink, struct block_writer **ret);

/* Adds plaintext. -EFBIG: more chunks than a block can number. An error ends the writer. */
MUST_CHECK int block_writer_add(struct block_writer *w, const void *data, size_t len);

/* Writes the last chunk. Without it the block is a cut one and will not open. */
MUST_CHECK int block_writer_finish(struct block_writer *w);

/* Wipes and frees. Accepts NULL. */
void block_writer_free(struct block_writer *w);

/* Where sealed bytes come from: *ret gets how many of at most len, 0 only at the end. */
struct block_source {
	int (*read)(void *arg, void *to, size_t len, size_t *ret);
	void *arg;
};

/*
 * Opens one block: reads and checks the header, which is believed only once the first chunk
 * opened. index: the place this block must have, 0 for any. -EBADMSG: not a block (*ret_why, may
 * be NULL, says why); -ESTALE: another block of a data set than the one asked for; -EINVAL: key
 * size.
 */
struct block_reader;
MUST_CHECK int block_reader_new(struct block_source source, struct view key, uint32_t index,
				struct block_reader **ret, const char **ret_why);

/*
 * The next piece of plaintext, after its tag was found good: lent until the next call, of length
 * zero at the end of the block. -EBADMSG: changed, cut, extended, or not under this key.
 * An error stays: every later call returns it again.
 */
MUST_CHECK int block_reader_next(struct block_reader *r, struct view *ret);

const struct block_header *block_reader_header(const struct block_reader *r);

/* Wipes and frees. Accepts NULL. */
void block_reader_free(struct block_reader *r);

#endif
