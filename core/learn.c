/* SPDX-License-Identifier: Apache-2.0 */
#include "learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capability_name.h"
#include "claims.h"
#include "cleanup.h"
#include "learnt.h"
#include "policy.h"

const char *const learnt_collectors[LEARNT_ITEMS] = {
	[LEARNT_START_TIME] = "start_time",
	[LEARNT_RESOURCES] = "resources",
	[LEARNT_NETWORK] = "network",
	[LEARNT_STORAGE] = "storage",
	[LEARNT_ENVIRONMENT] = "environment",
	[LEARNT_LOGS] = "logs",
	[LEARNT_STATIC_FILES] = "static_files",
	[LEARNT_CODE] = "code",
	[LEARNT_KERNEL] = "kernel",
	[LEARNT_CREDENTIALS] = "credentials",
	[LEARNT_MACHINE] = "machine",
	[LEARNT_DESCRIPTORS] = "descriptors",
};

int learn_new(struct learn **ret)
{
	struct learn *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	r = arena_new(LEARN_MEMORY_MAX, &l->arena);
	if (r < 0) {
		free(l);
		return r;
	}
	l->files.max = l->executables.max = LEARN_FILES_MAX;
	*ret = l;
	return 0;
}

void learn_free(struct learn *l)
{
	if (!l)
		return;
	arena_free(l->arena);
	free(l);
}

uint64_t learn_nodes(const struct learn *l)
{
	return l->nodes;
}

struct view learn_manifest(const struct learn *l)
{
	return l->manifest;
}

