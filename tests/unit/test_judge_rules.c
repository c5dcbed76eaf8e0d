/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/judge_mi.h"

static void foreign_listener(struct mi *mi)
{
	assert_int_equal(add_listener(mi, "tcp", "0.0.0.0:4444"), 0);
}

static void unix_listener(struct mi *mi)
{
	assert_int_equal(add_listener(mi, "unix", "@hidden"), 0);
}

static void foreign_connection(struct mi *mi)
{
	assert_int_equal(add_connection(mi, "203.0.113.5:443", true), 0);
}

static void uncounted_connections(struct mi *mi)
{
	mi->msg->network->connections_uncounted = 3;
}

static void no_window(struct mi *mi)
{
	mi->msg->network->window_ns = 0;
}

static void unknown_code(struct mi *mi)
{
	assert_int_equal(add_mapping(mi, (uint32_t)add_file(mi, "/tmp/evil.so", 0xcc)), 0);
}

static void changed_code(struct mi *mi)
{
	memset(mi->msg->files[1]->sha256.data, 0xcc, 32);
}

static void same_content_elsewhere(struct mi *mi)
{
	assert_int_equal(add_mapping(mi, (uint32_t)add_file(mi, "/tmp/x.so", 0xbb)), 0);
}

static void unhashed_code(struct mi *mi)
{
	mi->msg->files[1]->sha256.len = 0;
	mi->msg->files[1]->error = (char *)"Permission denied";
}

static void code_of_no_file(struct mi *mi)
{
	assert_int_equal(add_mapping(mi, 77), 0);
}

static void deleted_code(struct mi *mi)
{
	mi->msg->files[1]->deleted = true;
}

static void patched_text(struct mi *mi)
{
	Assay__CodeOf *p = mi->msg->code->processes[0];
	Assay__ModifiedText *m = MI_MESSAGE(mi, Assay__ModifiedText, assay__modified_text__init);

	m->pages = 1;
	m->file = 1;
	assert_int_equal(mi_push(mi, &p->n_modified, &p->modified, m), 0);
}

static void anonymous_code(struct mi *mi)
{
	assert_int_equal(add_anonymous(mi, "", 65536), 0);
}

static void two_anonymous_regions(struct mi *mi)
{
	assert_int_equal(add_anonymous(mi, "", 4096), 0);
	assert_int_equal(add_anonymous(mi, "[heap]", 4096), 0);
}

static void a_name_that_only_looks_like_the_kernels(struct mi *mi)
{
	assert_int_equal(add_anonymous(mi, "[anon:[vdso]]", 4096), 0);
}

static void unread_process(struct mi *mi)
{
	mi->msg->code->processes[0]->error = (char *)"Permission denied";
}

static void second_process(struct mi *mi)
{
	Assay__Process *p = MI_MESSAGE(mi, Assay__Process, assay__process__init);

	p->pid = 8;
	p->uid = 0;
	assert_int_equal(mi_push(mi, &mi->msg->n_processes, &mi->msg->processes, p), 0);
}

static void no_process(struct mi *mi)
{
	mi->msg->n_processes = 0;
}

static void no_proportional(struct mi *mi)
{
	mi->msg->resources->proportional_bytes = 0;
}

static void write_elsewhere(struct mi *mi)
{
	assert_int_equal(add_write(mi, "/var/lib/app2/x"), 0);
}

static void write_by_dots(struct mi *mi)
{
	assert_int_equal(add_write(mi, "/var/lib/app/../../../etc/passwd"), 0);
}

static void uncounted_writes(struct mi *mi)
{
	mi->msg->storage->writes_uncounted = 1;
}

static void unfinished_tree(struct mi *mi)
{
	mi->msg->storage->filesystems[0]->tree_complete = false;
}

static void no_filesystem(struct mi *mi)
{
	mi->msg->storage->n_filesystems = 0;
}

static void preload(struct mi *mi)
{
	assert_int_equal(add_name(mi, "LD_PRELOAD"), 0);
}

static void hashed_language(struct mi *mi)
{
	Assay__Variable *v = mi->msg->environment->processes[0]->variables[0];
	struct digest d;

	v->value = (char *)"";
	assert_int_equal(digest_of(HASH_SHA256, view_text("C.UTF-8"), &d), 0);
	assert_int_equal(mi_bytes(mi, digest_view(&d), &v->sha256), 0);
}

static void other_hashed_language(struct mi *mi)
{
	hashed_language(mi);
	mi->msg->environment->processes[0]->variables[0]->sha256.data[0] ^= 1;
}

static void other_language(struct mi *mi)
{
	mi->msg->environment->processes[0]->variables[0]->value = (char *)"C";
}

static void unrecorded_language(struct mi *mi)
{
	mi->msg->environment->processes[0]->n_variables = 0;
}

static void no_language(struct mi *mi)
{
	mi->msg->environment->processes[0]->n_variables = 0;
	mi->msg->environment->processes[0]->n_names = 0;
}

static void unread_log(struct mi *mi)
{
	mi->msg->logs->files[0]->error = (char *)"No such file";
}

