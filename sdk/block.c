/* SPDX-License-Identifier: Apache-2.0 */
#include "block.h"

#include <fcntl.h>
#include <string.h>

#include "secret.h"

struct assay_block {
	int fd;	    /* read from */
	int own_fd; /* the same if it is ours to close; -1 otherwise */
	struct block_reader *reader;
	struct view rest; /* of the chunk that the reader lent */
};

CLEANUP_FUNCTION(struct assay_block *, assay_close_block)

static int block_read_fd(void *arg, void *to, size_t len, size_t *ret)
{
	struct assay_block *b = arg;
	ssize_t n;

	do
		n = read(b->fd, to, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return neg_errno();
	*ret = (size_t)n;
	return 0;
}

static int open_fd(int fd, int own_fd, const struct assay_secret *secret, uint32_t index,
		   struct assay_block **ret)
{
	CLEANUP(assay_close_blockp) struct assay_block *b = NULL;
	struct view key = view_of(assay_secret_data(secret), assay_secret_size(secret));
	int r;

	b = calloc(1, sizeof(*b));
	if (!b) {
		cleanup_fd(&own_fd);
		return -ENOMEM;
	}
	b->fd = fd;
	b->own_fd = own_fd;
	r = block_reader_new((struct block_source){ block_read_fd, b }, key, index, &b->reader,
			     NULL);
	if (r < 0)
		return r;
	*ret = TAKE(b);
	return 0;
}

int assay_open_block_fd(int fd, const struct assay_secret *secret, uint32_t index,
			struct assay_block **ret)
{
	return open_fd(fd, -1, secret, index, ret);
}

int assay_open_block(const char *path, const struct assay_secret *secret, uint32_t index,
		     struct assay_block **ret)
{
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	return open_fd(fd, fd, secret, index, ret);
}

int assay_open_stage_block(struct assay *a, const char *path, uint32_t stage, int timeout_ms,
			   struct assay_block **ret)
{
	CLEANUP(assay_secret_freep) struct assay_secret *s = NULL;
	int r;

	r = assay_get_stage_secret(a, stage, true, timeout_ms, &s);
	if (r < 0)
		return r;
	return assay_open_block(path, s, stage, ret);
}

ssize_t assay_block_next(struct assay_block *b, const void **ret)
{
	struct view v = b->rest;
	int r;

	b->rest = view_of(NULL, 0);
	if (v.len == 0) {
		r = block_reader_next(b->reader, &v);
		if (r < 0)
			return r;
	}
	*ret = v.data;
	return (ssize_t)v.len;
}

ssize_t assay_block_read(struct assay_block *b, void *to, size_t size)
{
	struct reader in;
	int r;

	if (size == 0)
		return 0;
	if (b->rest.len == 0) {
		r = block_reader_next(b->reader, &b->rest);
		if (r < 0)
			return r;
	}
	in = reader_of(b->rest);
	if (size > in.left)
		size = in.left;
	r = read_copy(&in, to, size);
	if (r < 0)
		return r;
	b->rest = view_of(in.at, in.left);
	return (ssize_t)size;
}

uint32_t assay_block_index(const struct assay_block *b)
{
	return block_reader_header(b->reader)->index;
}

uint32_t assay_block_count(const struct assay_block *b)
{
	return block_reader_header(b->reader)->count;
}

const uint8_t *assay_block_data_set(const struct assay_block *b)
{
	return block_reader_header(b->reader)->data_set;
}

void assay_close_block(struct assay_block *b)
{
	if (!b)
		return;
	block_reader_free(b->reader);
	cleanup_fd(&b->own_fd);
	free(b);
}
