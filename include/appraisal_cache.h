/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_APPRAISAL_CACHE_H
#define ASSAY_APPRAISAL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/*
 * What judging one piece of evidence found out and the next one needs again: a chain that was
 * verified, a key that was parsed, collateral that was found authentic. Found by the digest of
 * all bytes that it rests on, revocation lists and roots with them, so that another bit is
 * another entry; good only in a span of time in which none of these begins or ends. Only what
 * held without any reason is kept: a refusal is always found out anew.
 *
 * Pure: the time is given. An object of the caller's, for one thread.
 */

struct appraisal_cache;

/* Of the verifier: about 1,500 platforms with collateral of their own. */
#define APPRAISAL_CACHE_ENTRIES 8192
#define APPRAISAL_CACHE_BYTES	(128 * 1024 * 1024)

/* SHA-256 of what is looked for, and of all that it rests on. */
struct cache_key {
	uint8_t sha256[32];
};

/* First to last second in which something is as it is now. */
struct cache_span {
	int64_t from, until;
};

/* First member of what is kept. */
struct cached {
	unsigned int references;
	void (*free)(struct cached *c);
	struct cache_span span;
	size_t size; /* bytes it takes, about */
};

/* Holds at most so many entries, of at most so many bytes together. -ENOMEM. */
MUST_CHECK int appraisal_cache_new(size_t max_entries, size_t max_bytes,
				   struct appraisal_cache **ret);

/* Lets go of all entries. Accepts NULL. */
void appraisal_cache_free(struct appraisal_cache *cache);

/*
 * The entry, if it is good at that time, with a reference for the caller, who ends it with
 * cached_unref; else NULL. An entry that has run out is dropped. cache may be NULL.
 */
struct cached *appraisal_cache_get(struct appraisal_cache *cache, const struct cache_key *key,
				   int64_t now);

/*
 * Keeps c, with a reference of the cache's own, in place of what had the key; the entries that
 * were not used for longest make room. Nothing is kept where there is no cache (NULL), no memory,
 * or c alone is too large: the caller goes on without.
 */
void appraisal_cache_put(struct appraisal_cache *cache, const struct cache_key *key,
			 struct cached *c);

/* What it holds, and how often it was asked. */
struct appraisal_cache_counts {
	size_t entries, bytes;
	uint64_t hits, misses, expired, evicted;
};
struct appraisal_cache_counts appraisal_cache_counts(const struct appraisal_cache *cache);

/* Begins the life of an entry with the caller's reference, in all of time. */
void cached_init(struct cached *c, void (*free)(struct cached *c), size_t size);

/* The last one frees it. Accepts NULL. */
void cached_unref(struct cached *c);

/*
 * Key of what is of that kind and rests on these parts, in order. Each is hashed with its length.
 * -ENOMEM.
 */
MUST_CHECK int cache_key_of(const char *kind, const struct view *parts, size_t n,
			    struct cache_key *ret);

/* Something begins or ends at that second: what is known at now is not known across it. */
void cache_span_cut(struct cache_span *s, int64_t now, int64_t at);

/* Something is in force from one second to another, both included. */
void cache_span_cut_window(struct cache_span *s, int64_t now, int64_t from, int64_t until);

#endif
