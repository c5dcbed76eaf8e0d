/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/judge_mi.h"

#include "cleanup.h"
#include "learn.h"

/* The policy that is learnt accepts what it was learnt from, and refuses each thing besides. */

CLEANUP_FUNCTION(struct learn *, learn_free)
CLEANUP_FUNCTION(struct policy *, policy_free)
CLEANUP_FUNCTION(struct mi *, mi_free)

static const char *const state_collectors[] = { "credentials", "machine", "descriptors" };

static void fill_machine(struct mi *mi)
{
	Assay__Machine *m = MI_MESSAGE(mi, Assay__Machine, assay__machine__init);
	Assay__Setting *s = MI_MESSAGE(mi, Assay__Setting, assay__setting__init);

	mi->msg->machine = m;
	s->name = (char *)"kernel.core_pattern";
	s->value = (char *)"|/usr/bin/\"x\" %p \xc2\x85 # {a: b}";
	assert_int_equal(mi_push(mi, &m->n_settings, &m->settings, s), 0);
	m->lockdown = (char *)"integrity";
	m->cpus_online = (char *)"0-3";
}

static void fill_state(struct mi *mi)
{
	Assay__Credentials *c = MI_MESSAGE(mi, Assay__Credentials, assay__credentials__init);
	Assay__Namespaces *n = MI_MESSAGE(mi, Assay__Namespaces, assay__namespaces__init);
	Assay__Mi *m = mi->msg;
	Assay__Process *p = m->processes[0];

	c->uid = c->effective_uid = c->saved_uid = c->filesystem_uid = 33;
	c->permitted = c->effective = 1 << 10;
	c->no_new_privs = true;
	c->seccomp = 2;
	assert_int_equal(mi_push(mi, &m->n_credentials, &m->credentials, c), 0);
	assert_int_equal(mi_push(mi, &m->n_namespaces, &m->namespaces, n), 0);
	p->credentials = p->namespaces = p->executable = 1;
	p->dumpable = 1;
	p->start_boottime_ns = 5;
	m->descriptors = MI_MESSAGE(mi, Assay__Descriptors, assay__descriptors__init);
	fill_machine(mi);
	for (size_t i = 0; i < ARRAY_LEN(state_collectors); i++)
		assert_int_equal(mi_status(mi, state_collectors[i],
					   ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL),
				 0);
}

static const char *const zero_counters[] = { "wx_memory",	"code_anonymous",  "file_changed",
					     "signal",		"exec_memfd",	   "exec_deleted",
					     "exec_tmpfs",	"io_uring",	   "credentials",
					     "exec_privileged", "foreign_environ", "foreign_maps" };

/* Anonymous code, so that there is an envelope. */
static struct mi *some_mi(void)
{
	CLEANUP(policy_freep) struct policy *p = policy_of("listen: {allow: []}");
	struct mi *mi = mi_of_one_process(p);

	mi->msg->application = (char *)"app";
	mi->msg->static_files->manifest = (char *)MANIFEST;
	fill_state(mi);
	assert_int_equal(add_anonymous(mi, "", 8192), 0);
	for (size_t i = 0; i < ARRAY_LEN(zero_counters); i++)
		assert_int_equal(add_counter(mi, zero_counters[i], 0), 0);
	return mi;
}

/* The policy learnt from mi alone; its text is written to text where that is not NULL. */
static struct policy *learnt_from(const struct mi *mi, const struct learn_options *options,
				  struct bytes *text)
{
	CLEANUP(learn_freep) struct learn *l = NULL;
	CLEANUP(bytes_cleanup) struct bytes own = BYTES_INIT(LEARN_TEXT_MAX);
	struct policy *p = NULL;
	const char *why;
	char *error = NULL;
	int r;

	if (!text)
		text = &own;
	assert_int_equal(learn_new(&l), 0);
	assert_int_equal(learn_add(l, mi, &why), 0);
	assert_int_equal(learn_nodes(l), 1);
	assert_int_equal(learn_write(l, options, text), 0);
	r = policy_parse(bytes_view(text), "learnt", &p, &error);
	if (r < 0)
		fail_msg("%s\n%.*s", error, (int)text->len, (const char *)text->data);
	if (policy_manifest_file(p))
		assert_int_equal(policy_attach_manifest(p, learn_manifest(l), &error), 0);
	return p;
}

static const struct learn_options plain = { .source = "a test", .manifest = "app.mtree" };

static void one_more_listener(struct mi *mi)
{
	assert_int_equal(add_listener(mi, "tcp", "0.0.0.0:4444"), 0);
}

