/* SPDX-License-Identifier: Apache-2.0 */
#include "appraisal_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "cleanup.h"
#include "digest.h"

struct entry {
	struct cache_key key;
	struct cached *c;
	LIST_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) by_use;
};

LIST_HEAD(bucket, entry);
TAILQ_HEAD(used, entry);

struct appraisal_cache {
	struct bucket *buckets;
	size_t n_buckets; /* a power of two */
	struct used used; /* the one used last is the first */
	size_t max_entries, max_bytes;
	struct appraisal_cache_counts counts;
};

CLEANUP_FUNCTION(struct appraisal_cache *, appraisal_cache_free)

int appraisal_cache_new(size_t max_entries, size_t max_bytes, struct appraisal_cache **ret)
{
	CLEANUP(appraisal_cache_freep) struct appraisal_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	TAILQ_INIT(&cache->used);
	cache->max_entries = max_entries;
	cache->max_bytes = max_bytes;
	cache->n_buckets = 1;
	while (cache->n_buckets < max_entries)
		cache->n_buckets *= 2;
	cache->buckets = calloc(cache->n_buckets, sizeof(*cache->buckets));
	if (!cache->buckets)
		return -ENOMEM;
	*ret = TAKE(cache);
	return 0;
}

static void drop(struct appraisal_cache *cache, struct entry *e)
{
	LIST_REMOVE(e, in_bucket);
	TAILQ_REMOVE(&cache->used, e, by_use);
	cache->counts.entries--;
	cache->counts.bytes -= e->c->size;
	cached_unref(e->c);
	free(e);
}

void appraisal_cache_free(struct appraisal_cache *cache)
{
	struct entry *e;

	if (!cache)
		return;
	while ((e = TAILQ_FIRST(&cache->used)))
		drop(cache, e);
	free(cache->buckets);
	free(cache);
}

/* The key is a digest: any of its bytes are as good as the others. */
static struct bucket *bucket_of(const struct appraisal_cache *cache, const struct cache_key *key)
{
	size_t n;

	memcpy(&n, key->sha256, sizeof(n));
	return &cache->buckets[n & (cache->n_buckets - 1)];
}

static struct entry *find(const struct appraisal_cache *cache, const struct cache_key *key)
{
	struct entry *e;

	LIST_FOREACH(e, bucket_of(cache, key), in_bucket)
	{
		if (memcmp(&e->key, key, sizeof(*key)) == 0)
			return e;
	}
	return NULL;
}

struct cached *appraisal_cache_get(struct appraisal_cache *cache, const struct cache_key *key,
				   int64_t now)
{
	struct entry *e;

	if (!cache)
		return NULL;
	e = find(cache, key);
	if (e && (now < e->c->span.from || now > e->c->span.until)) {
		drop(cache, e);
		cache->counts.expired++;
		e = NULL;
	}
	if (!e) {
		cache->counts.misses++;
		return NULL;
	}
	cache->counts.hits++;
	TAILQ_REMOVE(&cache->used, e, by_use);
	TAILQ_INSERT_HEAD(&cache->used, e, by_use);
	e->c->references++;
	return e->c;
}

static void make_room(struct appraisal_cache *cache, size_t size)
{
	while (cache->counts.entries == cache->max_entries ||
	       cache->counts.bytes + size > cache->max_bytes) {
		drop(cache, TAILQ_LAST(&cache->used, used));
		cache->counts.evicted++;
	}
}

void appraisal_cache_put(struct appraisal_cache *cache, const struct cache_key *key,
			 struct cached *c)
{
	struct entry *e;

	if (!cache || cache->max_entries == 0 || c->size > cache->max_bytes)
		return;
	e = find(cache, key);
	if (e)
		drop(cache, e);
	make_room(cache, c->size);
	e = malloc(sizeof(*e));
	if (!e)
		return;
	e->key = *key;
	e->c = c;
	c->references++;
	LIST_INSERT_HEAD(bucket_of(cache, key), e, in_bucket);
	TAILQ_INSERT_HEAD(&cache->used, e, by_use);
	cache->counts.entries++;
	cache->counts.bytes += c->size;
}

struct appraisal_cache_counts appraisal_cache_counts(const struct appraisal_cache *cache)
{
	return cache->counts;
}

void cached_init(struct cached *c, void (*free_it)(struct cached *c), size_t size)
{
	*c = (struct cached){
		.references = 1,
		.free = free_it,
		.span = { INT64_MIN, INT64_MAX },
		.size = size,
	};
}

void cached_unref(struct cached *c)
{
	if (!c)
		return;
	assert(c->references > 0);
	if (--c->references == 0)
		c->free(c);
}

CLEANUP_FUNCTION(struct hasher *, hasher_free)

int cache_key_of(const char *kind, const struct view *parts, size_t n, struct cache_key *ret)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	struct digest d;
	int r;

	r = hasher_new(HASH_SHA256, &h);
	if (r < 0)
		return r;
	r = hasher_begin(h);
	if (r == 0)
		r = hasher_add(h, kind, strlen(kind) + 1);
	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t len = parts[i].len;

		r = hasher_add(h, &len, sizeof(len));
		if (r == 0)
			r = hasher_add(h, parts[i].data, parts[i].len);
	}
	if (r == 0)
		r = hasher_end(h, &d);
	if (r < 0)
		return r;
	memcpy(ret->sha256, d.bytes, sizeof(ret->sha256));
	return 0;
}

void cache_span_cut(struct cache_span *s, int64_t now, int64_t at)
{
	if (at <= now && at > s->from)
		s->from = at;
	if (at > now && at <= s->until)
		s->until = at - 1;
}

/*
 * The last second is cut off on both sides: some of those who look at such windows count it
 * in (RFC 5280, 4.1.2.5), others (OpenSSL, of certificates) do not.
 */
void cache_span_cut_window(struct cache_span *s, int64_t now, int64_t from, int64_t until)
{
	cache_span_cut(s, now, from);
	cache_span_cut(s, now, until);
	if (until < INT64_MAX)
		cache_span_cut(s, now, until + 1);
}