/* Where text stands, or would. */
static size_t place_of(const struct learnt_list *list, const char *text, bool *ret_there)
{
	size_t low = 0, high = list->n;

	*ret_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(list->items[middle].text, text);

		if (c == 0) {
			*ret_there = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct learnt *learnt_find(const struct learnt_list *list, const char *text)
{
	bool there;
	size_t at = place_of(list, text, &there);

	return there ? &list->items[at] : NULL;
}

static int no_room(struct learn *l, const char *what)
{
	snprintf(l->why, sizeof(l->why), "more than can be written down: %s", what);
	return -E2BIG;
}

static int grow(struct learn *l, struct learnt_list *list)
{
	size_t room = list->room ? 2 * list->room : 16;
	struct learnt *items = arena_alloc(l->arena, room * sizeof(*items));

	if (!items)
		return no_room(l, "memory");
	if (list->n > 0)
		memcpy(items, list->items, list->n * sizeof(*items));
	list->items = items;
	list->room = room;
	return 0;
}

/*
 * The entry of that text, made where there is none; it was seen in this node. Whoever made the MI
 * may have left a name empty: of that no rule can be made, and it is not kept.
 */
static int note(struct learn *l, struct learnt_list *list, const char *text, const char *why,
		struct learnt **ret)
{
	bool there;
	size_t at = place_of(list, text, &there);
	struct learnt *e;
	int r;

	if (!*text) {
		l->nameless = (struct learnt){ .text = text };
		if (ret)
			*ret = &l->nameless;
		return 0;
	}
	if (!there) {
		if (list->n >= (list->max ? list->max : LEARN_LIST_MAX))
			return no_room(l, text);
		r = list->n == list->room ? grow(l, list) : 0;
		if (r < 0)
			return r;
		memmove(&list->items[at + 1], &list->items[at],
			(list->n - at) * sizeof(*list->items));
		e = &list->items[at];
		*e = (struct learnt){ .text = arena_text(l->arena, text) };
		e->note = why ? arena_text(l->arena, why) : NULL;
		if (!e->text || (why && !e->note))
			return no_room(l, "memory");
		list->n++;
	}
	e = &list->items[at];
	if (why && e->note && strcmp(why, e->note) != 0)
		e->varies = true;
	if (e->last != l->nodes) {
		e->last = l->nodes;
		e->nodes++;
	}
	if (ret)
		*ret = e;
	return 0;
}

static void range_add(struct learnt_range *range, uint64_t value)
{
	if (range->nodes == 0 || value < range->min)
		range->min = value;
	if (value > range->max)
		range->max = value;
	range->nodes++;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static const Assay__File *file_of(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_files ? mi->files[index - 1] : NULL;
}

/* A file by its digest; one without cannot be allowed, and is remembered. */
static int note_file(struct learn *l, struct learnt_list *list, const Assay__File *f)
{
	char hex[65];

	if (!f || f->sha256.len != 32) {
		if (!l->unhashed_file)
			l->unhashed_file =
				arena_text(l->arena, f ? judge_text(f->path) : "a file unknown");
		return l->unhashed_file ? 0 : no_room(l, "memory");
	}
	hex_encode(f->sha256.data, f->sha256.len, hex);
	return note(l, list, hex, judge_text(f->path), NULL);
}

static int learn_acting(struct learn *l, const Assay__Mi *mi, uint32_t credentials, bool ret[2])
{
	const Assay__Credentials *c;
	uint64_t held;
	int r = 0;

	if (credentials < 1 || credentials > mi->n_credentials)
		return 0;
	c = mi->credentials[credentials - 1];
	ret[0] |= c->seccomp == 0;
	ret[1] |= !c->no_new_privs;
	held = c->permitted | c->effective | c->ambient;
	for (unsigned int n = 0; r == 0 && n < 64; n++) {
		char name[CAPABILITY_TEXT_MAX];

		if (!(held >> n & 1))
			continue;
		capability_text(UINT64_C(1) << n, name);
		/* One without a name cannot be allowed. */
		if (capability_number(name) >= 0)
			r = note(l, &l->capabilities, name, NULL, NULL);
	}
	return r;
}

static int learn_processes(struct learn *l, const Assay__Mi *mi)
{
	bool dumpable = false, without[2] = { false, false };
	int r = 0;

	range_add(&l->processes, mi->n_processes);
	for (size_t i = 0; r == 0 && i < mi->n_processes; i++) {
		const Assay__Process *p = mi->processes[i];
		char uid[16];

		snprintf(uid, sizeof(uid), "%u", p->uid);
		dumpable |= p->dumpable == 2;
		if (p->uid < UINT32_MAX) /* which is nobody's number */
			r = note(l, &l->users, uid, NULL, NULL);
		if (r == 0)
			r = note_file(l, &l->executables, file_of(mi, p->executable));
		if (r == 0)
			r = learn_acting(l, mi, p->credentials, without);
		for (size_t k = 0; r == 0 && k < p->n_threads_apart; k++)
			r = learn_acting(l, mi, p->threads_apart[k]->credentials, without);
	}
	l->dumpable += dumpable;
	l->no_seccomp += without[0];
	l->no_no_new_privs += without[1];
	return r;
}

static int learn_resources(struct learn *l, const Assay__Mi *mi)
{
	const Assay__Resources *x = mi->resources;

	range_add(&l->resident, x->resident_bytes);
	range_add(&l->proportional, x->proportional_bytes);
	range_add(&l->share, x->cpu_share_milli);
	return 0;
}

/* A second's bytes, rounded up. */
static uint64_t rate(uint64_t bytes, uint64_t window_ns)
{
	unsigned __int128 n = (unsigned __int128)bytes * 1000000000;

	n = (n + window_ns - 1) / window_ns;
	return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

/* An address as a pattern that matches it alone; any_port: it, at every port. */
static int note_address(struct learn *l, struct learnt_list *list, const char *protocol,
			const char *address, bool any_port)
{
	struct address_pattern pattern;
	char text[512];
	size_t n = (size_t)snprintf(text, sizeof(text), "%.32s/", protocol);
	const char *colon = any_port ? strrchr(address, ':') : NULL;
	const char *end = colon ? colon : address + strlen(address);

	for (const char *at = address; at < end && n + 4 < sizeof(text); at++) {
		/* In the names of UNIX sockets these match other text than themselves. */
		if (strcmp(protocol, "unix") == 0 && strchr("*?[]\\", *at))
			text[n++] = '\\';
		text[n++] = *at;
	}
	snprintf(text + n, sizeof(text) - n, "%s", colon ? ":*" : "");
	/* What no pattern stands for is refused, and its owner is told. */
	if (address_pattern_parse(text, true, &pattern) < 0 ||
	    !address_pattern_matches(&pattern, protocol, address))
		list = &l->odd_addresses;
	return note(l, list, text, NULL, NULL);
}

static int learn_network(struct learn *l, const Assay__Mi *mi)
{
	const Assay__Network *x = mi->network;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n_listeners; i++)
		r = note_address(l, &l->listeners, judge_text(x->listeners[i]->protocol),
				 judge_text(x->listeners[i]->address), false);
	for (size_t i = 0; r == 0 && i < x->n_connections; i++) {
		const Assay__Connection *c = x->connections[i];

		/* The port of a client is its system's choice, another one each time. */
		r = note_address(l, c->outgoing ? &l->outgoing : &l->incoming,
				 judge_text(c->protocol), judge_text(c->remote), !c->outgoing);
	}
	if (x->window_ns > 0) {
		range_add(&l->sent, rate(x->sent_bytes, x->window_ns));
		range_add(&l->received, rate(x->received_bytes, x->window_ns));
	}
	return r;
}

static int learn_storage(struct learn *l, const Assay__Mi *mi)
{
	const Assay__Storage *x = mi->storage;
	uint64_t used = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n_writes; i++)
		r = note(l, &l->writes, judge_text(x->writes[i]->path), NULL, NULL);
	for (size_t i = 0; i < x->n_filesystems; i++)
		used = sum_of(used, x->filesystems[i]->tree_bytes);
	if (x->n_filesystems > 0) {
		l->trees++;
		range_add(&l->disk_used, used);
	}
	return r;
}

/* Text as a shell pattern that matches it alone. */
static int note_pattern(struct learn *l, struct learnt_list *list, const char *from)
{
	char text[8192];
	size_t n = 0;

	for (; *from && n + 3 < sizeof(text); from++) {
		if (strchr("*?[]\\", *from))
			text[n++] = '\\';
		text[n++] = *from;
	}
	text[n] = '\0';
	return note(l, list, text, NULL, NULL);
}

static int learn_environment(struct learn *l, const Assay__Mi *mi)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mi->environment->n_processes; i++) {
		const Assay__EnvironmentOf *e = mi->environment->processes[i];

		for (size_t k = 0; r == 0 && k < e->n_names; k++)
			r = note_pattern(l, &l->names, judge_text(e->names[k]));
	}
	return r;
}

