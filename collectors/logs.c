/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/log_file.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/* MI item 6: what the application's log files were added, by the patterns of the configuration. */

/* Lines of a pattern that are quoted at one node, and of how many bytes. */
#define QUOTED_MAX	 8
#define QUOTED_BYTES_MAX 256

struct pattern {
	const char *text;
	regex_t compiled;
	bool valid;
	uint64_t count, total;
	char quoted[QUOTED_MAX][QUOTED_BYTES_MAX + 1];
	size_t n_quoted;
};

/* All patterns of one file; rows of the configuration that name the same file are one. */
struct followed {
	struct log_file file;
	struct pattern *patterns;
	size_t n_patterns;
	uint64_t lines;
};

struct logs {
	struct collector base;
	struct target *target;
	struct followed *files;
	size_t n_files;
	struct hasher *hasher;
	uint64_t run;
};

static void logs_close(struct collector *c);
static void logs_freep(struct logs **x)
{
	if (*x)
		logs_close(&(*x)->base);
}

static struct followed *followed_of(struct logs *x, const char *path)
{
	for (size_t i = 0; i < x->n_files; i++) {
		if (strcmp(x->files[i].file.path, path) == 0)
			return &x->files[i];
	}
	return NULL;
}

static int add_pattern(struct followed *f, const char *text)
{
	struct pattern *p = realloc(f->patterns, (f->n_patterns + 1) * sizeof(*p));

	if (!p)
		return -ENOMEM;
	f->patterns = p;
	p += f->n_patterns++;
	memset(p, 0, sizeof(*p));
	p->text = text;
	/* The configuration was checked; one that does not compile all the same is said in MI. */
	p->valid = regcomp(&p->compiled, text, REG_EXTENDED | REG_NOSUB) == 0;
	return 0;
}

static int logs_open(struct target *t, struct collector **ret)
{
	CLEANUP(logs_freep) struct logs *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_logs;
	x->target = t;
	x->files = calloc(t->config->n_logs + 1, sizeof(*x->files));
	if (!x->files)
		return -ENOMEM;
	r = hasher_new(HASH_SHA256, &x->hasher);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->config->n_logs; i++) {
		const struct target_log *log = &t->config->logs[i];
		struct followed *f = followed_of(x, log->file);

		if (!f) {
			f = &x->files[x->n_files];
			r = log_file_open(log->file, true, &f->file);
			if (r < 0)
				return r;
			x->n_files++;
		}
		if (log->match) {
			r = add_pattern(f, log->match);
			if (r < 0)
				return r;
		}
	}
	*ret = &TAKE(x)->base;
	return 0;
}

struct reading_of {
	struct followed *file;
	struct hasher *hasher;
};

static int on_bytes(void *arg, struct view data)
{
	return hasher_add(((struct reading_of *)arg)->hasher, data.data, data.len);
}

static int on_line(void *arg, char *line, size_t len)
{
	struct followed *f = ((struct reading_of *)arg)->file;

	f->lines++;
	/* A zero byte must not hide the rest of a line from the patterns. */
	for (char *at = line; (at = memchr(at, '\0', len - (size_t)(at - line)));)
		*at = ' ';
	for (size_t i = 0; i < f->n_patterns; i++) {
		struct pattern *p = &f->patterns[i];

		if (!p->valid || regexec(&p->compiled, line, 0, NULL, 0) != 0)
			continue;
		p->count++;
		if (p->n_quoted < QUOTED_MAX)
			snprintf(p->quoted[p->n_quoted++], sizeof(p->quoted[0]), "%s", line);
	}
	return 0;
}

static int add_match(struct mi *mi, Assay__LogFile *out, struct pattern *p)
{
	Assay__LogMatch *m = MI_MESSAGE(mi, Assay__LogMatch, assay__log_match__init);
	char *text;
	int r;

	if (!m)
		return -ENOMEM;
	r = mi_text(mi, p->text, &m->pattern);
	for (size_t i = 0; i < p->n_quoted && r == 0; i++) {
		r = mi_text(mi, p->quoted[i], &text);
		if (r == 0)
			r = mi_push(mi, &m->n_lines, &m->lines, text);
	}
	if (r < 0)
		return r;
	p->total += p->count;
	m->count = p->count;
	m->total = p->total;
	p->count = 0;
	p->n_quoted = 0;
	return mi_push(mi, &out->n_matches, &out->matches, m);
}

static int collect_file(struct logs *x, struct followed *f, struct mi *mi, Assay__Logs *logs,
			const char **why)
{
	Assay__LogFile *out = MI_MESSAGE(mi, Assay__LogFile, assay__log_file__init);
	struct reading_of of = { f, x->hasher };
	struct log_reading reading = { .on_bytes = on_bytes, .on_line = on_line, .arg = &of };
	const char *error = NULL;
	struct digest d;
	int read, r;

	if (!out)
		return -ENOMEM;
	f->lines = 0;
	r = hasher_begin(x->hasher);
	if (r < 0)
		return r;
	read = log_file_read(&f->file, &reading);
	if (read == -ENOMEM)
		return read;
	if (read < 0)
		error = read == -EINVAL ? "not a regular file" : strerror(-read);
	else if (reading.more)
		error = "more was added than is read at one time node";
	for (size_t i = 0; i < f->n_patterns && !error; i++)
		error = f->patterns[i].valid ? NULL : "a pattern is not a regular expression";
	r = mi_text(mi, f->file.path, &out->path);
	if (r == 0 && error) {
		*why = "a log file could not be read to its end; see logs";
		r = mi_text(mi, error, &out->error);
	}
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	if (r == 0 && reading.bytes > 0)
		r = mi_bytes(mi, digest_view(&d), &out->sha256);
	out->lines = f->lines;
	out->bytes = reading.bytes;
	out->rotated = reading.rotated;
	for (size_t i = 0; i < f->n_patterns && r == 0; i++)
		r = add_match(mi, out, &f->patterns[i]);
	return r < 0 ? r : mi_push(mi, &logs->n_files, &logs->files, out);
}

static int logs_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct logs *x = (struct logs *)c;
	Assay__Logs *out = MI_MESSAGE(mi, Assay__Logs, assay__logs__init);
	const char *why = NULL;
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->logs = out;
	if (x->run != x->target->started_boottime_ns) {
		x->run = x->target->started_boottime_ns;
		for (size_t i = 0; i < x->n_files; i++) {
			for (size_t j = 0; j < x->files[i].n_patterns; j++)
				x->files[i].patterns[j].total = 0;
		}
	}
	for (size_t i = 0; i < x->n_files; i++) {
		r = collect_file(x, &x->files[i], mi, out, &why);
		if (r < 0)
			return r;
	}
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void logs_close(struct collector *c)
{
	struct logs *x = (struct logs *)c;

	if (!x)
		return;
	for (size_t i = 0; i < x->n_files; i++) {
		struct followed *f = &x->files[i];

		for (size_t j = 0; j < f->n_patterns; j++) {
			if (f->patterns[j].valid)
				regfree(&f->patterns[j].compiled);
		}
		free(f->patterns);
		log_file_close(&f->file);
	}
	free(x->files);
	hasher_free(x->hasher);
	free(x);
}

const struct collector_ops collector_logs = {
	.name = "logs",
	.item = 6,
	.open = logs_open,
	.collect = logs_collect,
	.close = logs_close,
};
