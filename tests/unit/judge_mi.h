/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_JUDGE_MI_H
#define ASSAY_TESTS_JUDGE_MI_H

/* An MI with something in every item, and what a policy's rules are expected to say of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

#define MANIFEST                                                                                   \
	"#mtree\n"                                                                                 \
	"./usr/bin/app type=file mode=0755 uid=0 gid=0 size=10 sha256digest=" SHA_A "\n"           \
	"./usr/lib/x.so type=file mode=0644 uid=0 gid=0 size=20 sha256digest=" SHA_B "\n"

static inline int add_listener(struct mi *mi, const char *protocol, const char *address)
{
	Assay__Listener *l = MI_MESSAGE(mi, Assay__Listener, assay__listener__init);

	l->protocol = (char *)protocol;
	l->address = (char *)address;
	l->pid = 7;
	return mi_push(mi, &mi->msg->network->n_listeners, &mi->msg->network->listeners, l);
}

static inline int add_connection(struct mi *mi, const char *remote, bool outgoing)
{
	Assay__Connection *c = MI_MESSAGE(mi, Assay__Connection, assay__connection__init);

	c->protocol = (char *)"tcp";
	c->remote = (char *)remote;
	c->outgoing = outgoing;
	c->pid = 7;
	return mi_push(mi, &mi->msg->network->n_connections, &mi->msg->network->connections, c);
}

static inline int add_file(struct mi *mi, const char *path, int byte)
{
	uint8_t sha256[32];
	uint32_t index;
	Assay__File *f;

	memset(sha256, byte, sizeof(sha256));
	assert_int_equal(mi_file(mi, 1, mi->msg->n_files + 1, path, &index, &f), 0);
	assert_int_equal(mi_bytes(mi, view_of(sha256, sizeof(sha256)), &f->sha256), 0);
	f->regular_fs = true;
	return (int)index;
}

static inline int add_mapping(struct mi *mi, uint32_t file)
{
	Assay__CodeOf *p = mi->msg->code->processes[0];
	Assay__Mapping *m = MI_MESSAGE(mi, Assay__Mapping, assay__mapping__init);

	m->file = file;
	m->length = 4096;
	return mi_push(mi, &p->n_mappings, &p->mappings, m);
}

static inline int add_anonymous(struct mi *mi, const char *name, uint64_t length)
{
	Assay__CodeOf *p = mi->msg->code->processes[0];
	Assay__AnonymousCode *a = MI_MESSAGE(mi, Assay__AnonymousCode, assay__anonymous_code__init);

	a->name = (char *)name;
	a->length = length;
	a->protection = (char *)(name[0] == '[' ? "r-xp" : "rwxp");
	return mi_push(mi, &p->n_anonymous, &p->anonymous, a);
}

static inline int add_write(struct mi *mi, const char *path)
{
	Assay__OpenForWriting *w =
		MI_MESSAGE(mi, Assay__OpenForWriting, assay__open_for_writing__init);

	w->path = (char *)path;
	w->pid = 7;
	return mi_push(mi, &mi->msg->storage->n_writes, &mi->msg->storage->writes, w);
}

static inline int add_name(struct mi *mi, const char *name)
{
	Assay__EnvironmentOf *e = mi->msg->environment->processes[0];

	return mi_push(mi, &e->n_names, &e->names, (char *)name);
}

static inline int add_variable(struct mi *mi, const char *name, const char *value)
{
	Assay__EnvironmentOf *e = mi->msg->environment->processes[0];
	Assay__Variable *v = MI_MESSAGE(mi, Assay__Variable, assay__variable__init);

	v->name = (char *)name;
	v->value = (char *)value;
	assert_int_equal(add_name(mi, name), 0);
	return mi_push(mi, &e->n_variables, &e->variables, v);
}

static inline int add_counter(struct mi *mi, const char *kind, uint64_t window)
{
	Assay__EventCounter *c = MI_MESSAGE(mi, Assay__EventCounter, assay__event_counter__init);

	c->kind = (char *)kind;
	c->window = c->total = window;
	return mi_push(mi, &mi->msg->kernel->n_counters, &mi->msg->kernel->counters, c);
}

static inline int add_event(struct mi *mi, const char *kind, const char *detail)
{
	Assay__KernelEvent *e = MI_MESSAGE(mi, Assay__KernelEvent, assay__kernel_event__init);

	e->kind = (char *)kind;
	e->detail = (char *)detail;
	e->pid = 7;
	e->actor = 99;
	return mi_push(mi, &mi->msg->kernel->n_events, &mi->msg->kernel->events, e);
}

static const char *const collectors[] = { "start_time",	  "resources",	 "network",
					  "storage",	  "environment", "logs",
					  "static_files", "code",	 "kernel" };

static inline void fill_network(struct mi *mi)
{
	mi->msg->network->window_ns = 2000000000;
	mi->msg->network->sent_bytes = 2 * 1024 * 1024;
	mi->msg->network->received_bytes = 1024;
	assert_int_equal(add_listener(mi, "tcp", "0.0.0.0:443"), 0);
	assert_int_equal(add_connection(mi, "10.1.2.3:5432", true), 0);
	assert_int_equal(add_connection(mi, "192.0.2.9:55555", false), 0);
}

static inline void fill_storage(struct mi *mi)
{
	Assay__Filesystem *f = MI_MESSAGE(mi, Assay__Filesystem, assay__filesystem__init);

	f->path = (char *)"/var/lib/app";
	f->tree_bytes = 1024 * 1024;
	f->available_bytes = UINT64_C(8) << 30;
	f->tree_complete = true;
	assert_int_equal(
		mi_push(mi, &mi->msg->storage->n_filesystems, &mi->msg->storage->filesystems, f),
		0);
	assert_int_equal(add_write(mi, "/var/lib/app/db"), 0);
}

static inline void fill_logs(struct mi *mi)
{
	Assay__LogFile *f = MI_MESSAGE(mi, Assay__LogFile, assay__log_file__init);
	Assay__LogMatch *m = MI_MESSAGE(mi, Assay__LogMatch, assay__log_match__init);

	f->path = (char *)"/var/log/app.log";
	m->pattern = (char *)"ERROR|panic";
	m->count = 2;
	assert_int_equal(mi_push(mi, &f->n_matches, &f->matches, m), 0);
	assert_int_equal(mi_push(mi, &mi->msg->logs->n_files, &mi->msg->logs->files, f), 0);
}

static inline void fill_code(struct mi *mi)
{
	Assay__CodeOf *p = MI_MESSAGE(mi, Assay__CodeOf, assay__code_of__init);

	p->pid = 7;
	p->objects = MI_MESSAGE(mi, Assay__Objects, assay__objects__init);
	assert_int_equal(mi_push(mi, &mi->msg->code->n_processes, &mi->msg->code->processes, p), 0);
	assert_int_equal(add_file(mi, "/usr/bin/app", 0xaa), 1);
	assert_int_equal(add_file(mi, "/usr/lib/x.so", 0xbb), 2);
	assert_int_equal(add_mapping(mi, 1), 0);
	assert_int_equal(add_mapping(mi, 2), 0);
	assert_int_equal(add_anonymous(mi, "[vdso]", 4096), 0);
	assert_int_equal(add_anonymous(mi, "[vsyscall]", 4096), 0);
}

static inline void fill_kernel(struct mi *mi)
{
	Assay__KernelEvents *k = mi->msg->kernel;

	k->loss = MI_MESSAGE(mi, Assay__Loss, assay__loss__init);
	k->loss->complete = true;
	assert_int_equal(mi_push(mi, &k->n_covers, &k->covers, (char *)"M01"), 0);
	assert_int_equal(add_counter(mi, "exec", 1), 0);
	assert_int_equal(add_counter(mi, "foreign_access", 0), 0);
	assert_int_equal(add_event(mi, "exec", "/usr/bin/app"), 0);
	/* Of which the counter does not speak: ps looked. */
	assert_int_equal(add_event(mi, "foreign_access", "read by ps"), 0);
}