static int learn_logs(struct learn *l, const Assay__Mi *mi)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->logs.n; i++)
		l->logs.items[i].total = 0;
	for (size_t i = 0; r == 0 && i < mi->logs->n_files; i++) {
		const Assay__LogFile *f = mi->logs->files[i];

		for (size_t k = 0; r == 0 && k < f->n_matches; k++) {
			struct learnt *e;

			r = note(l, &l->logs, judge_text(f->matches[k]->pattern), NULL, &e);
			if (r < 0)
				break;
			e->total = sum_of(e->total, f->matches[k]->count);
			if (e->total > e->max)
				e->max = e->total;
		}
	}
	return r;
}

/* The reference values must be the same all along, or the rest is about different programs. */
static int learn_static_files(struct learn *l, const Assay__Mi *mi)
{
	const Assay__StaticFiles *x = mi->static_files;
	struct view m = view_of(x->sha384.data, x->sha384.len), text;
	void *copy;

	if (l->manifest_m.len > 0 && !view_equal(m, l->manifest_m)) {
		snprintf(l->why, sizeof(l->why),
			 "the application's files are others than in the first node");
		return -ESTALE;
	}
	if (l->manifest_m.len == 0 && m.len > 0) {
		copy = arena_copy(l->arena, m.data, m.len);
		if (!copy)
			return no_room(l, "memory");
		l->manifest_m = view_of(copy, m.len);
	}
	text = view_text(judge_text(x->manifest));
	if (l->manifest.len > 0 || text.len == 0)
		return 0;
	copy = arena_copy(l->arena, text.data, text.len);
	if (!copy)
		return no_room(l, "the manifest");
	l->manifest = view_of(copy, text.len);
	return 0;
}

/* Of the code of one node. */
struct code_seen {
	uint64_t bytes, regions;
	bool wx, aliases, memory, remote;
};

static bool is_wx(const char *protection)
{
	return strchr(judge_text(protection), 'w') && strchr(judge_text(protection), 'x');
}

static int learn_code_of(struct learn *l, const Assay__Mi *mi, const Assay__CodeOf *p,
			 struct code_seen *seen)
{
	int r = 0;

