/* SPDX-License-Identifier: Apache-2.0 */
#include "tee.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/rand.h>

#include "arena.h"
#include "cleanup.h"
#include "evidence.h" /* EVENT_LOG_MAX, what the other side takes */

#define TIMEOUT_MS_DEFAULT (60 * 1000) /* the kernel's own limits are 30 s (TDX) and 60 s (SNP) */
#define NAME_FILE	   "tee-name"
#define NAME_FILE_NEW	   "tee-name.new"

static int name_read(int dir, uint8_t ret[TEE_NAME_SIZE])
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(TEE_NAME_SIZE);
	CLEANUP(cleanup_fd) int fd = openat(dir, NAME_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return neg_errno();
	r = bytes_read_fd(&content, fd);
	if (r < 0 && r != -EMSGSIZE)
		return r;
	/* A file of another size was not written to its end: as good as none. */
	if (r < 0 || content.len != TEE_NAME_SIZE)
		return -ENOENT;
	memcpy(ret, content.data, TEE_NAME_SIZE);
	return 0;
}

static int name_write(int dir, const uint8_t name[TEE_NAME_SIZE])
{
	CLEANUP(cleanup_fd) int fd = -1;

	if (unlinkat(dir, NAME_FILE_NEW, 0) < 0 && errno != ENOENT)
		return neg_errno();
	fd = openat(dir, NAME_FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return neg_errno();
	if (write(fd, name, TEE_NAME_SIZE) != TEE_NAME_SIZE || fsync(fd) < 0 ||
	    renameat(dir, NAME_FILE_NEW, dir, NAME_FILE) < 0 || fsync(dir) < 0)
		return neg_errno();
	return 0;
}

/*
 * A TEE's key is the chip's, and the chip's identity is not the machine's: several
 * guests share it. What the verifier keeps this machine's record under is a name of its
 * own making, kept where there is a state directory.
 */
static int name_of_machine(struct tee *t, const char *state)
{
	CLEANUP(cleanup_fd) int dir = -1;
	int r;

	if (state) {
		if (mkdir(state, 0700) < 0 && errno != EEXIST)
			return neg_errno();
		dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return neg_errno();
		r = name_read(dir, t->name);
		if (r != -ENOENT)
			return r;
	}
	if (RAND_bytes(t->name, sizeof(t->name)) != 1)
		return -EIO;
	return state ? name_write(dir, t->name) : 0;
}

/* A file that only the configuration could have named must be there; the kernel's need not. */
static int read_file(const char *path, bool needed, struct bytes *ret, char *ret_why, size_t size)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && !needed && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
	if (r < 0)
		snprintf(ret_why, size, "%s: %s", path, strerror(-r));
	return r;
}

static int read_endorsements(struct tee *t, char *const *paths, char *ret_why, size_t size)
{
	int r = 0;

	for (size_t i = 0; r == 0 && paths && paths[i]; i++) {
		if (i == ATTESTER_ENDORSEMENTS_MAX) {
			snprintf(ret_why, size, "more than %d files of endorsements",
				 ATTESTER_ENDORSEMENTS_MAX);
			return -E2BIG;
		}
		t->endorsements[i] = BYTES_INIT(TEE_ENDORSEMENT_MAX);
		t->n_endorsements++;
		r = read_file(paths[i], true, &t->endorsements[i], ret_why, size);
	}
	return r;
}

static int begin(struct tee *t, const struct attester_config *config, const char *event_log,
		 char *ret_why, size_t size)
{
	const char *log = config->tee_event_log ? config->tee_event_log : event_log;
	int r;

	r = timed_new(&t->calls);
	if (r < 0)
		return r;
	r = name_of_machine(t, config->state);
	if (r < 0) {
		snprintf(ret_why, size, "%s: the machine's name cannot be kept: %s",
			 config->state ? config->state : "random numbers", strerror(-r));
		return r;
	}
	if (log) {
		r = read_file(log, config->tee_event_log, &t->event_log, ret_why, size);
		if (r < 0)
			return r;
	}
	return read_endorsements(t, config->tee_endorsements, ret_why, size);
}

