/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 5: /proc/PID/environ, which is the block that exec laid out. What a program sets later
 * it keeps elsewhere in its memory; so this says how it was started (LD_PRELOAD), and
 * that nobody wrote over that block since.
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

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_variable(const void *a, const void *b)
{
	return strcmp((*(Assay__Variable *const *)a)->name, (*(Assay__Variable *const *)b)->name);
}

/* The block is "NAME=value" pieces, each ended by a zero byte; the last end is added here. */
static int add_block(struct environment *x, struct mi *mi, Assay__EnvironmentOf *out, bool *cut,
		     bool *overwritten)
{
	char *text, *at, *next, *end, *equals, *name;
	int r;

	r = sha256(x, mi, bytes_view(&x->block), &out->sha256);
	if (r == 0)
		r = bytes_append_u8(&x->block, 0);
	if (r == -EMSGSIZE)
		*cut = true;
	if (r < 0)
		return r == -EMSGSIZE ? 0 : r;
	text = (char *)x->block.data;
	end = text + x->block.len;
	for (at = text; at < end; at = next) {
		next = at + strlen(at) + 1;
		if (*at == '\0')
			continue;
		if (out->n_names == NAMES_MAX) {
			*cut = true;
			break;
		}
		equals = strchr(at, '=');
		if (!equals) {
			*overwritten = true; /* exec puts nothing but variables there */
			continue;
		}
		*equals = '\0';
		r = mi_text(mi, at, &name);
		if (r == 0)
			r = mi_push(mi, &out->n_names, &out->names, name);
		if (r == 0 && recorded(x->target->config, at))
			r = add_variable(x, mi, out, at, equals + 1);
		if (r < 0)
			return r;
	}
	if (out->n_names > 1)
		qsort(out->names, out->n_names, sizeof(*out->names), by_name);
	if (out->n_variables > 1)
		qsort(out->variables, out->n_variables, sizeof(*out->variables), by_variable);
	return 0;
}

static int environment_collect(struct collector *c, const struct collector_time *time,
			       struct mi *mi)
{
	struct environment *x = (struct environment *)c;
	Assay__Environment *out = MI_MESSAGE(mi, Assay__Environment, assay__environment__init);
	const char *why = NULL;
	bool cut = false, overwritten = false;
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->environment = out;
	for (size_t i = 0; i < x->target->n_processes; i++) {
		const struct target_process *p = &x->target->processes[i];
		Assay__EnvironmentOf *of;

		r = target_read(p->proc_fd, "environ", &x->block);
		if (r == -ENOMEM)
			return r;
		if (r == -EMSGSIZE)
			cut = true;
		else if (r < 0)
			why = "the environment of a process could not be read";
		if (r < 0)
			continue;
		of = MI_MESSAGE(mi, Assay__EnvironmentOf, assay__environment_of__init);
		if (!of)
			return -ENOMEM;
		of->pid = (uint32_t)p->pid;
		r = add_block(x, mi, of, &cut, &overwritten);
		if (r == 0)
			r = mi_push(mi, &out->n_processes, &out->processes, of);
		if (r < 0)
			return r;
	}
	if (cut)
		why = "the environment of a process is larger than is recorded";
	else if (overwritten && !why)
		why = "a process wrote over the environment it was started with (to show another "
		      "name, as servers do); what is left of it is listed";
	else if (!x->target->scan_complete && !why)
		why = "processes came or went during the scan";
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