static void same_port_elsewhere(struct mi *mi)
{
	mi->msg->network->listeners[0]->address = (char *)"127.0.0.1:443";
}

static void one_more_peer(struct mi *mi)
{
	assert_int_equal(add_connection(mi, "10.1.2.3:5433", true), 0);
}

static void another_client(struct mi *mi)
{
	assert_int_equal(add_connection(mi, "192.0.2.10:55555", false), 0);
}

static void client_with_another_port(struct mi *mi)
{
	mi->msg->network->connections[1]->remote = (char *)"192.0.2.9:50000";
}

static void one_more_library(struct mi *mi)
{
	assert_int_equal(add_file(mi, "/usr/lib/y.so", 0xcc), 3);
	assert_int_equal(add_mapping(mi, 3), 0);
}

static void a_library_with_another_digest(struct mi *mi)
{
	memset(mi->msg->files[1]->sha256.data, 0xcd, 32);
}

static void more_jit_bytes(struct mi *mi)
{
	mi->msg->code->processes[0]->anonymous[2]->length += 4096;
}

static void more_jit_regions(struct mi *mi)
{
	mi->msg->code->processes[0]->anonymous[2]->length = 4096;
	assert_int_equal(add_anonymous(mi, "", 4096), 0);
}

static void more_memory(struct mi *mi)
{
	mi->msg->resources->resident_bytes += 1;
}

static void more_cpu(struct mi *mi)
{
	mi->msg->resources->cpu_share_milli = 1801;
}

static void more_traffic(struct mi *mi)
{
	mi->msg->network->sent_bytes += 2048 + 1;
}

static void one_more_file_written(struct mi *mi)
{
	assert_int_equal(add_write(mi, "/var/lib/app/db2"), 0);
}

static void one_more_variable(struct mi *mi)
{
	assert_int_equal(add_name(mi, "LD_PRELOAD"), 0);
}

static void more_log_lines(struct mi *mi)
{
	mi->msg->logs->files[0]->matches[0]->count = 3;
}

static void another_user(struct mi *mi)
{
	mi->msg->processes[0]->uid = 0;
}

static void more_capabilities(struct mi *mi)
{
	mi->msg->credentials[0]->effective |= UINT64_C(1) << 21;
}

static void another_executable(struct mi *mi)
{
	mi->msg->processes[0]->executable = 2; /* a library that is allowed as code */
}

static void no_seccomp(struct mi *mi)
{
	mi->msg->credentials[0]->seccomp = 0;
}

static void may_gain(struct mi *mi)
{
	mi->msg->credentials[0]->no_new_privs = false;
}

static void dumpable(struct mi *mi)
{
	mi->msg->processes[0]->dumpable = 2;
}

static void traced(struct mi *mi)
{
	mi->msg->processes[0]->tracer = 9;
}

static void other_setting(struct mi *mi)
{
	mi->msg->machine->settings[0]->value = (char *)"core";
}

static void no_lockdown(struct mi *mi)
{
	mi->msg->machine->lockdown = (char *)"none";
}

static void a_module(struct mi *mi)
{
	mi->msg->machine->modules = 1;
}

static void a_bpf_program(struct mi *mi)
{
	Assay__BpfProgram *p = MI_MESSAGE(mi, Assay__BpfProgram, assay__bpf_program__init);

	p->tag = (ProtobufCBinaryData){ 8, (uint8_t *)"12345678" };
	assert_int_equal(mi_push(mi, &mi->msg->machine->n_programs, &mi->msg->machine->programs, p),
			 0);
}

static Assay__EventCounter *counter(struct mi *mi, const char *kind)
{
	for (size_t i = 0; i < mi->msg->kernel->n_counters; i++) {
		if (strcmp(mi->msg->kernel->counters[i]->kind, kind) == 0)
			return mi->msg->kernel->counters[i];
	}
	fail_msg("%s", kind);
	return NULL;
}

static void reached_into(struct mi *mi)
{
	counter(mi, "foreign_access")->window = 1;
}

static void a_ring(struct mi *mi)
{
	counter(mi, "io_uring")->window = 1;
}

static void looked_at(struct mi *mi)
{
	counter(mi, "foreign_maps")->window = 1;
}

static void a_file_changed(struct mi *mi)
{
	counter(mi, "file_changed")->window = 1;
}

static void another_program(struct mi *mi)
{
	counter(mi, "exec")->window = 2;
	assert_int_equal(add_event(mi, "exec", "/bin/sh"), 0);
}