static void ended(struct mi *mi)
{
	mi->msg->start_time->root_alive = false;
}

static void other_digest(struct mi *mi)
{
	mi->msg->static_files->sha384.data[0] ^= 1;
}

static void changed_file(struct mi *mi)
{
	Assay__StaticFiles *s = mi->msg->static_files;

	assert_int_equal(mi_push(mi, &s->n_changed, &s->changed, (char *)"/etc/app.conf"), 0);
}

static void lost_events(struct mi *mi)
{
	mi->msg->kernel->loss->window_dropped = 4;
	mi->msg->kernel->loss->complete = false;
}

static void incomplete_account(struct mi *mi)
{
	mi->msg->kernel->loss->complete = false;
}

static void no_account(struct mi *mi)
{
	mi->msg->kernel->loss = NULL;
}

static void foreign_access(struct mi *mi)
{
	mi->msg->kernel->counters[1]->window = mi->msg->kernel->counters[1]->total = 1;
	assert_int_equal(add_event(mi, "foreign_access", "attach by gdb"), 0);
}

static void foreign_access_without_event(struct mi *mi)
{
	mi->msg->kernel->counters[1]->window = mi->msg->kernel->counters[1]->total = 2;
	mi->msg->kernel->n_events = 0;
}

static void access_at_unknown_target(struct mi *mi)
{
	assert_int_equal(add_counter(mi, "foreign_access_checks", 1), 0);
}

static void uncounted_access(struct mi *mi)
{
	mi->msg->kernel->counters[1]->kind = (char *)"other";
}

static void lost_by_cause(struct mi *mi)
{
	Assay__Loss *loss = mi->msg->kernel->loss;
	Assay__LossCause *c = MI_MESSAGE(mi, Assay__LossCause, assay__loss_cause__init);

	assert_non_null(c);
	c->cause = (char *)"perf_lost";
	c->count = 2;
	assert_int_equal(mi_push(mi, &loss->n_causes, &loss->causes, c), 0);
	loss->lost = loss->window_lost = 2;
	loss->complete = false;
}

static void not_covered(struct mi *mi)
{
	Assay__KernelEvents *k = mi->msg->kernel;
	Assay__NotCovered *n = MI_MESSAGE(mi, Assay__NotCovered, assay__not_covered__init);

	assert_non_null(n);
	n->id = (char *)"T15";
	n->why = (char *)"needs hooks: full (sys_exit_openat)";
	assert_int_equal(mi_push(mi, &k->n_not_covered, &k->not_covered, n), 0);
}

