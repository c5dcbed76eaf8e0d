/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/findings.h"

/* An MI of one process with nothing to find in it; each case spoils it in one way. */
struct sample {
	Assay__Mi mi;
	Assay__Code code;
	Assay__CodeOf code_of, *code_list[1];
	Assay__Mapping mapping, *mappings[1];
	Assay__AnonymousCode vdso, code_memory, *anonymous[2];
	Assay__ModifiedText modified, *modified_list[1];
	Assay__Objects objects;
	Assay__ReplacedText replaced, *replaced_list[1];
	Assay__ChangedRelro relro, *relro_list[1];
	Assay__OddImport import, *imports[1];
	Assay__OddLink link, *links[1];
	Assay__WritableAlias alias, *aliases[1];
	Assay__File file, *files[1];
	Assay__Environment environment;
	Assay__EnvironmentOf environment_of, *environment_list[1];
	char *names[2];
	Assay__CollectorStatus status, *statuses[1];
	Assay__Process process, *processes[1];
	Assay__Threads threads, *apart[1];
	Assay__Descriptors descriptors;
	Assay__Descriptor descriptor, *own[1];
	Assay__Holder holder, *foreign[1];
};

static void sample_init(struct sample *s)
{
	assay__mi__init(&s->mi);
	assay__code__init(&s->code);
	assay__code_of__init(&s->code_of);
	assay__mapping__init(&s->mapping);
	assay__anonymous_code__init(&s->vdso);
	assay__anonymous_code__init(&s->code_memory);
	assay__modified_text__init(&s->modified);
	assay__file__init(&s->file);
	assay__objects__init(&s->objects);
	assay__replaced_text__init(&s->replaced);
	assay__changed_relro__init(&s->relro);
	assay__odd_import__init(&s->import);
	assay__odd_link__init(&s->link);
	assay__writable_alias__init(&s->alias);
	assay__environment__init(&s->environment);
	assay__environment_of__init(&s->environment_of);
	assay__collector_status__init(&s->status);
	assay__process__init(&s->process);
	assay__threads__init(&s->threads);
	assay__descriptors__init(&s->descriptors);
	assay__descriptor__init(&s->descriptor);
	assay__holder__init(&s->holder);
	s->mi.processes = s->processes;
	s->mi.n_processes = 1;
	s->processes[0] = &s->process;
	s->process.pid = 42;
	s->process.executable = s->process.credentials = s->process.namespaces = 1;
	s->process.threads_apart = s->apart;
	s->apart[0] = &s->threads;
	s->threads.first = 43;
	s->threads.count = s->threads.credentials = s->threads.namespaces = 1;
	s->mi.descriptors = &s->descriptors;
	s->descriptors.own = s->own;
	s->descriptors.n_own = 1;
	s->own[0] = &s->descriptor;
	s->descriptor.kind = (char *)"block_device";
	s->descriptor.detail = (char *)"what it is";
	s->descriptors.foreign = s->foreign;
	s->foreign[0] = &s->holder;

	s->mi.files = s->files;
	s->mi.n_files = 1;
	s->files[0] = &s->file;
	s->file.path = (char *)"/usr/bin/worker";
	s->file.regular_fs = true;
	s->mi.code = &s->code;
	s->code.processes = s->code_list;
	s->code.n_processes = 1;
	s->code_list[0] = &s->code_of;
	s->code_of.pid = 42;
	s->code_of.mappings = s->mappings;
	s->code_of.n_mappings = 1;
	s->mappings[0] = &s->mapping;
	s->mapping.file = 1;
	s->mapping.protection = (char *)"r-xp";
	s->code_of.objects = &s->objects;
	s->objects.replaced = s->replaced_list;
	s->replaced_list[0] = &s->replaced;
	s->objects.relro = s->relro_list;
	s->relro_list[0] = &s->relro;
	s->objects.imports = s->imports;
	s->imports[0] = &s->import;
	s->objects.links = s->links;
	s->links[0] = &s->link;
	s->objects.aliases = s->aliases;
	s->aliases[0] = &s->alias;
	s->replaced.file = s->relro.file = s->import.file = s->link.file = s->alias.file = 1;
	s->code_of.anonymous = s->anonymous;
	s->code_of.n_anonymous = 1;
	s->anonymous[0] = &s->vdso;
	s->anonymous[1] = &s->code_memory;
	s->vdso.name = (char *)"[vdso]";
	s->code_of.modified = s->modified_list;
	s->modified_list[0] = &s->modified;
	s->modified.file = 1;
	s->mi.environment = &s->environment;
	s->environment.processes = s->environment_list;
	s->environment.n_processes = 1;
	s->environment_list[0] = &s->environment_of;
	s->environment_of.names = s->names;
	s->environment_of.n_names = 1;
	s->names[0] = (char *)"PATH";
	s->names[1] = (char *)"LD_PRELOAD";
	s->mi.collectors = s->statuses;
	s->mi.n_collectors = 1;
	s->statuses[0] = &s->status;
	s->status.name = (char *)"code";
	s->status.state = ASSAY__COLLECTOR_STATUS__STATE__COMPLETE;
}

