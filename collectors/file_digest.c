/* SPDX-License-Identifier: Apache-2.0 */
#include "file_digest.h"

#include <string.h>

#include "measure_parts.h"

/* A file's place is one of a few, chosen by its identity; the one unused longest gives way. */
#define PLACES 8
#define SETS   (FILE_DIGEST_ENTRIES / PLACES)

struct entry {
	struct file_identity id;
	uint8_t sha256[32];
	uint64_t used; /* 0: free */
};

struct file_digest_cache {
	struct content_reader *reader;
	uint64_t now; /* counts uses */
	struct entry entries[SETS][PLACES];
};

CLEANUP_FUNCTION(struct file_digest_cache *, file_digest_cache_free)

int file_digest_cache_new(struct file_digest_cache **ret)
{
	CLEANUP(file_digest_cache_freep) struct file_digest_cache *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	r = content_reader_new(&c->reader);
	if (r < 0)
		return r;
	*ret = TAKE(c);
	return 0;
}

void file_digest_cache_free(struct file_digest_cache *c)
{
	if (!c)
		return;
	content_reader_free(c->reader);
	free(c);
}

/* By device and inode alone: another content of the same file takes the place of the old one. */
static struct entry *place_of(struct file_digest_cache *c, const struct file_identity *id)
{
	uint64_t h = (id->inode ^ id->device << 32 ^ id->device >> 32) * 0x9e3779b97f4a7c15ULL;
	struct entry *set = c->entries[(h >> 32) % SETS], *oldest = set;

	for (size_t i = 0; i < PLACES; i++) {
		if (set[i].used > 0 && set[i].id.inode == id->inode &&
		    set[i].id.device == id->device)
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	return oldest;
}

int file_digest_by_fd(struct file_digest_cache *c, int fd, bool fresh, struct digest *ret_sha256,
		      bool *ret_read)
{
	enum content_head head;
	struct file_identity id;
	struct entry *e;
	struct digest d;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	id = file_identity_of(&st);
	e = place_of(c, &id);
	if (!fresh && e->used > 0 && file_identity_equal(&e->id, &id)) {
		e->used = ++c->now;
		if (ret_read)
			*ret_read = false;
		return digest_from(HASH_SHA256, view_of(e->sha256, sizeof(e->sha256)), ret_sha256);
	}
	r = content_read(c->reader, fd, &st, &d, &head);
	if (r < 0)
		return r;
	/* An identity that could come again with another content is not worth keeping. */
	e->used = 0;
	if (file_identity_settled(&id)) {
		e->id = id;
		memcpy(e->sha256, d.bytes, sizeof(e->sha256));
		e->used = ++c->now;
	}
	if (ret_read)
		*ret_read = true;
	*ret_sha256 = d;
	return 0;
}

bool file_digest_known(struct file_digest_cache *c, const struct stat *st,
		       struct digest *ret_sha256)
{
	struct file_identity id = file_identity_of(st);
	struct entry *e = place_of(c, &id);

	if (!S_ISREG(st->st_mode) || e->used == 0 || !file_identity_equal(&e->id, &id) ||
	    digest_from(HASH_SHA256, view_of(e->sha256, sizeof(e->sha256)), ret_sha256) < 0)
		return false;
	e->used = ++c->now;
	return true;
}