	for (size_t i = 0; i < p->n_anonymous; i++) {
		const Assay__AnonymousCode *a = p->anonymous[i];
		const char *name = judge_text(a->name);

		seen->wx |= is_wx(a->protection);
		/* The kernel's own, and probes, which no envelope has room for. */
		if (strcmp(name, "[vdso]") == 0 || strcmp(name, "[vsyscall]") == 0 ||
		    strcmp(name, "[uprobes]") == 0)
			continue;
		seen->regions++;
		seen->bytes = sum_of(seen->bytes, a->length);
	}
	for (size_t i = 0; r == 0 && i < p->n_mappings; i++) {
		const Assay__File *f = file_of(mi, p->mappings[i]->file);

		seen->wx |= is_wx(p->mappings[i]->protection);
		seen->memory |= f && !f->regular_fs && !f->remote;
		seen->remote |= f && f->remote;
		r = note_file(l, &l->files, f);
	}
	seen->aliases |= p->objects && p->objects->n_aliases > 0;
	return r;
}

static int learn_code(struct learn *l, const Assay__Mi *mi)
{
	struct code_seen seen = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < mi->code->n_processes; i++)
		r = learn_code_of(l, mi, mi->code->processes[i], &seen);
	range_add(&l->jit_bytes, seen.bytes);
	range_add(&l->jit_regions, seen.regions);
	l->wx += seen.wx;
	l->aliases += seen.aliases;
	l->memory_files += seen.memory;
	l->remote_files += seen.remote;
	return r;
}

/* As the rules count: since the node before, whatever was dropped between the two. */
static int learn_counter(struct learn *l, const Assay__EventCounter *c)
{
	uint64_t n = c->window;
	struct learnt *e;
	int r;

	r = note(l, &l->counters, judge_text(c->kind), NULL, &e);
	if (r < 0)
		return r;
	if (e->nodes > 1 && c->total >= e->total && c->total - e->total > n)
		n = c->total - e->total;
	e->total = c->total;
	e->sum = sum_of(e->sum, n);
	if (n > e->max)
		e->max = n;
	return 0;
}

static int learn_kernel(struct learn *l, const Assay__Mi *mi)
{
	const Assay__KernelEvents *x = mi->kernel;
	const struct learnt *counted;
	uint64_t before, listed = 0;
	int r = 0;

	counted = learnt_find(&l->counters, "exec");
	before = counted ? counted->sum : 0;
	for (size_t i = 0; r == 0 && i < x->n_counters; i++)
		r = learn_counter(l, x->counters[i]);
	for (size_t i = 0; r == 0 && i < x->n_events; i++) {
		if (strcmp(judge_text(x->events[i]->kind), "exec") != 0)
			continue;
		listed++;
		r = note_pattern(l, &l->execs, judge_text(x->events[i]->detail));
	}
	for (size_t i = 0; r == 0 && i < x->n_covers; i++)
		r = note(l, &l->covers, judge_text(x->covers[i]), NULL, NULL);
	counted = learnt_find(&l->counters, "exec");
	if (counted && counted->sum - before > listed)
		l->execs_unlisted++;
	return r;
}

static int learn_machine(struct learn *l, const Assay__Mi *mi)
{
	const Assay__Machine *x = mi->machine;
	char tag[17], what[256];
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n_settings; i++) {
		const Assay__Setting *s = x->settings[i];

		if (!s->absent)
			r = note(l, &l->settings, judge_text(s->name), judge_text(s->value), NULL);
	}
	for (size_t i = 0; r == 0 && i < x->n_programs; i++) {
		const Assay__BpfProgram *p = x->programs[i];

		if (p->tag.len != 8)
			continue;
		hex_encode(p->tag.data, p->tag.len, tag);
		snprintf(what, sizeof(what), "%.100s, %.100s", judge_text(p->name),
			 judge_text(p->type));
		r = note(l, &l->programs, tag, what, NULL);
	}
	if (r == 0)
		r = note(l, &l->lockdown, judge_text(x->lockdown), NULL, NULL);
	l->swap += x->n_swaps > 0;
	l->taint += x->taint != 0;
	l->modules += x->modules > 0;
	return r;
}