int tee_open(const struct attester_ops *ops, const struct attester_config *config, tee_ask ask,
	     const char *event_log, struct attester **ret, char *ret_why, size_t size)
{
	struct tee *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->base.ops = ops;
	t->ask = ask;
	t->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT;
	t->event_log = BYTES_INIT(EVENT_LOG_MAX);
	r = begin(t, config, event_log, ret_why, size);
	if (r < 0) {
		tee_close(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}

void tee_close(struct attester *a)
{
	struct tee *t = (struct tee *)a;

	if (!t)
		return;
	timed_free(t->calls);
	bytes_done(&t->event_log);
	for (size_t i = 0; i < t->n_endorsements; i++)
		bytes_done(&t->endorsements[i]);
	free(t);
}

int tee_identity(struct attester *a, struct attester_identity *ret)
{
	struct tee *t = (struct tee *)a;
	struct attester_identity i = { .key_name = BYTES_INIT(TEE_NAME_SIZE) };
	int r;

	r = bytes_append(&i.key_name, t->name, sizeof(t->name));
	if (r < 0) {
		attester_identity_done(&i);
		return r;
	}
	*ret = i;
	return 0;
}

int tee_find_tsm(const char *provider, char *ret_why, size_t size)
{
	char found[TSM_PROVIDER_MAX];
	int r;

	r = tsm_provider(found, ret_why, size);
	if (r < 0)
		return r;
	snprintf(ret_why, size, "configfs-tsm has the provider %s", found);
	return strcmp(found, provider) == 0 ? 0 : -ENODEV;
}

int tee_ask_tsm(struct tee_job *job)
{
	return tsm_ask(&job->request, &job->answer, job->why, sizeof(job->why));
}

static void job_free(void *arg)
{
	struct tee_job *job = arg;

	tsm_answer_done(&job->answer);
	free(job);
}

static int job_work(void *arg)
{
	struct tee_job *job = arg;

	return job->ask(job);
}

static int fill_blob(struct arena *arena, struct view v, ProtobufCBinaryData *ret)
{
	uint8_t *p = arena_copy(arena, v.data, v.len);

	if (!p)
		return -ENOMEM;
	*ret = (ProtobufCBinaryData){ .len = v.len, .data = p };
	return 0;
}

int tee_endorse(const struct tee *t, struct view aux, struct arena *arena,
		Assay__ChipReport *report)
{
	int r = 0;

	report->n_endorsements = 0;
	report->endorsements =
		arena_alloc(arena, (1 + t->n_endorsements) * sizeof(*report->endorsements));
	if (!report->endorsements)
		return -ENOMEM;
	if (aux.len > 0)
		r = fill_blob(arena, aux, &report->endorsements[report->n_endorsements++]);
	for (size_t i = 0; r == 0 && i < t->n_endorsements; i++)
		r = fill_blob(arena, bytes_view(&t->endorsements[i]),
			      &report->endorsements[report->n_endorsements++]);
	return r;
}

static int fill_report(const struct tee *t, const struct tsm_answer *answer, struct arena *arena,
		       Assay__ChipReport *report)
{
	int r;

	report->platform = arena_text(arena, t->base.ops->platform);
	if (!report->platform)
		return -ENOMEM;
	r = fill_blob(arena, bytes_view(&answer->outblob), &report->report);
	if (r == 0 && t->event_log.len > 0)
		r = fill_blob(arena, bytes_view(&t->event_log), &report->event_log);
	if (r == 0)
		r = tee_endorse(t, bytes_view(&answer->auxblob), arena, report);
	return r;
}

/* The job's result, in words too. A job that came back late is not freed here. */
static int ask(struct tee *t, struct tee_job *job)
{
	char *why = t->base.why;
	int r, result = -EIO;

	r = timed_run(t->calls, t->timeout_ms, job_work, job_free, job, &result);
	if (r == -ETIMEDOUT) {
		snprintf(why, ATTESTER_WHY_MAX, "no answer within %u ms", t->timeout_ms);
		return r;
	}
	if (r == -EBUSY)
		snprintf(why, ATTESTER_WHY_MAX, "the request before has not been answered");
	if (r == 0 && result < 0) {
		r = result;
		snprintf(why, ATTESTER_WHY_MAX, "%s", job->why);
	}
	if (r < 0)
		job_free(job);
	return r;
}

int tee_request(struct tee *t, const struct tsm_request *request, struct tsm_answer *ret)
{
	struct tee_job *job = calloc(1, sizeof(*job));
	int r;

	t->base.why[0] = '\0';
	if (!job)
		return -ENOMEM;
	tsm_answer_init(&job->answer);
	job->request = *request;
	job->ask = t->ask;
	r = ask(t, job);
	if (r < 0)
		return r;
	*ret = job->answer;
	tsm_answer_init(&job->answer);
	job_free(job);
	return 0;
}

int tee_report(struct attester *a, const char *provider, tee_covers covers, struct view claims,
	       struct arena *arena, Assay__ChipReport *report)
{
	struct tsm_request request = { .provider = provider };
	struct tee *t = (struct tee *)a;
	struct tsm_answer answer;
	const char *fault = NULL;
	struct digest data;
	int r;

	a->why[0] = '\0';
	r = claims_hash(claims, &data);
	if (r < 0)
		return r;
	memcpy(request.inblob, data.bytes, TSM_INBLOB_SIZE);
	r = tee_request(t, &request, &answer);
	if (r < 0)
		return r;
	/* A host that failed may leave in the buffer whatever was there. */
	r = covers(bytes_view(&answer.outblob), data.bytes, &fault);
	if (r < 0)
		snprintf(a->why, sizeof(a->why), "the chip gave %zu bytes: %s", answer.outblob.len,
			 fault);
	else
		r = fill_report(t, &answer, arena, report);
	tsm_answer_done(&answer);
	return r;
}