/* An MI that all rules of the table below find good, but for what a case changes. */
static inline struct mi *mi_of_one_process(const struct policy *p)
{
	uint8_t m[48] = { 0 };
	struct digest d;
	Assay__Process *process;
	Assay__EnvironmentOf *e;
	struct mi *mi;
	Assay__Mi *msg;

	assert_int_equal(mi_new(&mi), 0);
	msg = mi->msg;
	msg->node = MI_MESSAGE(mi, Assay__TimeNode, assay__time_node__init);
	msg->start_time = MI_MESSAGE(mi, Assay__StartTime, assay__start_time__init);
	msg->resources = MI_MESSAGE(mi, Assay__Resources, assay__resources__init);
	msg->network = MI_MESSAGE(mi, Assay__Network, assay__network__init);
	msg->storage = MI_MESSAGE(mi, Assay__Storage, assay__storage__init);
	msg->environment = MI_MESSAGE(mi, Assay__Environment, assay__environment__init);
	msg->logs = MI_MESSAGE(mi, Assay__Logs, assay__logs__init);
	msg->static_files = MI_MESSAGE(mi, Assay__StaticFiles, assay__static_files__init);
	msg->code = MI_MESSAGE(mi, Assay__Code, assay__code__init);
	msg->kernel = MI_MESSAGE(mi, Assay__KernelEvents, assay__kernel_events__init);

	process = MI_MESSAGE(mi, Assay__Process, assay__process__init);
	process->pid = 7;
	process->uid = 33;
	assert_int_equal(mi_push(mi, &msg->n_processes, &msg->processes, process), 0);
	msg->start_time->root_pid = 7;
	msg->start_time->root_start_boottime_ns = 5;
	msg->start_time->root_alive = true;
	msg->resources->resident_bytes = 1024 * 1024;
	msg->resources->proportional_bytes = 512 * 1024;
	msg->resources->cpu_share_milli = 1800;
	e = MI_MESSAGE(mi, Assay__EnvironmentOf, assay__environment_of__init);
	e->pid = 7;
	assert_int_equal(
		mi_push(mi, &msg->environment->n_processes, &msg->environment->processes, e), 0);
	assert_int_equal(add_variable(mi, "LANG", "C.UTF-8"), 0);
	assert_int_equal(add_name(mi, "PATH"), 0);
	fill_network(mi);
	fill_storage(mi);
	fill_logs(mi);
	fill_code(mi);
	fill_kernel(mi);
	if (policy_manifest(p)) {
		assert_int_equal(digest_of(HASH_SHA384, view_text(MANIFEST), &d), 0);
		memcpy(m, d.bytes, sizeof(m));
	}
	assert_int_equal(mi_bytes(mi, view_of(m, sizeof(m)), &msg->static_files->sha384), 0);
	for (size_t i = 0; i < ARRAY_LEN(collectors); i++)
		assert_int_equal(mi_status(mi, collectors[i],
					   ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL),
				 0);
	return mi;
}

