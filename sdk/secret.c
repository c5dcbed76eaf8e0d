/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "connection.h"

#define NAME_MAX_LEN 255 /* as many bytes as a file name, which a credential becomes */
#define SEALS	     (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct assay_secret {
	uint8_t *data; /* between two pages that cannot be touched */
	size_t size, room;
	uint32_t stage;
	char name[NAME_MAX_LEN + 1];
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Room for size bytes, all zero. The program's own heap is not used: it may be dumped or swapped.
 */
static int secret_new(size_t size, struct assay_secret **ret)
{
	CLEANUP(assay_secret_freep) struct assay_secret *s = NULL;
	size_t page = page_size();
	uint8_t *map;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->room = (size + page - 1) / page * page;
	map = mmap(NULL, s->room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	s->data = map + page;
	s->size = size;
	/* A child would have a copy that is not locked: mlock(2). */
	if (mprotect(s->data, s->room, PROT_READ | PROT_WRITE) < 0 || mlock(s->data, s->room) < 0 ||
	    madvise(s->data, s->room, MADV_DONTDUMP) < 0 ||
	    madvise(s->data, s->room, MADV_DONTFORK) < 0)
		return -ENOMEM;
	*ret = TAKE(s);
	return 0;
}

void assay_secret_free(struct assay_secret *s)
{
	size_t page = page_size();

	if (!s)
		return;
	if (s->data) {
		/* Not writable yet where making it failed half-way; then nothing is in it either.
		 */
		if (mprotect(s->data, s->room, PROT_READ | PROT_WRITE) == 0)
			OPENSSL_cleanse(s->data, s->room);
		munmap(s->data - page, s->room + 2 * page);
	}
	free(s);
}

/*
 * Reads at most room bytes; from the start of the file, or from where fd stands. Where a
 * descriptor stands is shared with everyone it was sent to.
 */
static int read_up_to(int fd, bool from_start, uint8_t *to, size_t room, size_t *ret)
{
	size_t at = 0;
	ssize_t n;

	while (at < room) {
		n = from_start ? pread(fd, to + at, room - at, (off_t)at)
			       : read(fd, to + at, room - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (n == 0)
			break;
		at += (size_t)n;
	}
	*ret = at;
	return 0;
}

int secret_from_memfd(int fd, const char *name, uint32_t stage, struct assay_secret **ret)
{
	CLEANUP(assay_secret_freep) struct assay_secret *s = NULL;
	struct stat st;
	size_t len;
	int seals, r;

	if (strlen(name) > NAME_MAX_LEN)
		return -EBADMSG;
	/* Without the seals whoever else has the memfd could change it under our eyes. */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EBADMSG;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size < 1 || st.st_size > ASSAY_SECRET_MAX)
		return -EBADMSG;
	r = secret_new((size_t)st.st_size, &s);
	if (r < 0)
		return r;
	r = read_up_to(fd, true, s->data, s->size, &len);
	if (r < 0)
		return r;
	if (len != s->size)
		return -EBADMSG;
	memcpy(s->name, name, strlen(name) + 1);
	s->stage = stage;
	*ret = TAKE(s);
	return 0;
}

int assay_secret_read(int fd, struct assay_secret **ret)
{
	CLEANUP(assay_secret_freep) struct assay_secret *s = NULL;
	size_t len;
	int r;

	r = secret_new(ASSAY_SECRET_MAX + 1, &s);
	if (r < 0)
		return r;
	r = read_up_to(fd, false, s->data, ASSAY_SECRET_MAX + 1, &len);
	if (r < 0)
		return r;
	if (len == 0)
		return -ENODATA;
	if (len > ASSAY_SECRET_MAX)
		return -EMSGSIZE;
	s->size = len;
	*ret = TAKE(s);
	return 0;
}

const void *assay_secret_data(const struct assay_secret *s)
{
	return s->data;
}

size_t assay_secret_size(const struct assay_secret *s)
{
	return s->size;
}

const char *assay_secret_name(const struct assay_secret *s)
{
	return s->name;
}

uint32_t assay_secret_stage(const struct assay_secret *s)
{
	return s->stage;
}

static int get_secret(struct assay *a, Assay__GetSecret *get, int timeout_ms,
		      struct assay_secret **ret)
{
	Assay__Request request = ASSAY__REQUEST__INIT;
	struct answer got = ANSWER_NONE;
	int r;

	request.body_case = ASSAY__REQUEST__BODY_GET_SECRET;
	request.get_secret = get;
	r = connection_call(a, &request, deadline_in(timeout_ms), &got);
	if (r < 0)
		return r;
	/* What was asked for, and no other. */
	if (!got.msg->has_secret || (get->stage != 0 && got.msg->stage != get->stage) ||
	    (get->name[0] && strcmp(got.msg->name, get->name) != 0))
		r = -EBADMSG;
	else
		r = secret_from_memfd(got.fd, got.msg->name, got.msg->stage, ret);
	if (r == -EBADMSG)
		connection_end(a, r);
	answer_done(&got);
	return r;
}

int assay_get_secret(struct assay *a, const char *name, bool wait, int timeout_ms,
		     struct assay_secret **ret)
{
	Assay__GetSecret get = ASSAY__GET_SECRET__INIT;

	if (!name || !name[0] || strlen(name) > NAME_MAX_LEN)
		return -EINVAL;
	get.name = (char *)name;
	get.wait = wait;
	return get_secret(a, &get, timeout_ms, ret);
}

int assay_get_stage_secret(struct assay *a, uint32_t stage, bool wait, int timeout_ms,
			   struct assay_secret **ret)
{
	Assay__GetSecret get = ASSAY__GET_SECRET__INIT;

	if (stage == 0)
		return -EINVAL;
	get.stage = stage;
	get.wait = wait;
	return get_secret(a, &get, timeout_ms, ret);
}
