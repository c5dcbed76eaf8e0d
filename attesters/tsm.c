/* SPDX-License-Identifier: Apache-2.0 */
#include "tsm.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "quantity.h"

#define ATTRIBUTE_MAX 64 /* of those in text */
#define NAME_MAX_OURS 64
#define BUSY_TRIES    10
#define BUSY_PAUSE_MS 50

/* Requests of this process; with its id it makes a name that no other uses. */
static atomic_uint requests;

/* A request's directory, from mkdir to rmdir. */
struct tsm_entry {
	int root, dir;
	char name[NAME_MAX_OURS];
};

void tsm_answer_init(struct tsm_answer *a)
{
	a->outblob = BYTES_INIT(TSM_OUTBLOB_MAX);
	a->auxblob = BYTES_INIT(TSM_OUTBLOB_MAX);
	a->manifestblob = BYTES_INIT(TSM_OUTBLOB_MAX);
}

void tsm_answer_done(struct tsm_answer *a)
{
	bytes_done(&a->outblob);
	bytes_done(&a->auxblob);
	bytes_done(&a->manifestblob);
}

static void answer_reset(struct tsm_answer *a)
{
	bytes_reset(&a->outblob);
	bytes_reset(&a->auxblob);
	bytes_reset(&a->manifestblob);
}

static void entry_done(struct tsm_entry *e)
{
	if (e->dir >= 0) {
		close(e->dir);
		/* One that stays costs the kernel some bytes until it boots, and nothing else. */
		unlinkat(e->root, e->name, AT_REMOVEDIR);
	}
	if (e->root >= 0)
		close(e->root);
}

/* e is empty; entry_done ends it in any case. */
static int entry_open(struct tsm_entry *e, char *ret_why, size_t size)
{
	int r;

	e->root = open(TSM_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->root < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "%s: %s%s", TSM_ROOT, strerror(-r),
			 r == -ENOENT ? "; it needs Linux 6.7 and configfs mounted" : "");
		return r == -ENOENT || r == -ENOTDIR ? -ENODEV : r;
	}
	snprintf(e->name, sizeof(e->name), "assay-%d-%u", (int)getpid(),
		 atomic_fetch_add(&requests, 1));
	if (mkdirat(e->root, e->name, 0700) < 0) {
		r = neg_errno();
		if (r == -ENXIO)
			snprintf(ret_why, size,
				 "%s: no TSM driver is registered (modules tdx_guest, sev-guest, "
				 "arm-cca-guest)",
				 TSM_ROOT);
		else
			snprintf(ret_why, size, "%s/%s: %s", TSM_ROOT, e->name, strerror(-r));
		return r == -ENXIO ? -ENODEV : r;
	}
	e->dir = openat(e->root, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dir < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "%s/%s: %s", TSM_ROOT, e->name, strerror(-r));
		unlinkat(e->root, e->name, AT_REMOVEDIR);
		return r;
	}
	return 0;
}