static int learn_descriptors(struct learn *l, const Assay__Mi *mi)
{
	const Assay__Descriptors *x = mi->descriptors;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n_own; i++)
		r = note(l, &l->descriptors, judge_text(x->own[i]->kind),
			 judge_text(x->own[i]->detail), NULL);
	for (size_t i = 0; r == 0 && i < x->n_foreign; i++)
		r = note(l, &l->descriptors, judge_text(x->foreign[i]->kind),
			 judge_text(x->foreign[i]->comm), NULL);
	return r;
}

/* start_time and static_files: that they can be judged is all there is to learn. */
static int learn_nothing(struct learn *l, const Assay__Mi *mi)
{
	return 0;
}

#define ITEM(which, member, how) [which] = { offsetof(Assay__Mi, member), how }

static const struct {
	size_t at; /* of the item in the message */
	int (*learn)(struct learn *l, const Assay__Mi *mi);
} items[LEARNT_ITEMS] = {
	ITEM(LEARNT_START_TIME, start_time, learn_nothing),
	ITEM(LEARNT_RESOURCES, resources, learn_resources),
	ITEM(LEARNT_NETWORK, network, learn_network),
	ITEM(LEARNT_STORAGE, storage, learn_storage),
	ITEM(LEARNT_ENVIRONMENT, environment, learn_environment),
	ITEM(LEARNT_LOGS, logs, learn_logs),
	ITEM(LEARNT_STATIC_FILES, static_files, learn_static_files),
	ITEM(LEARNT_CODE, code, learn_code),
	ITEM(LEARNT_KERNEL, kernel, learn_kernel),
	ITEM(LEARNT_CREDENTIALS, processes, learn_nothing), /* with the processes themselves */
	ITEM(LEARNT_MACHINE, machine, learn_machine),
	ITEM(LEARNT_DESCRIPTORS, descriptors, learn_descriptors),
};

static const Assay__CollectorStatus *status_of(const Assay__Mi *mi, const char *collector)
{
	for (size_t i = 0; i < mi->n_collectors; i++) {
		if (strcmp(judge_text(mi->collectors[i]->name), collector) == 0)
			return mi->collectors[i];
	}
	return NULL;
}

static int learn_item(struct learn *l, const Assay__Mi *mi, enum learnt_item which)
{
	const Assay__CollectorStatus *s = status_of(mi, learnt_collectors[which]);
	const void *item = *(void *const *)((const char *)mi + items[which].at);
	struct learnt_status *status = &l->items[which];
	bool whole = s && s->state == ASSAY__COLLECTOR_STATUS__STATE__COMPLETE;
	bool partial = s && s->state == ASSAY__COLLECTOR_STATUS__STATE__PARTIAL;

	if (!whole && !status->why) {
		status->why = arena_text(l->arena, s ? judge_text(s->why) : "it is not there");
		if (!status->why)
			return no_room(l, "memory");
	}
	if ((!whole && !partial) || !item)
		return 0;
	status->seen++;
	status->partial += partial;
	return items[which].learn(l, mi);
}

static int learn_name(struct learn *l, const Assay__Mi *mi)
{
	const char *name = judge_text(mi->application);

	if (mi->n_processes == 0) {
		snprintf(l->why, sizeof(l->why), "no process is in it");
		return -EINVAL;
	}
	if (!l->application && !application_name_valid(name)) {
		snprintf(l->why, sizeof(l->why), "of an application without a name");
		return -EINVAL;
	}
	if (!l->application) {
		l->application = arena_text(l->arena, name);
		return l->application ? 0 : no_room(l, "memory");
	}
	if (strcmp(l->application, name) == 0)
		return 0;
	snprintf(l->why, sizeof(l->why), "of application \"%.80s\", the first was of \"%.80s\"",
		 name, l->application);
	return -EINVAL;
}

int learn_add(struct learn *l, const struct mi *mi, const char **ret_why)
{
	const Assay__Mi *m = mi->msg;
	uint64_t missed = 0;
	int r;

	*ret_why = l->why;
	r = learn_name(l, m);
	if (r < 0)
		return r;
	l->nodes++;
	if (m->node)
		missed = sum_of(m->node->missed_uncounted, m->node->n_missed);
	range_add(&l->missed, missed);
	r = learn_processes(l, m);
	for (enum learnt_item i = 0; r == 0 && i < LEARNT_ITEMS; i++)
		r = learn_item(l, m, i);
	return r;
}