static void not_covered(struct mi *mi)
{
	mi->msg->kernel->n_covers = 0;
}

static void text_changed(struct mi *mi)
{
	Assay__ModifiedText *m = MI_MESSAGE(mi, Assay__ModifiedText, assay__modified_text__init);
	Assay__CodeOf *p = mi->msg->code->processes[0];

	m->file = 1;
	m->pages = 1;
	assert_int_equal(mi_push(mi, &p->n_modified, &p->modified, m), 0);
}

static void a_memfd(struct mi *mi)
{
	Assay__Descriptor *d = MI_MESSAGE(mi, Assay__Descriptor, assay__descriptor__init);

	d->kind = (char *)"memory_file";
	d->detail = (char *)"memfd:x\n  kernel: {}\xe2\x80\xa8";
	assert_int_equal(mi_push(mi, &mi->msg->descriptors->n_own, &mi->msg->descriptors->own, d),
			 0);
}

static void other_files(struct mi *mi)
{
	mi->msg->static_files->sha384.data[0] ^= 1;
}

static void a_node_missed(struct mi *mi)
{
	mi->msg->node->missed_uncounted = 1;
}

static void wx_mapping(struct mi *mi)
{
	mi->msg->code->processes[0]->mappings[0]->protection = (char *)"rwxp";
}

static void nothing(struct mi *mi)
{
	(void)mi;
}

static const struct {
	const char *what;
	void (*change)(struct mi *mi);
	const char *rule; /* NULL: accepted */
} cases[] = {
	{ "what it was learnt from", nothing, NULL },
	{ "one more listener", one_more_listener, "dynamic.listen" },
	{ "the same port at another address", same_port_elsewhere, "dynamic.listen" },
	{ "one more peer", one_more_peer, "dynamic.connections" },
	{ "another client", another_client, "dynamic.connections.incoming" },
	{ "the same client with another port", client_with_another_port, NULL },
	{ "one more library", one_more_library, "dynamic.code.files" },
	{ "a library changed", a_library_with_another_digest, "dynamic.code.files" },
	{ "more code of a compiler", more_jit_bytes, "dynamic.code.jit" },
	{ "the same in more regions", more_jit_regions, "dynamic.code.jit" },
	{ "more memory", more_memory, "dynamic.memory.resident" },
	{ "more CPU", more_cpu, "dynamic.cpu.share" },
	{ "more traffic", more_traffic, "dynamic.traffic.sent_per_second" },
	{ "one more file written", one_more_file_written, "dynamic.disk.writes_within" },
	{ "one more variable", one_more_variable, "dynamic.environment.only" },
	{ "more lines in a log", more_log_lines, "dynamic.logs.ERROR|panic" },
	{ "another user", another_user, "dynamic.processes.users" },
	{ "one more capability", more_capabilities, "dynamic.processes.capabilities" },
	{ "another executable", another_executable, "dynamic.processes.executables" },
	{ "without seccomp", no_seccomp, "dynamic.processes.seccomp" },
	{ "without no_new_privs", may_gain, "dynamic.processes.no_new_privs" },
	{ "dumpable", dumpable, "dynamic.processes.dumpable" },
	{ "a tracer", traced, "dynamic.processes.tracer" },
	{ "another setting of the kernel", other_setting,
	  "dynamic.machine.sysctl.kernel.core_pattern" },
	{ "without lockdown", no_lockdown, "dynamic.machine.lockdown" },
	{ "a module", a_module, "dynamic.machine.modules" },
	{ "a BPF program", a_bpf_program, "dynamic.machine.bpf" },
	{ "somebody reached into it", reached_into, "dynamic.kernel.foreign_access" },
	{ "somebody only looked", looked_at, NULL },
	{ "io_uring", a_ring, "dynamic.kernel.io_uring" },
	{ "a file changed", a_file_changed, "dynamic.kernel.file_changed" },
	{ "another program executed", another_program, "dynamic.kernel.exec" },
	{ "attacks not covered", not_covered, "dynamic.kernel.require" },
	{ "text changed", text_changed, "dynamic.code.modified_text" },
	{ "a memfd open", a_memfd, "dynamic.descriptors.memory_files" },
	{ "other static files", other_files, "dynamic.static_files.unchanged" },
	{ "a node missed", a_node_missed, "dynamic.missed_nodes" },
};

