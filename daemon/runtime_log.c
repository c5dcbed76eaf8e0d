/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_log.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "claims.h"
#include "cleanup.h"

#define ENTRY_SIZE 32
#define FILE_MAGIC "assayrl1"

/* At the head of the file: what the entries that were folded away add up to. */
struct file_head {
	char magic[8];
	uint32_t alg;
	uint32_t pcr;
	uint64_t base; /* entries folded into value */
	uint8_t value[DIGEST_MAX];
};

struct runtime_log {
	pthread_mutex_t lock;
	char *path;
	int fd;
	unsigned int pcr;
	struct digest base_value; /* after the first `base` entries */
	uint64_t base, count;	  /* entries [base, count) are in `entries` */
	uint64_t known;
	struct bytes entries;
	bool preparing;
	uint8_t prepared[ENTRY_SIZE];
};

CLEANUP_FUNCTION(struct runtime_log *, runtime_log_free)

static int fold(struct digest *value, const uint8_t *entries, uint64_t n)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = claims_runtime_extend(value, view_of(entries + i * ENTRY_SIZE, ENTRY_SIZE));
	return r;
}

/* Writes the whole file anew, next to it, and renames. */
static int rewrite(struct runtime_log *l)
{
	struct file_head head = { .alg = l->base_value.alg, .pcr = l->pcr, .base = l->base };
	CLEANUP(cleanup_mem) char *temporary = NULL;
	CLEANUP(cleanup_fd) int fd = -1;

	memcpy(head.magic, FILE_MAGIC, sizeof(head.magic));
	memcpy(head.value, l->base_value.bytes, l->base_value.size);
	if (asprintf(&temporary, "%s.new", l->path) < 0)
		return -ENOMEM;
	fd = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return neg_errno();
	if (write(fd, &head, sizeof(head)) != (ssize_t)sizeof(head) ||
	    (l->entries.len > 0 &&
	     write(fd, l->entries.data, l->entries.len) != (ssize_t)l->entries.len))
		return neg_errno();
	if (rename(temporary, l->path) < 0)
		return neg_errno();
	if (l->fd >= 0)
		close(l->fd);
	l->fd = TAKE_FD(fd);
	return 0;
}

static int read_file(struct runtime_log *l, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = -1;

	fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : neg_errno();
	return bytes_read_fd(ret, fd);
}

/* Takes over what the file says if the register agrees. 1: it does. */
static int load(struct runtime_log *l, struct view file, const struct digest *reg)
{
	struct reader in = reader_of(file);
	struct digest value;
	struct file_head head;
	int r;

	if (read_copy(&in, &head, sizeof(head)) < 0)
		return 0;
	if (memcmp(head.magic, FILE_MAGIC, sizeof(head.magic)) != 0 || head.alg != reg->alg ||
	    head.pcr != l->pcr)
		return 0;
	l->base_value = digest_zero(reg->alg);
	memcpy(l->base_value.bytes, head.value, l->base_value.size);
	l->base = head.base;

	/* The last entry may have been written and not extended, or be half written. */
	for (uint64_t n = in.left / ENTRY_SIZE, tries = 0; tries < 2; n--, tries++) {
		value = l->base_value;
		r = fold(&value, in.at, n);
		if (r < 0)
			return r;
		if (digest_equal(&value, reg)) {
			l->count = l->base + n;
			r = bytes_append(&l->entries, in.at, n * ENTRY_SIZE);
			return r < 0 ? r : 1;
		}
		if (n == 0)
			break;
	}
	return 0;
}

int runtime_log_open(const char *path, unsigned int pcr, const struct digest *reg,
		     struct runtime_log **ret)
{
	CLEANUP(runtime_log_freep) struct runtime_log *l = NULL;
	CLEANUP(bytes_cleanup)
	struct bytes file =
		BYTES_INIT(sizeof(struct file_head) + (RUNTIME_LOG_KEPT_MAX + 1) * ENTRY_SIZE);
	struct digest zero = digest_zero(reg->alg);
	bool foreign = false;
	int r;

	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->fd = -1;
	l->pcr = pcr;
	l->entries = BYTES_INIT(RUNTIME_LOG_KEPT_MAX * ENTRY_SIZE);
	l->path = strdup(path);
	if (!l->path)
		return -ENOMEM;

