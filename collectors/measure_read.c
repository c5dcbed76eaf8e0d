/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_parts.h"

#include <fcntl.h>
#include <string.h>

/* Stays in a core's second-level cache between the read and the hash. */
#define READ_SIZE (128 * 1024)

/* From this size on the kernel is told that the whole file will be read. */
#define READ_AHEAD_FROM (1024 * 1024)

struct content_reader {
	struct hasher *hasher;
	uint8_t buffer[READ_SIZE];
};

int content_reader_new(struct content_reader **ret)
{
	CLEANUP(content_reader_freep) struct content_reader *c = NULL;
	int r;

	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->hasher = NULL;
	r = hasher_new(HASH_SHA256, &c->hasher);
	if (r < 0)
		return r;
	*ret = TAKE(c);
	return 0;
}

void content_reader_free(struct content_reader *c)
{
	if (!c)
		return;
	hasher_free(c->hasher);
	free(c);
}

static enum content_head head_of(const uint8_t *data, size_t len)
{
	if (len >= 4 && memcmp(data, "\177ELF", 4) == 0)
		return HEAD_ELF;
	if (len >= 2 && memcmp(data, "#!", 2) == 0)
		return HEAD_SCRIPT;
	return HEAD_PLAIN;
}

int content_read(struct content_reader *c, int fd, const struct stat *before, struct digest *ret,
		 enum content_head *ret_head)
{
	struct file_identity then = file_identity_of(before), now;
	enum content_head head = HEAD_PLAIN;
	uint64_t at = 0;
	struct digest d;
	struct stat st;
	ssize_t n;
	int r;

	if (then.size > MEASURE_FILE_MAX)
		return -EFBIG;
	if (then.size >= READ_AHEAD_FROM)
		(void)posix_fadvise(fd, 0, 0,
				    POSIX_FADV_SEQUENTIAL); /* advice; continuing without */
	r = hasher_begin(c->hasher);
	if (r < 0)
		return r;
	do {
		/* pread: the descriptor's place is its owner's. */
		n = pread(fd, c->buffer, READ_SIZE, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (at == 0)
			head = head_of(c->buffer, (size_t)n);
		r = hasher_add(c->hasher, c->buffer, (size_t)n);
		if (r < 0)
			return r;
		at += (uint64_t)n;
		/* The end is where fstat says; whether that moved shows below. */
	} while (n != 0 && (n < 0 || at < then.size));
	r = hasher_end(c->hasher, &d);
	if (r < 0)
		return r;

	if (fstat(fd, &st) < 0)
		return neg_errno();
	now = file_identity_of(&st);
	if (!file_identity_equal(&then, &now))
		return -ESTALE;
	if (at != then.size)
		return -EOPNOTSUPP;
	*ret = d;
	*ret_head = head;
	return 0;
}

int measure_fd(int fd, struct digest *ret, uint64_t *ret_bytes)
{
	CLEANUP(content_reader_freep) struct content_reader *c = NULL;
	enum content_head head;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = content_reader_new(&c);
	if (r < 0)
		return r;
	r = content_read(c, fd, &st, ret, &head);
	if (r < 0)
		return r;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}