static void a_learnt_policy_accepts_what_was_seen_and_no_more(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mi_freep) struct mi *seen = some_mi(), *later = some_mi();
		CLEANUP(policy_freep) struct policy *p = learnt_from(seen, &plain, NULL);
		struct appraisal a;

		cases[i].change(later);
		appraisal_init(&a);
		policy_judge_dynamic(p, later, NULL, 0, &a);
		appraisal_finish(&a);
		check_outcome(cases[i].what, &a, cases[i].rule ? FAILS : PASSES,
			      cases[i].rule ? cases[i].rule : "", "");
		appraisal_done(&a);
	}
}

/* What is learnt when it is there, and what never is. */
static const struct {
	const char *what;
	void (*change)(struct mi *mi);
	bool accepted;
	const char *text; /* in the policy */
} seen_cases[] = {
	{ "a ring of io_uring", a_ring, true, "REVIEW: no rule io_uring" },
	{ "a memfd, with a line break in its name", a_memfd, true,
	  "REVIEW: no rule memory_files: in 1 nodes, the first memfd:x?  kernel: {}???" },
	{ "memory writable and executable", wx_mapping, true, "no rule jit.wx" },
	{ "a BPF program", a_bpf_program, true, "REVIEW: programs of others" },
	{ "another program executed", another_program, true, "\"/bin/sh\"" },
	{ "access from outside", reached_into, false, "foreign_access: deny" },
	{ "changed text", text_changed, false, "modified_text: deny" },
	{ "a changed file", a_file_changed, false, "file_changed: deny" },
	{ "a tracer", traced, false, "tracer: deny" },
};

static void violations_are_not_learnt(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(seen_cases); i++) {
		CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
		CLEANUP(mi_freep) struct mi *mi = some_mi();
		CLEANUP(policy_freep) struct policy *p = NULL;
		struct appraisal a;

		seen_cases[i].change(mi);
		p = learnt_from(mi, &plain, &text);
		assert_int_equal(bytes_append(&text, "", 1), 0);
		if (!strstr((const char *)text.data, seen_cases[i].text))
			fail_msg("%s: no \"%s\" in\n%s", seen_cases[i].what, seen_cases[i].text,
				 (const char *)text.data);
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, NULL, 0, &a);
		appraisal_finish(&a);
		if (appraisal_accepted(&a) != seen_cases[i].accepted)
			fail_msg("%s: %s", seen_cases[i].what,
				 a.n ? a.reasons[0].seen : "accepted");
		appraisal_done(&a);
	}
}

/* Two nodes: lists are put together, limits are the largest, the order of entries is no matter. */
static void nodes_add_up_to_the_same_text(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
	CLEANUP(bytes_cleanup) struct bytes again = BYTES_INIT(LEARN_TEXT_MAX);
	CLEANUP(learn_freep) struct learn *l = NULL, *other = NULL;
	CLEANUP(mi_freep) struct mi *first = some_mi(), *second = some_mi(), *swapped = some_mi();
	CLEANUP(policy_freep) struct policy *p = NULL;
	char *error = NULL;
	const char *why;

	(void)state;
	one_more_listener(second);
	more_jit_bytes(second);
	one_more_listener(swapped);
	more_jit_bytes(swapped);
	swapped->msg->network->listeners[0]->address = (char *)"0.0.0.0:4444";
	swapped->msg->network->listeners[1]->address = (char *)"0.0.0.0:443";
	assert_int_equal(learn_new(&l), 0);
	assert_int_equal(learn_new(&other), 0);
	assert_int_equal(learn_add(l, first, &why), 0);
	assert_int_equal(learn_add(l, second, &why), 0);
	assert_int_equal(learn_add(other, first, &why), 0);
	assert_int_equal(learn_add(other, swapped, &why), 0);
	assert_int_equal(learn_write(l, &plain, &text), 0);
	assert_int_equal(learn_write(other, &plain, &again), 0);
	assert_true(view_equal(bytes_view(&text), bytes_view(&again)));
	assert_int_equal(policy_parse(bytes_view(&text), "learnt", &p, &error), 0);
	assert_int_equal(policy_attach_manifest(p, learn_manifest(l), &error), 0);
	for (int i = 0; i < 2; i++) {
		struct appraisal a;

		appraisal_init(&a);
		policy_judge_dynamic(p, i ? second : first, i ? first : NULL, 0, &a);
		appraisal_finish(&a);
		assert_true(appraisal_accepted(&a));
		appraisal_done(&a);
	}
}

static void another_application(struct mi *mi)
{
	mi->msg->application = (char *)"other";
}

static void no_process(struct mi *mi)
{
	mi->msg->n_processes = 0;
}