	if (!digest_equal(reg, &zero)) {
		r = read_file(l, &file);
		if (r == 0)
			r = load(l, bytes_view(&file), reg);
		if (r < 0)
			return r;
		foreign = r == 0;
	}
	if (foreign || digest_equal(reg, &zero)) {
		l->base = l->count = 0;
		l->base_value = zero;
		bytes_reset(&l->entries);
	}
	r = rewrite(l);
	if (r < 0)
		return r;
	*ret = TAKE(l);
	return foreign ? -EBADE : 0;
}

void runtime_log_free(struct runtime_log *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	bytes_done(&l->entries);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l);
}

/* Drops entries that the verifier has, or that are too many to keep. */
static int fold_away(struct runtime_log *l, uint64_t upto)
{
	uint64_t n = upto - l->base;
	int r;

	r = fold(&l->base_value, l->entries.data, n);
	if (r < 0)
		return r;
	memmove(l->entries.data, l->entries.data + n * ENTRY_SIZE, l->entries.len - n * ENTRY_SIZE);
	l->entries.len -= n * ENTRY_SIZE;
	l->base = upto;
	return rewrite(l);
}

int runtime_log_prepare(struct runtime_log *l, const struct digest *entry)
{
	int r = 0;

	if (entry->size != ENTRY_SIZE)
		return -EINVAL;
	pthread_mutex_lock(&l->lock);
	if (l->count - l->base >= RUNTIME_LOG_KEPT_MAX)
		r = fold_away(l, l->base + RUNTIME_LOG_KEPT_MAX / 2);
	if (r == 0 && write(l->fd, entry->bytes, ENTRY_SIZE) != ENTRY_SIZE)
		r = neg_errno();
	if (r == 0) {
		memcpy(l->prepared, entry->bytes, ENTRY_SIZE);
		l->preparing = true;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

int runtime_log_commit(struct runtime_log *l, uint64_t *ret_end)
{
	int r;

	pthread_mutex_lock(&l->lock);
	r = l->preparing ? bytes_append(&l->entries, l->prepared, ENTRY_SIZE) : -EINVAL;
	if (r == 0) {
		l->preparing = false;
		*ret_end = ++l->count;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

void runtime_log_abort(struct runtime_log *l)
{
	pthread_mutex_lock(&l->lock);
	if (l->preparing) {
		off_t size = lseek(l->fd, 0, SEEK_CUR);

		/* If this fails the next start finds one entry too many, which it allows for. */
		if (size >= ENTRY_SIZE && ftruncate(l->fd, size - ENTRY_SIZE) == 0)
			lseek(l->fd, size - ENTRY_SIZE, SEEK_SET);
		l->preparing = false;
	}
	pthread_mutex_unlock(&l->lock);
}

uint64_t runtime_log_end(struct runtime_log *l)
{
	uint64_t end;

	pthread_mutex_lock(&l->lock);
	end = l->count;
	pthread_mutex_unlock(&l->lock);
	return end;
}

void runtime_log_known(struct runtime_log *l, uint64_t count)
{
	pthread_mutex_lock(&l->lock);
	if (count <= l->count)
		l->known = count;
	pthread_mutex_unlock(&l->lock);
}

int runtime_log_message(struct runtime_log *l, uint64_t end, struct arena *arena,
			Assay__RuntimeLog **ret)
{
	Assay__RuntimeLog *m;
	uint64_t first, n;
	int r = -ENOMEM;

	m = arena_alloc(arena, sizeof(*m));
	if (!m)
		return -ENOMEM;
	assay__runtime_log__init(m);

	pthread_mutex_lock(&l->lock);
	first = l->known > l->base ? l->known : l->base;
	if (end > l->count)
		end = l->count;
	if (first > end)
		first = end;
	n = end - first;
	m->register_ = l->pcr;
	m->first = first;
	m->entries = arena_alloc(arena, n * sizeof(*m->entries));
	if (m->entries) {
		uint8_t *copy = arena_copy(
			arena,
			l->entries.data ? l->entries.data + (first - l->base) * ENTRY_SIZE : NULL,
			n * ENTRY_SIZE);

		for (uint64_t i = 0; copy && i < n; i++)
			m->entries[i] = (ProtobufCBinaryData){ ENTRY_SIZE, copy + i * ENTRY_SIZE };
		if (copy) {
			m->n_entries = n;
			r = 0;
		}
	}
	pthread_mutex_unlock(&l->lock);
	if (r == 0)
		*ret = m;
	return r;
}