static int read_blob(const struct tsm_entry *e, const char *attribute, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = openat(e->dir, attribute, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
}

/* A line of text, without its end. */
static int read_text(const struct tsm_entry *e, const char *attribute, char ret[ATTRIBUTE_MAX])
{
	CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(ATTRIBUTE_MAX - 1);
	int r;

	r = read_blob(e, attribute, &b);
	if (r < 0)
		return r == -EMSGSIZE ? -EBADMSG : r;
	if (b.len > 0 && b.data[b.len - 1] == '\n')
		b.len--;
	if (b.len == 0 || memchr(b.data, '\0', b.len) || memchr(b.data, '\n', b.len))
		return -EBADMSG;
	memcpy(ret, b.data, b.len);
	ret[b.len] = '\0';
	return 0;
}

static int read_number(const struct tsm_entry *e, const char *attribute, uint64_t *ret)
{
	char text[ATTRIBUTE_MAX];
	int r;

	r = read_text(e, attribute, text);
	if (r == 0 && quantity_count(text, ret) < 0)
		r = -EBADMSG;
	return r;
}

/*
 * An attribute takes what one write brings, a binary one when the file is closed; what
 * goes wrong there nobody is told, but the generation does not move then.
 */
static int write_attribute(const struct tsm_entry *e, const char *attribute, const void *data,
			   size_t len)
{
	int fd, r = 0;
	ssize_t n;

	fd = openat(e->dir, attribute, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	n = write(fd, data, len);
	if (n < 0)
		r = neg_errno();
	else if ((size_t)n != len)
		r = -EIO;
	if (close(fd) < 0 && r == 0)
		r = neg_errno();
	return r;
}

static int write_text(const struct tsm_entry *e, const char *attribute, const char *text)
{
	return write_attribute(e, attribute, text, strlen(text));
}

/* One that this provider does not have stays empty. */
static int read_optional(const struct tsm_entry *e, const char *attribute, struct bytes *ret)
{
	int r = read_blob(e, attribute, ret);

	return r == -ENOENT ? 0 : r;
}

static int check_provider(const struct tsm_entry *e, const char *expected, const char **ret_step)
{
	char provider[ATTRIBUTE_MAX];
	int r;

	*ret_step = "provider";
	r = read_text(e, "provider", provider);
	if (r < 0)
		return r;
	return strcmp(provider, expected) == 0 ? 0 : -ENODEV;
}

/*
 * Writes all options; their number in *ret. A guest at a lesser privilege level (VMPL) has to
 * name its own.
 */
static int write_options(const struct tsm_entry *e, const struct tsm_request *q, uint64_t *ret,
			 const char **ret_step)
{
	char level[ATTRIBUTE_MAX];
	uint64_t floor = 0, n = 0;
	int r;

	*ret_step = "privlevel_floor";
	r = read_number(e, "privlevel_floor", &floor);
	if (r < 0 && r != -ENOENT)
		return r;
	if (floor > 0 && !q->service_provider) {
		snprintf(level, sizeof(level), "%" PRIu64, floor);
		*ret_step = "privlevel";
		r = write_text(e, "privlevel", level);
		if (r < 0)
			return r;
		n++;
	}
	if (q->service_provider) {
		*ret_step = "service_provider";
		r = write_text(e, "service_provider", q->service_provider);
		if (r < 0)
			return r;
		*ret_step = "service_guid";
		r = write_text(e, "service_guid", q->service_guid);
		if (r < 0)
			return r;
		n += 2;
	}
	*ret_step = "inblob";
	r = write_attribute(e, "inblob", q->inblob, sizeof(q->inblob));
	if (r < 0)
		return r;
	*ret = n + 1;
	return 0;
}

/* -ESTALE: somebody else wrote here. */
static int converse(const struct tsm_entry *e, const struct tsm_request *q, struct tsm_answer *ret,
		    const char **ret_step)
{
	uint64_t before = 0, after = 0, written = 0;
	int r;

	r = check_provider(e, q->provider, ret_step);
	if (r < 0)
		return r;
	*ret_step = "generation";
	r = read_number(e, "generation", &before);
	if (r < 0)
		return r;
	r = write_options(e, q, &written, ret_step);
	if (r < 0)
		return r;
	*ret_step = "outblob";
	r = read_blob(e, "outblob", &ret->outblob);
	if (r < 0)
		return r;
	*ret_step = "auxblob";
	r = read_optional(e, "auxblob", &ret->auxblob);
	if (r < 0)
		return r;
	*ret_step = "manifestblob";
	r = q->service_provider ? read_blob(e, "manifestblob", &ret->manifestblob) : 0;
	if (r < 0)
		return r;
	*ret_step = "generation";
	r = read_number(e, "generation", &after);
	if (r < 0)
		return r;
	return after == before + written ? 0 : -ESTALE;
}

static int ask_once(const struct tsm_request *q, struct tsm_answer *ret, const char **ret_step,
		    char *ret_why, size_t size)
{
	CLEANUP(entry_done) struct tsm_entry e = { .root = -1, .dir = -1 };
	int r;

	answer_reset(ret);
	*ret_step = NULL;
	r = entry_open(&e, ret_why, size);
	return r < 0 ? r : converse(&e, q, ret, ret_step);
}

static const struct {
	int error;
	const char *words;
} provider_errors[] = {
	{ -ENODEV, "it is another provider's" },
	{ -EBUSY, "the chip is at another request" },
	{ -EIO, "the chip or the host refused the request" },
	{ -ETIMEDOUT, "the host did not answer" },
	{ -EINVAL, "the provider does not take the request" },
	{ -ENXIO, "the TSM driver is gone" },
	{ -EMSGSIZE, "larger than is taken" },
	{ -EFBIG, "larger than the kernel takes" },
	{ -EBADMSG, "it makes no sense" },
	{ -ESTALE, "another process writes there" },
};

static void explain(int r, const char *step, char *ret_why, size_t size)
{
	const char *words = strerror(-r);

	for (size_t i = 0; i < ARRAY_LEN(provider_errors); i++) {
		if (provider_errors[i].error == r)
			words = provider_errors[i].words;
	}
	snprintf(ret_why, size, "configfs-tsm: %s: %s", step, words);
}

static void pause_a_little(void)
{
	struct timespec wait = { .tv_nsec = BUSY_PAUSE_MS * 1000 * 1000 };

	nanosleep(&wait, NULL);
}

int tsm_ask(const struct tsm_request *request, struct tsm_answer *ret, char *ret_why, size_t size)
{
	unsigned int spoilt = 0, busy = 0;
	const char *step;
	int r;

	for (;;) {
		r = ask_once(request, ret, &step, ret_why, size);
		if (r == -ESTALE && ++spoilt < TSM_TRIES)
			continue;
		if ((r != -EBUSY && r != -EINTR) || ++busy == BUSY_TRIES)
			break;
		pause_a_little();
	}
	if (r < 0 && step)
		explain(r, step, ret_why, size);
	if (r < 0)
		answer_reset(ret);
	return r == -ESTALE ? -EBUSY : r;
}

int tsm_provider(char ret[TSM_PROVIDER_MAX], char *ret_why, size_t size)
{
	CLEANUP(entry_done) struct tsm_entry e = { .root = -1, .dir = -1 };
	char name[ATTRIBUTE_MAX];
	int r;

	r = entry_open(&e, ret_why, size);
	if (r < 0)
		return r;
	r = read_text(&e, "provider", name);
	if (r == 0 && strlen(name) >= TSM_PROVIDER_MAX)
		r = -EBADMSG;
	if (r < 0) {
		explain(r, "provider", ret_why, size);
		return r == -ENXIO ? -ENODEV : r;
	}
	memcpy(ret, name, strlen(name) + 1);
	return 0;
}