static void as_it_should_be(struct sample *s)
{
	(void)s;
}

static void anonymous_code(struct sample *s)
{
	s->code_of.n_anonymous = 2;
}

static void modified_text(struct sample *s)
{
	s->code_of.n_modified = 1;
}

static void deleted_file(struct sample *s)
{
	s->file.deleted = true;
}

static void memory_file(struct sample *s)
{
	s->file.regular_fs = false;
}

static void remote_file(struct sample *s)
{
	s->file.remote = true;
	s->file.regular_fs = false;
	s->file.error = (char *)"not read";
}

static void writable_code(struct sample *s)
{
	s->mapping.protection = (char *)"rwxp";
}

static void other_vdso(struct sample *s)
{
	s->vdso.differs = true;
}

static void probe(struct sample *s)
{
	s->code_of.n_anonymous = 2;
	s->code_memory.name = (char *)"[uprobes]";
}

static void replaced_text(struct sample *s)
{
	s->objects.n_replaced = 1;
}

static void changed_relro(struct sample *s)
{
	s->objects.n_relro = 1;
}

static void odd_import(struct sample *s)
{
	s->objects.n_imports = 1;
}

static void hidden_object(struct sample *s)
{
	s->objects.n_links = 1;
}

static void alias(struct sample *s)
{
	s->objects.n_aliases = 1;
}

static void unread_objects(struct sample *s)
{
	s->objects.error = (char *)"it could not be read";
}

static void unlisted_file(struct sample *s)
{
	s->code_of.n_modified = 1;
	s->modified.file = 9;
}

static void preload(struct sample *s)
{
	s->environment_of.n_names = 2;
}

static void unread(struct sample *s)
{
	s->code_of.error = (char *)"it ended";
}

static void collector_failed(struct sample *s)
{
	s->status.state = ASSAY__COLLECTOR_STATUS__STATE__FAILED;
}

static void traced(struct sample *s)
{
	s->process.tracer = 99;
}

static void traced_thread(struct sample *s)
{
	s->process.n_threads_apart = 1;
	s->threads.tracer = 99;
}

static void thread_apart(struct sample *s)
{
	s->process.n_threads_apart = 1;
	s->threads.credentials = 2;
}

static void replaced_executable(struct sample *s)
{
	s->process.executed = 1;
}

static void standard_socket(struct sample *s)
{
	s->descriptor.kind = (char *)"standard_socket";
}

static void held_by_another(struct sample *s)
{
	s->descriptors.n_foreign = 1;
}

static const struct {
	const char *what;
	void (*spoil)(struct sample *s);
	const char *kind; /* NULL: nothing is found */
	bool unseen;
} cases[] = {
	{ "code from its files alone, and the kernel's vdso", as_it_should_be, NULL, false },
	{ "executable memory of no file", anonymous_code, "code.anonymous", false },
	{ "text that was written to", modified_text, "code.modified", false },
	{ "code of a file that is gone", deleted_file, "code.deleted", false },
	{ "code of a memfd", memory_file, "code.memory_file", false },
	{ "code that a program serves", remote_file, "code.remote_file", false },
	{ "a file's code that can be written to", writable_code, "code.writable", false },
	{ "another vDSO", other_vdso, "code.vdso", false },
	{ "a probe", probe, "code.probe", false },
	{ "text replaced", replaced_text, "code.replaced", false },
	{ "relro changed", changed_relro, "code.relro", false },
	{ "an import that leads elsewhere", odd_import, "code.import", false },
	{ "a library hidden from the loader", hidden_object, "code.loader_list", false },
	{ "code that is mapped writable", alias, "code.alias", false },
	{ "objects that could not be read", unread_objects, "code.unseen", true },
	{ "a file that the MI does not list", unlisted_file, "code.modified", false },
	{ "a library forced in", preload, "environment.loading", false },
	{ "a process that could not be read", unread, "code.unseen", true },
	{ "a process that is traced", traced, "process.traced", false },
	{ "a thread that is traced", traced_thread, "process.traced", false },
	{ "a thread with other credentials", thread_apart, "process.threads", false },
	{ "a process that passes for another", replaced_executable, "process.replaced", false },
	{ "a connection as standard input", standard_socket, "descriptors", false },
	{ "another that holds its memory", held_by_another, "foreign", false },
	{ "a collector that failed", collector_failed, "collector", true },
};

static void what_is_not_as_it_should_be_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sample s = { 0 };
		struct findings found;

		sample_init(&s);
		cases[i].spoil(&s);
		assert_int_equal(findings_of(&s.mi, &found), 0);
		if (found.n != (cases[i].kind ? 1 : 0))
			fail_msg("%s: %zu findings", cases[i].what, found.n);
		if (cases[i].kind && (strcmp(found.list[0].kind, cases[i].kind) != 0 ||
				      found.list[0].unseen != cases[i].unseen))
			fail_msg("%s: found %s", cases[i].what, found.list[0].kind);
		findings_done(&found);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_as_it_should_be_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
