/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 5: the block that exec laid out, as it is now (/proc/PID/environ) and as it was then.
 * What a program sets later it keeps elsewhere in its memory, which is not looked at.
 */

/* Most bytes of one process's environment, and most variables of it that are named. */
#define ENVIRONMENT_MAX (2 * 1024 * 1024)
#define NAMES_MAX	4096

struct environment {
	struct collector base;
	struct target *target;
	struct bytes block;
	struct hasher *hasher;
};

static int environment_open(struct target *t, struct collector **ret)
{
	struct environment *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_environment;
	x->target = t;
	x->block = BYTES_INIT(ENVIRONMENT_MAX);
	r = hasher_new(HASH_SHA256, &x->hasher);
	if (r < 0) {
		free(x);
		return r;
	}
	*ret = &x->base;
	return 0;
}

static int sha256(struct environment *x, struct mi *mi, struct view data, ProtobufCBinaryData *ret)
{
	struct digest d;
	int r;

	r = hasher_begin(x->hasher);
	if (r == 0)
		r = hasher_add(x->hasher, data.data, data.len);
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	return r < 0 ? r : mi_bytes(mi, digest_view(&d), ret);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of one list that the other has not; both in order. */
static int add_missing(struct mi *mi, char *const *of, size_t n_of, char *const *in, size_t n_in,
		       size_t *n, char ***list)
{
	int r;

	for (size_t i = 0; i < n_of; i++) {
		if (n_in > 0 && bsearch(&of[i], in, n_in, sizeof(*in), by_name))
			continue;
		r = mi_push(mi, n, list, of[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Which names only one of the blocks has: the first n_now were of the block as it is now. */
static int tell_apart(struct mi *mi, Assay__EnvironmentOf *out, size_t n_now)
{
	size_t n_then = out->n_names - n_now;
	char **now = arena_copy(mi->arena, out->names, out->n_names * sizeof(*now));
	char **then;
	int r;

	if (!now)
		return -ENOMEM;
	then = now + n_now;
	if (n_now > 1)
		qsort(now, n_now, sizeof(*now), by_name);
	if (n_then > 1)
		qsort(then, n_then, sizeof(*then), by_name);
	r = add_missing(mi, then, n_then, now, n_now, &out->n_only_at_exec, &out->only_at_exec);
	return r < 0 ? r
		     : add_missing(mi, now, n_now, then, n_then, &out->n_only_now, &out->only_now);
}

static bool recorded(const struct target_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_environment; i++) {
		if (fnmatch(config->environment[i], name, 0) == 0)
			return true;
	}
	return false;
}

static int add_variable(struct environment *x, struct mi *mi, Assay__EnvironmentOf *out,
			const char *name, const char *value)
{
	Assay__Variable *v = MI_MESSAGE(mi, Assay__Variable, assay__variable__init);
	int r;

	if (!v)
		return -ENOMEM;
	r = mi_text(mi, name, &v->name);
	if (r == 0 && !x->target->config->environment_hash_only)
		r = mi_text(mi, value, &v->value);
	if (r == 0)
		r = sha256(x, mi, view_text(value), &v->sha256);
	if (r < 0)
		return r;
	return mi_push(mi, &out->n_variables, &out->variables, v);
}

static int by_variable(const void *a, const void *b)
{
	const Assay__Variable *left = *(Assay__Variable *const *)a;
	const Assay__Variable *right = *(Assay__Variable *const *)b;
	int r = strcmp(left->name, right->name);

	return r ? r : memcmp(left->sha256.data, right->sha256.data, right->sha256.len);
}

/* Sorted, and once where both blocks have it: a variable with two values stays twice. */
static void order(Assay__EnvironmentOf *out)
{
	size_t n = 0;

	if (out->n_names > 1)
		qsort(out->names, out->n_names, sizeof(*out->names), by_name);
	for (size_t i = 0; i < out->n_names; i++) {
		if (n == 0 || by_name(&out->names[n - 1], &out->names[i]) != 0)
			out->names[n++] = out->names[i];
	}
	out->n_names = n;
	n = 0;
	if (out->n_variables > 1)
		qsort(out->variables, out->n_variables, sizeof(*out->variables), by_variable);
	for (size_t i = 0; i < out->n_variables; i++) {
		if (n == 0 || by_variable(&out->variables[n - 1], &out->variables[i]) != 0)
			out->variables[n++] = out->variables[i];
	}
	out->n_variables = n;
}

/* exec lays out nothing but variables, so anything else was written there later. */
static bool overwritten(struct view block)
{
	struct view piece;

	while (proc_piece(&block, '\0', &piece)) {
		if (piece.len > 0 && !memchr(piece.data, '=', piece.len))
			return true;
	}
	return false;
}

static int add_piece(struct environment *x, struct mi *mi, Assay__EnvironmentOf *out,
		     struct view piece)
{
	const char *equals = memchr(piece.data, '=', piece.len);
	char *text, *name;
	size_t len;
	int r;

	text = arena_alloc(mi->arena, piece.len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, piece.data, piece.len);
	len = equals ? (size_t)(equals - (const char *)piece.data) : piece.len;
	text[len] = '\0';
	r = mi_text(mi, text, &name);
	if (r == 0)
		r = mi_push(mi, &out->n_names, &out->names, name);
	if (r == 0 && recorded(x->target->config, text))
		r = add_variable(x, mi, out, text, equals ? text + len + 1 : "");
	/* Of one that is not recorded no value stays behind in the MI's memory. */
	explicit_bzero(text, piece.len);
	return r;
}

static int add_block(struct environment *x, struct mi *mi, Assay__EnvironmentOf *out,
		     struct view block, bool *cut)
{
	struct view piece;
	int r;

	while (proc_piece(&block, '\0', &piece)) {
		if (piece.len == 0)
			continue;
		if (out->n_names == NAMES_MAX) {
			*cut = true;
			return 0;
		}
		r = add_piece(x, mi, out, piece);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * What the process has now, if that still is an environment, and what it was executed with where
 * that is something else. Why both: servers write over the block to show another name, and a
 * program could so hide LD_PRELOAD; and what it has now it may act on.
 */
static int add_process(struct environment *x, struct mi *mi, Assay__Environment *environment,
		       const struct target_process *p, const char **why)
{
	const struct target *t = x->target;
	Assay__EnvironmentOf *out;
	struct view now = bytes_view(&x->block), then = { 0 };
	bool whole = false, cut = false, lost = overwritten(now), seen = false;
	size_t n_now;
	int r;

	out = MI_MESSAGE(mi, Assay__EnvironmentOf, assay__environment_of__init);
	if (!out)
		return -ENOMEM;
	out->pid = (uint32_t)p->pid;
	if (t->follow)
		seen = follow_environment(t->follow, t->slot, p->pid, p->start_boottime_ns, &then,
					  &whole) == 0;
	out->executed_seen = seen && whole;
	out->changed = out->executed_seen ? !view_equal(now, then) : lost;
	r = sha256(x, mi, now, &out->sha256);
	if (r == 0 && !lost)
		r = add_block(x, mi, out, now, &cut);
	n_now = out->n_names;
	if (r == 0 && (lost || !view_equal(now, then)))
		r = add_block(x, mi, out, then, &cut);
	if (r == 0 && out->changed && out->executed_seen)
		r = tell_apart(mi, out, n_now);
	if (r < 0)
		return r;
	order(out);
	if (cut)
		*why = "the environment of a process is larger than is recorded";
	else if (lost && !whole)
		*why = "a process wrote over the environment that it was executed with, and that "
		       "was not seen whole";
	return mi_push(mi, &environment->n_processes, &environment->processes, out);
}

static int environment_collect(struct collector *c, const struct collector_time *time,
			       struct mi *mi)
{
	struct environment *x = (struct environment *)c;
	Assay__Environment *out = MI_MESSAGE(mi, Assay__Environment, assay__environment__init);
	const char *why = NULL;
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->environment = out;
	for (size_t i = 0; i < x->target->n_processes; i++) {
		const struct target_process *p = &x->target->processes[i];

		r = target_read(p->proc_fd, "environ", &x->block);
		if (r == 0)
			r = add_process(x, mi, out, p, &why);
		else if (r == -EMSGSIZE)
			why = "the environment of a process is larger than is recorded";
		else if (r != -ENOMEM && !target_process_ended(p))
			why = "the environment of a process could not be read";
		if (r == -ENOMEM)
			return r;
	}
	if (!x->target->scan_complete && !why)
		why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void environment_close(struct collector *c)
{
	struct environment *x = (struct environment *)c;

	if (!x)
		return;
	bytes_done(&x->block);
	hasher_free(x->hasher);
	free(x);
}

const struct collector_ops collector_environment = {
	.name = "environment",
	.item = 5,
	.open = environment_open,
	.collect = environment_collect,
	.close = environment_close,
};
