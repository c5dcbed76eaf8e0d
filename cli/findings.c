/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mappings that the kernel gives to every process. */
static const char *const of_the_kernel[] = { "[vdso]", "[vsyscall]" };

/* Variables by which a process is made to load other code than its files say. */
static const char *const loading[] = { "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH" };

static int PRINTF_LIKE(5, 6) find(struct findings *f, const char *kind, uint32_t pid, bool unseen,
				  const char *format, ...)
{
	struct finding *to;
	va_list args;

	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		struct finding *grown = realloc(f->list, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->list = grown;
		f->room = room;
	}
	to = &f->list[f->n++];
	*to = (struct finding){ .kind = kind, .pid = pid, .unseen = unseen };
	va_start(args, format);
	vsnprintf(to->what, sizeof(to->what), format, args);
	va_end(args);
	return 0;
}

static const Assay__File *file_of(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_files ? mi->files[index - 1] : NULL;
}

static const char *path_of(const Assay__Mi *mi, uint32_t index)
{
	const Assay__File *file = file_of(mi, index);

	return file ? file->path : "a file that is not listed";
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int look_at_text(const Assay__Mi *mi, const Assay__CodeOf *c, struct findings *f)
{
	const Assay__Objects *o = c->objects;
	int r = 0;

	for (size_t i = 0; i < o->n_replaced && r == 0; i++)
		r = find(f, "code.replaced", c->pid, false,
			 "%" PRIu64 " bytes of text of %s at %#" PRIx64 " are replaced by %s",
			 o->replaced[i]->length, path_of(mi, o->replaced[i]->file),
			 o->replaced[i]->start, o->replaced[i]->by);
	for (size_t i = 0; i < o->n_relro && r == 0; i++)
		r = find(f, "code.relro", c->pid, false,
			 "memory of %s at %#" PRIx64 " that is read-only after relocation %s",
			 path_of(mi, o->relro[i]->file), o->relro[i]->start,
			 o->relro[i]->writable ? "is writable" : "was changed");
	for (size_t i = 0; i < o->n_imports && r == 0; i++)
		r = find(f, "code.import", c->pid, false, "%s of %s leads to %#" PRIx64 " (%s)",
			 o->imports[i]->symbol[0] ? o->imports[i]->symbol : "an import",
			 path_of(mi, o->imports[i]->file), o->imports[i]->target,
			 o->imports[i]->place);
	return r;
}

static int look_at_objects(const Assay__Mi *mi, const Assay__CodeOf *c, struct findings *f)
{
	const Assay__Objects *o = c->objects;
	int r = look_at_text(mi, c, f);

	for (size_t i = 0; i < o->n_links && r == 0; i++)
		r = find(f, "code.loader_list", c->pid, false,
			 "%s at %#" PRIx64 " is not in the loader's list",
			 path_of(mi, o->links[i]->file), o->links[i]->address);
	for (size_t i = 0; i < o->n_aliases && r == 0; i++)
		r = find(f, "code.alias", c->pid, false,
			 "%s is code and is mapped to be written at %#" PRIx64,
			 path_of(mi, o->aliases[i]->file), o->aliases[i]->start);
	if (r == 0 && o->error[0])
		r = find(f, "code.unseen", c->pid, true, "%s", o->error);
	if (r == 0 && o->uncounted > 0)
		r = find(f, "code.unseen", c->pid, true, "%" PRIu64 " things past what is listed",
			 o->uncounted);
	return r;
}

static int look_at_code(const Assay__Mi *mi, const Assay__CodeOf *c, struct findings *f)
{
	int r = 0;

	for (size_t i = 0; i < c->n_anonymous && r == 0; i++) {
		const Assay__AnonymousCode *a = c->anonymous[i];

		if (strcmp(a->name, "[uprobes]") == 0)
			r = find(f, "code.probe", c->pid, false,
				 "a probe (uprobe) is or was in its text");
		else if (a->differs)
			r = find(f, "code.vdso", c->pid, false,
				 "the vDSO at %#" PRIx64 " is not the kernel's", a->start);
		else if (!is_one_of(a->name, of_the_kernel, ARRAY_LEN(of_the_kernel)))
			r = find(f, "code.anonymous", c->pid, false,
				 "%" PRIu64 " bytes of executable memory at %#" PRIx64
				 " (%s) that belong to no file%s%s",
				 a->length, a->start, a->protection, a->name[0] ? ": " : "",
				 a->name);
	}
	for (size_t i = 0; i < c->n_modified && r == 0; i++) {
		const Assay__ModifiedText *m = c->modified[i];

		r = find(f, "code.modified", c->pid, false,
			 "%" PRIu64 " pages of text at %#" PRIx64
			 " are no longer those of %s at %#" PRIx64,
			 m->pages, m->start, path_of(mi, m->file), m->file_offset);
	}
	for (size_t i = 0; i < c->n_mappings && r == 0; i++) {
		const Assay__Mapping *m = c->mappings[i];
		const Assay__File *file = file_of(mi, m->file);

		if (file && file->remote)
			r = find(f, "code.remote_file", c->pid, false, "code of %s, %s", file->path,
				 file->error);
		else if (file && !file->regular_fs)
			r = find(f, "code.memory_file", c->pid, false,
				 "code of %s, a file in memory", file->path);
		else if (file && file->deleted)
			r = find(f, "code.deleted", c->pid, false,
				 "code of %s, which is gone or was replaced", file->path);
		if (r == 0 && strchr(m->protection, 'w'))
			r = find(f, "code.writable", c->pid, false,
				 "code of %s at %#" PRIx64 " that can be written to (%s)",
				 path_of(mi, m->file), m->start, m->protection);
	}
	if (r == 0 && c->objects)
		r = look_at_objects(mi, c, f);
	if (r == 0 && c->error[0])
		r = find(f, "code.unseen", c->pid, true, "%s", c->error);
	return r;
}

static int look_at_process(const Assay__Mi *mi, const Assay__Process *p, struct findings *f)
{
	int r = 0;

	if (p->tracer)
		r = find(f, "process.traced", p->pid, false, "process %u traces it", p->tracer);
	if (r == 0 && p->executed)
		r = find(f, "process.replaced", p->pid, false,
			 "it executed %s and passes for %s now, without an exec",
			 path_of(mi, p->executed), path_of(mi, p->executable));
	for (size_t i = 0; i < p->n_threads_apart && r == 0; i++) {
		const Assay__Threads *t = p->threads_apart[i];

		if (t->tracer && t->tracer != p->tracer)
			r = find(f, "process.traced", p->pid, false,
				 "process %u traces its thread %u", t->tracer, t->first);
		if (r == 0 && (t->credentials != p->credentials || t->namespaces != p->namespaces))
			r = find(f, "process.threads", p->pid, false,
				 "%u threads, the first %u, have other credentials or namespaces "
				 "than its first thread",
				 t->count, t->first);
	}
	return r;
}

/* Kinds of descriptors that no program has by its files alone; others are for its policy. */
static const char *const odd[] = { "standard_socket", "process_memory", "memory_file",
				   "deleted_program", "kernel_memory" };

static int look_at_descriptors(const Assay__Descriptors *d, struct findings *f)
{
	int r = 0;

	for (size_t i = 0; i < d->n_own && r == 0; i++) {
		const Assay__Descriptor *o = d->own[i];

		if (is_one_of(o->kind, odd, ARRAY_LEN(odd)))
			r = find(f, "descriptors", o->pid, false, "descriptor %u is %s (%s)",
				 o->number, o->detail, o->kind);
	}
	for (size_t i = 0; i < d->n_foreign && r == 0; i++) {
		const Assay__Holder *h = d->foreign[i];

		r = find(f, "foreign", h->target, false, "process %u (%s, user %u) has %s%s",
			 h->pid, h->comm, h->uid, h->detail, h->writable ? ", writable" : "");
	}
	return r;
}

static int look_at_environment(const Assay__EnvironmentOf *e, struct findings *f)
{
	int r = 0;

	for (size_t i = 0; i < e->n_names && r == 0; i++)
		if (is_one_of(e->names[i], loading, ARRAY_LEN(loading)))
			r = find(f, "environment.loading", e->pid, false, "%s is set", e->names[i]);
	return r;
}

static int look_at_collector(const Assay__CollectorStatus *c, struct findings *f)
{
	if (c->state == ASSAY__COLLECTOR_STATUS__STATE__COMPLETE)
		return 0;
	return find(f, "collector", 0, true, "%s saw %s: %s", c->name,
		    c->state == ASSAY__COLLECTOR_STATUS__STATE__PARTIAL ? "not everything"
									: "nothing",
		    c->why);
}

int findings_of(const Assay__Mi *mi, struct findings *ret)
{
	int r = 0;

	*ret = (struct findings){ 0 };
	for (size_t i = 0; mi->code && i < mi->code->n_processes && r == 0; i++)
		r = look_at_code(mi, mi->code->processes[i], ret);
	for (size_t i = 0; i < mi->n_processes && r == 0; i++)
		r = look_at_process(mi, mi->processes[i], ret);
	if (r == 0 && mi->descriptors)
		r = look_at_descriptors(mi->descriptors, ret);
	for (size_t i = 0; mi->environment && i < mi->environment->n_processes && r == 0; i++)
		r = look_at_environment(mi->environment->processes[i], ret);
	for (size_t i = 0; i < mi->n_collectors && r == 0; i++)
		r = look_at_collector(mi->collectors[i], ret);
	return r;
}

void findings_done(struct findings *f)
{
	free(f->list);
	*f = (struct findings){ 0 };
}