static void what_does_not_belong_together_is_refused(void **state)
{
	static const struct {
		void (*change)(struct mi *mi);
		int error;
		const char *why;
	} wrong[] = {
		{ another_application, -EINVAL, "of application \"other\"" },
		{ no_process, -EINVAL, "no process" },
		{ other_files, -ESTALE, "the application's files are others" },
	};
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
	CLEANUP(learn_freep) struct learn *empty = NULL;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(mi_freep) struct mi *first = some_mi(), *second = some_mi();
		CLEANUP(learn_freep) struct learn *l = NULL;

		wrong[i].change(second);
		assert_int_equal(learn_new(&l), 0);
		assert_int_equal(learn_add(l, first, &why), 0);
		assert_int_equal(learn_add(l, second, &why), wrong[i].error);
		assert_non_null(strstr(why, wrong[i].why));
	}
	assert_int_equal(learn_new(&empty), 0);
	assert_int_equal(learn_write(empty, &plain, &text), -ENODATA);
}

static char empty[] = "";

static void no_catalogue_id(struct mi *mi)
{
	mi->msg->kernel->covers[0] = empty;
}

static void no_variable(struct mi *mi)
{
	assert_int_equal(add_name(mi, empty), 0);
}

static void no_descriptor(struct mi *mi)
{
	a_memfd(mi);
	mi->msg->descriptors->own[mi->msg->descriptors->n_own - 1]->kind = empty;
}

static void no_counter(struct mi *mi)
{
	mi->msg->kernel->counters[0]->kind = empty;
}

static void no_lockdown_text(struct mi *mi)
{
	mi->msg->machine->lockdown = empty;
}

/* Names that the machine left empty: what is written is a policy all the same. */
static void empty_names_make_no_rule(void **state)
{
	static void (*const changes[])(struct mi *mi) = {
		no_catalogue_id, no_variable, no_descriptor, no_counter, no_lockdown_text,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
		CLEANUP(mi_freep) struct mi *mi = some_mi();
		CLEANUP(policy_freep) struct policy *p = NULL;

		changes[i](mi);
		p = learnt_from(mi, &plain, &text);
		assert_non_null(p);
	}
}

/* A list past its limit is an error, not a list cut short. */
static void lists_have_a_limit(void **state)
{
	CLEANUP(mi_freep) struct mi *mi = some_mi();
	CLEANUP(learn_freep) struct learn *l = NULL;
	const char *why;

	(void)state;
	for (int i = 0; i <= LEARN_LIST_MAX; i++) {
		char *name = NULL;

		assert_int_equal(mi_printf(mi, &name, "V%d", i), 0);
		assert_int_equal(add_name(mi, name), 0);
	}
	assert_int_equal(learn_new(&l), 0);
	assert_int_equal(learn_add(l, mi, &why), -E2BIG);
}

/* What could not be seen whole is refused, unless the owner says otherwise; slack goes on top. */
static void options_are_followed(void **state)
{
	static const struct learn_options loose = {
		.source = "a test", .accept_partial = true, .slack = 50, .folders = true
	};
	CLEANUP(mi_freep) struct mi *mi = some_mi(), *more = some_mi();
	struct appraisal a;

	(void)state;
	for (size_t i = 0; i < mi->msg->n_collectors; i++) {
		if (strcmp(mi->msg->collectors[i]->name, "network") == 0) {
			mi->msg->collectors[i]->state = ASSAY__COLLECTOR_STATUS__STATE__PARTIAL;
			mi->msg->collectors[i]->why = (char *)"some of it";
		}
	}
	more->msg->code->processes[0]->anonymous[2]->length = 12288;
	assert_int_equal(add_write(more, "/var/lib/app/db2"), 0);
	for (int i = 0; i < 3; i++) {
		CLEANUP(policy_freep)
		struct policy *p = learnt_from(mi, i == 0 ? &plain : &loose, NULL);

		appraisal_init(&a);
		policy_judge_dynamic(p, i == 2 ? more : mi, NULL, 0, &a);
		appraisal_finish(&a);
		check_outcome("options", &a, i == 0 ? UNCHECKED : PASSES, "dynamic.listen",
			      "some of it");
		appraisal_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_learnt_policy_accepts_what_was_seen_and_no_more),
		cmocka_unit_test(violations_are_not_learnt),
		cmocka_unit_test(nodes_add_up_to_the_same_text),
		cmocka_unit_test(what_does_not_belong_together_is_refused),
		cmocka_unit_test(empty_names_make_no_rule),
		cmocka_unit_test(lists_have_a_limit),
		cmocka_unit_test(options_are_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