static void all_counted(struct mi *mi)
{
	static const char *const kinds[] = {
		"wx_memory",	 "code_anonymous", "code_moved",   "file_changed",
		"foreign_environ", "foreign_maps",   "signal",	   "exec_memfd",
		"exec_deleted",	 "exec_tmpfs",	   "io_uring",	   "credentials",
		"exec_privileged", "userfaultfd",    "assayd_access", "bpf_calls",
		"guard_denied",
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(add_counter(mi, kinds[i], 0), 0);
}

static Assay__Guard *guard(struct mi *mi, const char *active)
{
	Assay__Guard *g = MI_MESSAGE(mi, Assay__Guard, assay__guard__init);

	assert_non_null(g);
	assert_int_equal(mi_push(mi, &g->n_wanted, &g->wanted, (char *)"self"), 0);
	if (active)
		assert_int_equal(mi_push(mi, &g->n_active, &g->active, (char *)active), 0);
	else
		g->why_not = (char *)"the kernel does not ask its programs";
	mi->msg->kernel->guard = g;
	return g;
}

static void guarded(struct mi *mi)
{
	guard(mi, "self");
}

static void guarded_in_vain(struct mi *mi)
{
	guard(mi, NULL);
}

static void somebody_tried(struct mi *mi)
{
	static const struct {
		const char *kind, *comm;
	} denials[] = { { "signal", "pkill" }, { "look", "ps" } };
	Assay__Guard *g = guard(mi, "self");

	for (size_t i = 0; i < ARRAY_LEN(denials); i++) {
		Assay__GuardDenial *d =
			MI_MESSAGE(mi, Assay__GuardDenial, assay__guard_denial__init);

		assert_non_null(d);
		d->kind = (char *)denials[i].kind;
		d->comm = (char *)denials[i].comm;
		d->actor = 77;
		d->boottime_ns = i;
		assert_int_equal(mi_push(mi, &g->n_denials, &g->denials, d), 0);
	}
	assert_int_equal(add_counter(mi, "guard_denied", 3), 0);
}

static void wx_memory(struct mi *mi)
{
	assert_int_equal(add_counter(mi, "wx_memory", 1), 0);
	assert_int_equal(add_counter(mi, "code_anonymous", 0), 0);
	assert_int_equal(add_event(mi, "wx_memory", "rwx //anon"), 0);
}

static void file_changed(struct mi *mi)
{
	assert_int_equal(add_counter(mi, "file_changed", 3), 0);
	assert_int_equal(add_event(mi, "file_changed", "libapp.so, content, by cp"), 0);
}

static void from_memory(struct mi *mi)
{
	assert_int_equal(add_counter(mi, "exec_deleted", 0), 0);
	assert_int_equal(add_counter(mi, "exec_tmpfs", 0), 0);
	assert_int_equal(add_counter(mi, "exec_memfd", 1), 0);
}

static void from_memory_by_name(struct mi *mi)
{
	Assay__KernelEvent *e;

	from_memory(mi);
	assert_int_equal(add_event(mi, "exec", "/proc/self/fd/3"), 0);
	e = mi->msg->kernel->events[mi->msg->kernel->n_events - 1];
	assert_int_equal(mi_push(mi, &e->n_notes, &e->notes, (char *)"memfd"), 0);
}

static void four_looks(struct mi *mi)
{
	assert_int_equal(add_counter(mi, "foreign_read", 4), 0);
}

static void other_events(struct mi *mi)
{
	all_counted(mi);
	for (size_t i = 0; i < mi->msg->kernel->n_counters; i++)
		mi->msg->kernel->counters[i]->window = mi->msg->kernel->counters[i]->total = 1;
}

static void foreign_exec(struct mi *mi)
{
	mi->msg->kernel->counters[0]->window = mi->msg->kernel->counters[0]->total = 2;
	assert_int_equal(add_event(mi, "exec", "/bin/sh"), 0);
}

static void unlisted_exec(struct mi *mi)
{
	mi->msg->kernel->counters[0]->window = mi->msg->kernel->counters[0]->total = 2;
}

static Assay__Objects *objects(struct mi *mi)
{
	return mi->msg->code->processes[0]->objects;
}

static void no_objects(struct mi *mi)
{
	mi->msg->code->processes[0]->objects = NULL;
}

static void unread_objects(struct mi *mi)
{
	objects(mi)->error = (char *)"the relro of an object could not be read";
}

static void uncounted_objects(struct mi *mi)
{
	objects(mi)->uncounted = 3;
}

static void memory_file(struct mi *mi)
{
	mi->msg->files[1]->regular_fs = false;
}

static void remote_file(struct mi *mi)
{
	mi->msg->files[1]->remote = true;
	mi->msg->files[1]->filesystem = (char *)"fuse.sshfs";
}

static void other_vdso(struct mi *mi)
{
	mi->msg->code->processes[0]->anonymous[0]->differs = true;
}

static void probe(struct mi *mi)
{
	assert_int_equal(add_anonymous(mi, "[uprobes]", 4096), 0);
}

static void writable_code(struct mi *mi)
{
	mi->msg->code->processes[0]->mappings[1]->protection = (char *)"rwxp";
}

#define ADD(field, Type, init, ...)                                                                \
	do {                                                                                       \
		Type *made = MI_MESSAGE(mi, Type, init);                                           \
		Type values = { .base = made->base, __VA_ARGS__ };                                 \
		*made = values;                                                                    \
		assert_int_equal(mi_push(mi, &objects(mi)->n_##field, &objects(mi)->field, made),  \
				 0);                                                               \
	} while (0)

static void replaced_text(struct mi *mi)
{
	ADD(replaced, Assay__ReplacedText, assay__replaced_text__init, .length = 4096, .file = 1,
	    .by = (char *)"code of no file");
}

static void changed_relro(struct mi *mi)
{
	ADD(relro, Assay__ChangedRelro, assay__changed_relro__init, .file = 2);
}

static void writable_relro(struct mi *mi)
{
	ADD(relro, Assay__ChangedRelro, assay__changed_relro__init, .file = 2, .writable = true);
}

static void odd_import(struct mi *mi)
{
	ADD(imports, Assay__OddImport, assay__odd_import__init, .file = 2,
	    .symbol = (char *)"SSL_write", .target = 4096, .place = (char *)"code of no file");
}

static void odd_link(struct mi *mi)
{
	ADD(links, Assay__OddLink, assay__odd_link__init, .file = 2);
}

static void alias(struct mi *mi)
{
	ADD(aliases, Assay__WritableAlias, assay__writable_alias__init, .file = 1, .start = 8192);
}

static void missed_nodes(struct mi *mi)
{
	mi->msg->node->missed_uncounted = 2;
}

static void no_node(struct mi *mi)
{
	mi->msg->node = NULL;
}

#define UNCHANGED NULL

/* rules: of `dynamic`, in flow form. */
static const struct {
	const char *what, *rules;
	void (*change)(struct mi *mi);
	enum outcome outcome;
	const char *rule, *seen;
} cases[] = {
	{ "code of the manifest", "code: {files: manifest}", UNCHANGED, PASSES, NULL, NULL },
	{ "code of a file that is not in it", "code: {files: manifest}", unknown_code, FAILS,
	  "dynamic.code.files", "/tmp/evil.so, which is not in it" },
	{ "code allowed by its digest", "code: {files: manifest, allow: [" SHA_C "]}", unknown_code,
	  PASSES, NULL, NULL },
	{ "code of a changed file", "code: {files: manifest}", changed_code, FAILS,
	  "dynamic.code.files", "/usr/lib/x.so with another digest" },
	{ "the content of the manifest at another path", "code: {files: manifest}",
	  same_content_elsewhere, FAILS, "dynamic.code.files", "/tmp/x.so" },
	{ "code that was not hashed", "code: {files: manifest}", unhashed_code, UNCHECKED,
	  "dynamic.code.files", "Permission denied" },
	{ "code of a file that MI does not have", "code: {files: manifest}", code_of_no_file,
	  UNCHECKED, "dynamic.code.files", "unknown file" },
	{ "any file", "code: {files: any, modified_text: deny}", unknown_code, PASSES, NULL, NULL },
	{ "files that only warn", "code: {files: manifest, mode: warn}", unknown_code, WARNS,
	  "dynamic.code.files", "/tmp/evil.so" },
	{ "a file that is gone", "code: {deleted: deny}", deleted_code, FAILS,
	  "dynamic.code.deleted", "/usr/lib/x.so" },
	{ "files that are all there", "code: {deleted: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "text as in the files", "code: {modified_text: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "patched text", "code: {modified_text: deny}", patched_text, FAILS,
	  "dynamic.code.modified_text", "process 7: 1 changed pages of /usr/bin/app" },
	{ "patched text that only warns", "code: {modified_text: warn}", patched_text, WARNS,
	  "dynamic.code.modified_text", "process 7" },
	{ "patched text that is allowed", "code: {modified_text: allow, deleted: deny}",
	  patched_text, PASSES, NULL, NULL },
	{ "a process that could not be read", "code: {modified_text: deny}", unread_process,
	  UNCHECKED, "dynamic.code.modified_text", "process 7: Permission denied" },
	{ "the same where that is accepted", "code: {modified_text: deny, partial: accept}",
	  unread_process, PASSES, NULL, NULL },
	{ "a process that is left out", "code: {modified_text: deny}", second_process, UNCHECKED,
	  "dynamic.code.modified_text", "process 8 is not in the item" },
	{ "the kernel's own anonymous code", "code: {anonymous: deny}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "anonymous code", "code: {anonymous: deny}", anonymous_code, FAILS,
	  "dynamic.code.anonymous", "65536 bytes" },
	{ "a name like the kernel's", "code: {anonymous: deny}",
	  a_name_that_only_looks_like_the_kernels, FAILS, "dynamic.code.anonymous", "4096 bytes" },
	{ "anonymous code that only warns", "code: {anonymous: warn}", anonymous_code, WARNS,
	  "dynamic.code.anonymous", "65536 bytes" },
	{ "anonymous code within the envelope",
	  "code: {anonymous: deny, jit: {max_bytes: 64KiB, max_regions: 1}}", anonymous_code,
	  PASSES, NULL, NULL },
	{ "more bytes than the envelope",
	  "code: {anonymous: deny, jit: {max_bytes: 65535, max_regions: 1}}", anonymous_code, FAILS,
	  "dynamic.code.jit", "64KiB bytes in 1 regions" },
	{ "more regions than the envelope", "code: {anonymous: deny, jit: {max_regions: 1}}",
	  two_anonymous_regions, FAILS, "dynamic.code.jit", "in 2 regions" },
	{ "an envelope of nothing", "code: {anonymous: deny, jit: {max_bytes: 0}}", anonymous_code,
	  FAILS, "dynamic.code.anonymous", "65536 bytes" },
	{ "an envelope without a denial", "code: {anonymous: allow, jit: {max_bytes: 1}}",
	  anonymous_code, FAILS, "dynamic.code.jit", "64KiB" },
	{ "a probe counts for no compiler", "code: {anonymous: deny, jit: {max_bytes: 1}}", probe,
	  PASSES, NULL, NULL },
	{ "anonymous code that is writable too", "code: {jit: {max_regions: 1, wx: deny}}",
	  anonymous_code, FAILS, "dynamic.code.jit.wx", "65536 bytes at 0x0 (rwxp)" },
	{ "a file's code that is writable too", "code: {jit: {wx: deny}}", writable_code, FAILS,
	  "dynamic.code.jit.wx", "of /usr/lib/x.so" },
	{ "writable code that is let pass", "code: {jit: {max_regions: 1, wx: allow}}",
	  anonymous_code, PASSES, NULL, NULL },
	{ "no writable code", "code: {jit: {wx: deny}, deleted: deny}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "code of a memfd", "code: {memory_files: deny}", memory_file, FAILS,
	  "dynamic.code.memory_files", "/usr/lib/x.so, a file in memory" },
	{ "code of files on disk", "code: {memory_files: deny, remote_files: deny}", UNCHANGED,
	  PASSES, NULL, NULL },
	{ "code that a program serves", "code: {remote_files: deny}", remote_file, FAILS,
	  "dynamic.code.remote_files", "/usr/lib/x.so, which is on fuse.sshfs" },
	{ "text with something else in its place", "code: {modified_text: deny}", replaced_text,
	  FAILS, "dynamic.code.modified_text",
	  "4096 bytes of text of /usr/bin/app at 0x0 are replaced by code of no file" },
	{ "another vDSO", "code: {modified_text: deny}", other_vdso, FAILS,
	  "dynamic.code.modified_text", "a vDSO that is not the kernel's" },
	{ "a probe in the text", "code: {modified_text: deny}", probe, FAILS,
	  "dynamic.code.modified_text", "uprobe" },
	{ "text whose objects were not looked at", "code: {modified_text: deny}", no_objects,
	  UNCHECKED, "dynamic.code.modified_text", "its objects were not looked at" },
	{ "relro as it was", "code: {relro: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "changed relro", "code: {relro: deny}", changed_relro, FAILS, "dynamic.code.relro",
	  "relro of /usr/lib/x.so at 0x0 was changed" },
	{ "relro that is none", "code: {relro: deny}", writable_relro, FAILS, "dynamic.code.relro",
	  "is writable" },
	{ "changed relro that only warns", "code: {relro: warn}", changed_relro, WARNS,
	  "dynamic.code.relro", "x.so" },
	{ "relro that was not read", "code: {relro: deny}", unread_objects, UNCHECKED,
	  "dynamic.code.relro", "could not be read" },
	{ "imports that are right", "code: {imports: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "an import that leads elsewhere", "code: {imports: deny}", odd_import, FAILS,
	  "dynamic.code.imports", "SSL_write of /usr/lib/x.so leads to 0x1000 (code of no file)" },
	{ "imports past the list", "code: {imports: deny}", uncounted_objects, UNCHECKED,
	  "dynamic.code.imports", "3 things past" },
	{ "imports of a process whose objects were not looked at", "code: {imports: deny}",
	  no_objects, UNCHECKED, "dynamic.code.imports", "were not looked at" },
	{ "a library hidden from the loader", "code: {loader_list: deny}", odd_link, FAILS,
	  "dynamic.code.loader_list", "/usr/lib/x.so" },
	{ "a complete loader's list", "code: {loader_list: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "code that can be written elsewhere", "code: {aliases: deny}", alias, FAILS,
	  "dynamic.code.aliases", "process 7 can write to /usr/bin/app at 0x2000" },
	{ "code that cannot", "code: {aliases: deny}", UNCHANGED, PASSES, NULL, NULL },

	{ "the allowed listener", "listen: {allow: [tcp/0.0.0.0:443]}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a new listening port", "listen: {allow: [tcp/0.0.0.0:443]}", foreign_listener, FAILS,
	  "dynamic.listen", "process 7 listens on tcp/0.0.0.0:4444" },
	{ "a hidden socket", "listen: {allow: [tcp/0.0.0.0:443]}", unix_listener, FAILS,
	  "dynamic.listen", "unix/@hidden" },
	{ "no listener allowed", "listen: {allow: []}", UNCHANGED, FAILS, "dynamic.listen",
	  "tcp/0.0.0.0:443" },
	{ "a listener that only warns", "listen: {allow: [tcp/*:443], mode: warn}",
	  foreign_listener, WARNS, "dynamic.listen", "4444" },
	{ "the allowed connection", "connections: {allow: [10.0.0.0/8:5432]}", UNCHANGED, PASSES,
	  NULL, NULL },
	{ "a connection elsewhere", "connections: {allow: [10.0.0.0/8:5432]}", foreign_connection,
	  FAILS, "dynamic.connections", "connected to tcp/203.0.113.5:443" },
	{ "connections past the list", "connections: {allow: [10.0.0.0/8:5432]}",
	  uncounted_connections, UNCHECKED, "dynamic.connections", "3 connections" },
	{ "who may connect", "connections: {allow: ['*:*'], incoming: {allow: [192.0.2.0/24:*]}}",
	  UNCHANGED, PASSES, NULL, NULL },
	{ "who may not connect", "connections: {allow: ['*:*'], incoming: {allow: [10.0.0.0/8:*]}}",
	  UNCHANGED, FAILS, "dynamic.connections.incoming", "connected from tcp/192.0.2.9:55555" },
	{ "as much traffic as allowed", "traffic: {sent_per_second: {max: 1MiB}}", UNCHANGED,
	  PASSES, NULL, NULL },
	{ "a byte too much", "traffic: {sent_per_second: {max: 1048575}}", UNCHANGED, FAILS,
	  "dynamic.traffic.sent_per_second", "2097152 bytes in 2000 ms" },
	{ "received too much", "traffic: {received_per_second: {max: 511}}", UNCHANGED, FAILS,
	  "dynamic.traffic.received_per_second", "1024 bytes" },
	{ "traffic in no time", "traffic: {sent_per_second: {max: 1TiB}}", no_window, UNCHECKED,
	  "dynamic.traffic.sent_per_second", "window of no length" },

	{ "as much memory as allowed", "memory: {resident: {max: 1MiB}, proportional: {max: 1MiB}}",
	  UNCHANGED, PASSES, NULL, NULL },
	{ "too much memory", "memory: {resident: {max: 1048575}}", UNCHANGED, FAILS,
	  "dynamic.memory.resident", "1MiB" },
	{ "too much memory, warned of by its own mode",
	  "memory: {resident: {max: 1KiB, mode: warn}}", UNCHANGED, WARNS,
	  "dynamic.memory.resident", "1MiB" },
	{ "an inner mode goes before an outer one",
	  "memory: {mode: warn, resident: {max: 1KiB, mode: enforce}}", UNCHANGED, FAILS,
	  "dynamic.memory.resident", "1MiB" },
	{ "the mode of all rules", "mode: warn, memory: {resident: {max: 1KiB}}", UNCHANGED, WARNS,
	  "dynamic.memory.resident", "1MiB" },
	{ "proportional memory that could not be read", "memory: {proportional: {max: 1MiB}}",
	  no_proportional, UNCHECKED, "dynamic.memory.proportional", "could not be read" },
	{ "as much CPU as allowed", "cpu: {share: {max: 1.8}}", UNCHANGED, PASSES, NULL, NULL },
	{ "a thousandth too much", "cpu: {share: {max: 1.799}}", UNCHANGED, FAILS,
	  "dynamic.cpu.share", "1.800" },

	{ "writes where allowed", "disk: {writes_within: [/var/lib/app]}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a folder whose name begins alike", "disk: {writes_within: [/var/lib/app]}",
	  write_elsewhere, FAILS, "dynamic.disk.writes_within", "/var/lib/app2/x" },
	{ "a way out by dots", "disk: {writes_within: [/var/lib/app/]}", write_by_dots, FAILS,
	  "dynamic.disk.writes_within", "/etc/passwd" },
	{ "files past the list", "disk: {writes_within: [/]}", uncounted_writes, UNCHECKED,
	  "dynamic.disk.writes_within", "1 files" },
	{ "disk space as allowed", "disk: {used: {max: 1MiB}, available: {min: 8GiB}}", UNCHANGED,
	  PASSES, NULL, NULL },
	{ "too much disk space", "disk: {used: {max: 1048575}}", UNCHANGED, FAILS,
	  "dynamic.disk.used", "1MiB" },
	{ "too little left", "disk: {available: {min: 9GiB}}", UNCHANGED, FAILS,
	  "dynamic.disk.available", "8GiB under /var/lib/app" },
	{ "a tree that was not read to its end, within the limit",
	  "disk: {used: {max: 2MiB, "
	  "partial: refuse}}",
	  unfinished_tree, UNCHECKED, "dynamic.disk.used", "/var/lib/app" },
	{ "no storage measured", "disk: {used: {max: 1MiB}}", no_filesystem, UNCHECKED,
	  "dynamic.disk.used", "no storage path" },

	{ "an environment without what is denied", "environment: {deny: [LD_*]}", UNCHANGED, PASSES,
	  NULL, NULL },
	{ "a denied variable", "environment: {deny: ['LD_*']}", preload, FAILS,
	  "dynamic.environment.deny", "process 7 has LD_PRELOAD" },
	{ "only the listed", "environment: {only: [PATH, LANG]}", UNCHANGED, PASSES, NULL, NULL },
	{ "one more than the listed", "environment: {only: [PATH, LANG]}", preload, FAILS,
	  "dynamic.environment.only", "LD_PRELOAD" },
	{ "a value that is equal", "environment: {equal: {LANG: C.UTF-8}}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a value by its digest", "environment: {equal: {LANG: C.UTF-8}}", hashed_language, PASSES,
	  NULL, NULL },
	{ "another value by its digest", "environment: {equal: {LANG: C.UTF-8}}",
	  other_hashed_language, FAILS, "dynamic.environment.equal", "another value of LANG" },
	{ "another value", "environment: {equal: {LANG: C.UTF-8}}", other_language, FAILS,
	  "dynamic.environment.equal", "LANG=C" },
	{ "a value that is not recorded", "environment: {equal: {LANG: C.UTF-8}}",
	  unrecorded_language, UNCHECKED, "dynamic.environment.equal", "not recorded" },
	{ "a variable that is not there", "environment: {equal: {LANG: C.UTF-8}}", no_language,
	  FAILS, "dynamic.environment.equal", "does not have LANG" },
	{ "a process that is left out", "environment: {deny: [LD_*]}", second_process, UNCHECKED,
	  "dynamic.environment.deny", "process 8" },

	{ "log lines as allowed", "logs: {'ERROR|panic': {max: 2}}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a log line too many", "logs: {'ERROR|panic': {max: 1}}", UNCHANGED, FAILS,
	  "dynamic.logs.ERROR|panic", "2 lines" },
	{ "log lines that only warn", "logs: {'ERROR|panic': {max: 0, mode: warn}}", UNCHANGED,
	  WARNS, "dynamic.logs.ERROR|panic", "2 lines" },
	{ "a pattern that is not searched for", "logs: {FATAL: {max: 0}}", UNCHANGED, UNCHECKED,
	  "dynamic.logs.FATAL", "no log is searched" },
	{ "a log that could not be read", "logs: {'ERROR|panic': {max: 2}}", unread_log, UNCHECKED,
	  "dynamic.logs.ERROR|panic", "No such file" },

	{ "the process that was started", "start_time: {unchanged: true}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a process that ended", "start_time: {unchanged: true}", ended, FAILS,
	  "dynamic.start_time.unchanged", "has ended" },
	{ "the files of the manifest", "static_files: {unchanged: true}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "other files", "static_files: {unchanged: true}", other_digest, FAILS,
	  "dynamic.static_files.unchanged", "another digest" },
	{ "a file that changed", "static_files: {unchanged: true}", changed_file, FAILS,
	  "dynamic.static_files.unchanged", "/etc/app.conf has changed" },

	{ "processes as allowed", "processes: {max: 1, users: [33]}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "a process too many", "processes: {max: 1}", second_process, FAILS,
	  "dynamic.processes.max", "2 processes" },
	{ "a process of another user", "processes: {users: [33]}", second_process, FAILS,
	  "dynamic.processes.users", "process 8 of user 0" },
	{ "no process at all", "processes: {max: 1}", no_process, UNCHECKED,
	  "dynamic.processes.max", "not in the measurement" },

	{ "nothing lost", "kernel: {lost: {max: 0}}", UNCHANGED, PASSES, NULL, NULL },
	{ "events lost", "kernel: {lost: {max: 3}}", lost_events, FAILS, "dynamic.kernel.lost",
	  "4 lost" },
	{ "a bearable loss", "kernel: {lost: {max: 4}}", lost_events, PASSES, NULL, NULL },
	{ "an account that is not complete", "kernel: {lost: {max: 4}}", incomplete_account,
	  UNCHECKED, "dynamic.kernel.lost", "not complete" },
	{ "no account", "kernel: {lost: {max: 4}}", no_account, UNCHECKED, "dynamic.kernel.lost",
	  "no account" },
	{ "nobody reached in", "kernel: {foreign_access: deny}", UNCHANGED, PASSES, NULL, NULL },
	{ "somebody reached in", "kernel: {foreign_access: deny}", foreign_access, FAILS,
	  "dynamic.kernel.foreign_access", "1, the last known by process 99 at process 7" },
	{ "somebody reached in, and the detail was lost", "kernel: {foreign_access: deny}",
	  foreign_access_without_event, FAILS, "dynamic.kernel.foreign_access",
	  "2, without detail" },
	{ "an access that only warns", "kernel: {foreign_access: warn}", foreign_access, WARNS,
	  "dynamic.kernel.foreign_access", "1" },
	{ "an access at a process that is not known", "kernel: {foreign_access: deny}",
	  access_at_unknown_target, UNCHECKED, "dynamic.kernel.foreign_access",
	  "1 on this machine" },
	{ "accesses are not counted", "kernel: {foreign_access: deny}", uncounted_access, UNCHECKED,
	  "dynamic.kernel.foreign_access", "not counted" },
	{ "the allowed program", "kernel: {exec: {allow: [/usr/bin/app]}}", UNCHANGED, PASSES, NULL,
	  NULL },
	{ "another program", "kernel: {exec: {allow: [/usr/bin/*]}}", foreign_exec, FAILS,
	  "dynamic.kernel.exec", "executed /bin/sh" },
	{ "a program past the list", "kernel: {exec: {allow: [/usr/bin/app]}}", unlisted_exec,
	  UNCHECKED, "dynamic.kernel.exec", "1 programs" },
	{ "a loss of another cause", "kernel: {lost: {max: 1}}", lost_by_cause, FAILS,
	  "dynamic.kernel.lost", "2 lost: perf_lost 2" },
	{ "memory writable and executable", "kernel: {wx_memory: deny}", wx_memory, FAILS,
	  "dynamic.kernel.wx_memory", "1, the last known: wx_memory" },
	{ "the same is executable memory of no file", "kernel: {anonymous_code: deny}", wx_memory,
	  FAILS, "dynamic.kernel.anonymous_code", "rwx //anon" },
	{ "memory that nobody watches", "kernel: {wx_memory: deny}", UNCHANGED, UNCHECKED,
	  "dynamic.kernel.wx_memory", "not counted" },
	{ "a measured file that changed", "kernel: {file_changed: deny}", file_changed, FAILS,
	  "dynamic.kernel.file_changed", "libapp.so, content, by cp" },
	{ "a changed file that only warns", "kernel: {file_changed: warn}", file_changed, WARNS,
	  "dynamic.kernel.file_changed", "3" },
	{ "a changed file that may", "kernel: {file_changed: allow, lost: {max: 0}}", file_changed,
	  PASSES, NULL, NULL },
	{ "a program from memory", "kernel: {exec_memory: deny}", from_memory, FAILS,
	  "dynamic.kernel.exec_memory", "1, without detail" },
	{ "a program from memory, by name", "kernel: {exec_memory: deny}", from_memory_by_name,
	  FAILS, "dynamic.kernel.exec_memory", "/proc/self/fd/3" },
	{ "none: wx_memory", "kernel: {wx_memory: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: wx_memory", "kernel: {wx_memory: deny}", other_events, FAILS,
	  "dynamic.kernel.wx_memory", "without detail" },
	{ "none: anonymous_code", "kernel: {anonymous_code: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: anonymous_code", "kernel: {anonymous_code: deny}", other_events, FAILS,
	  "dynamic.kernel.anonymous_code", "without detail" },
	{ "none: moved_code", "kernel: {moved_code: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: moved_code", "kernel: {moved_code: deny}", other_events, FAILS,
	  "dynamic.kernel.moved_code", "without detail" },
	{ "none: file_changed", "kernel: {file_changed: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: file_changed", "kernel: {file_changed: deny}", other_events, FAILS,
	  "dynamic.kernel.file_changed", "without detail" },
	{ "none: foreign_read", "kernel: {foreign_read: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: foreign_read", "kernel: {foreign_read: deny}", other_events, FAILS,
	  "dynamic.kernel.foreign_read", "read by ps" },
	{ "looks within the limit", "kernel: {foreign_reads: {max: 4}}", four_looks, PASSES, NULL,
	  NULL },
	{ "one look too many", "kernel: {foreign_reads: {max: 3}}", four_looks, FAILS,
	  "dynamic.kernel.foreign_reads", "4" },
	{ "looks that are not counted", "kernel: {foreign_reads: {max: 3}}", UNCHANGED, UNCHECKED,
	  "dynamic.kernel.foreign_reads", "not counted" },
	{ "none: signals", "kernel: {signals: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: signals", "kernel: {signals: deny}", other_events, FAILS,
	  "dynamic.kernel.signals", "without detail" },
	{ "none: exec_memory", "kernel: {exec_memory: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: exec_memory", "kernel: {exec_memory: deny}", other_events, FAILS,
	  "dynamic.kernel.exec_memory", "without detail" },
	{ "none: io_uring", "kernel: {io_uring: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: io_uring", "kernel: {io_uring: deny}", other_events, FAILS,
	  "dynamic.kernel.io_uring", "without detail" },
	{ "none: credentials", "kernel: {credentials: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: credentials", "kernel: {credentials: deny}", other_events, FAILS,
	  "dynamic.kernel.credentials", "without detail" },
	{ "none: userfaultfd", "kernel: {userfaultfd: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: userfaultfd", "kernel: {userfaultfd: deny}", other_events, FAILS,
	  "dynamic.kernel.userfaultfd", "without detail" },
	{ "none: assayd_access", "kernel: {assayd_access: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: assayd_access", "kernel: {assayd_access: deny}", other_events, FAILS,
	  "dynamic.kernel.assayd_access", "without detail" },
	{ "none: bpf", "kernel: {bpf: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: bpf", "kernel: {bpf: deny}", other_events, FAILS,
	  "dynamic.kernel.bpf", "without detail" },
	{ "what assayd protects", "kernel: {guard: [self]}", guarded, PASSES, NULL, NULL },
	{ "what it does not protect", "kernel: {guard: [self, chip]}", guarded, FAILS,
	  "dynamic.kernel.guard", "chip is not protected: assayd is not told to" },
	{ "what it cannot protect", "kernel: {guard: [self]}", guarded_in_vain, FAILS,
	  "dynamic.kernel.guard", "self is not protected: the kernel does not ask" },
	{ "nothing is protected", "kernel: {guard: [files]}", UNCHANGED, FAILS,
	  "dynamic.kernel.guard", "files is not protected" },
	{ "none: guard_denied", "kernel: {guard_denied: deny}", all_counted, PASSES, NULL, NULL },
	{ "some: guard_denied", "kernel: {guard_denied: deny}", somebody_tried, FAILS,
	  "dynamic.kernel.guard_denied", "3, the last: signal, by process 77 (pkill)" },
	{ "attempts that only warn", "kernel: {guard_denied: warn}", somebody_tried, WARNS,
	  "dynamic.kernel.guard_denied", "3" },
	{ "refusals that nobody counts", "kernel: {guard_denied: deny}", UNCHANGED, UNCHECKED,
	  "dynamic.kernel.guard_denied", "not counted" },
	{ "what is not covered, and why", "kernel: {require: [T15]}", not_covered, FAILS,
	  "dynamic.kernel.require", "T15 is not covered: needs hooks: full" },
	{ "what is covered", "kernel: {require: [M01]}", UNCHANGED, PASSES, NULL, NULL },
	{ "what is not covered", "kernel: {require: [M01, M02]}", UNCHANGED, FAILS,
	  "dynamic.kernel.require", "M02" },

	{ "no node missed", "missed_nodes: {max: 0}", UNCHANGED, PASSES, NULL, NULL },
	{ "nodes missed", "missed_nodes: {max: 1}", missed_nodes, FAILS, "dynamic.missed_nodes",
	  "2" },
	{ "no node", "missed_nodes: {max: 1}", no_node, UNCHECKED, "dynamic.missed_nodes",
	  "not in the measurement" },
};

static void each_rule_judges_its_item(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct policy *p = policy_of(cases[i].rules);
		struct mi *mi = mi_of_one_process(p);
		struct appraisal a;

		if (cases[i].change)
			cases[i].change(mi);
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, NULL, 0, &a);
		appraisal_finish(&a);
		check_outcome(cases[i].what, &a, cases[i].outcome, cases[i].rule, cases[i].seen);
		appraisal_done(&a);
		mi_free(mi);
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_judges_its_item),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