enum outcome { PASSES, FAILS, UNCHECKED, WARNS };

static inline struct policy *policy_of(const char *rules)
{
	char text[1024], *error = NULL;
	struct policy *p;
	int r;

	snprintf(text, sizeof(text),
		 "application: app\nplatforms: {soft: {}}\nstatic: {manifest: app.mtree}\n"
		 "dynamic: {%s}\n",
		 rules);
	r = policy_parse(view_text(text), "policy", &p, &error);
	if (r < 0)
		fail_msg("%s: %s", rules, error);
	assert_int_equal(policy_attach_manifest(p, view_text(MANIFEST), &error), 0);
	return p;
}

static const char unchecked[] = "could not be checked: ";

static inline void check_outcome(const char *what, const struct appraisal *a, enum outcome outcome,
				 const char *rule, const char *seen)
{
	const struct reason *r = a->n > 0 ? &a->reasons[0] : NULL;
	bool refused = outcome == FAILS || outcome == UNCHECKED;

	if (a->checks == 0)
		fail_msg("%s: nothing was checked", what);
	if (appraisal_accepted(a) == refused || (outcome == PASSES) != (a->n == 0))
		fail_msg("%s: %s, %zu reasons: %s", what,
			 appraisal_accepted(a) ? "accepted" : "refused", a->n, r ? r->seen : "");
	if (!r)
		return;
	if (strcmp(r->rule, rule) != 0 || !strstr(r->seen, seen) || !r->expected[0])
		fail_msg("%s: %s, expected %s, seen %s", what, r->rule, r->expected, r->seen);
	if ((strncmp(r->seen, unchecked, strlen(unchecked)) == 0) != (outcome == UNCHECKED) ||
	    r->warning != (outcome == WARNS))
		fail_msg("%s: %s", what, r->seen);
}

#endif
