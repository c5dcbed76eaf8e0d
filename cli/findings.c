/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mappings that the kernel gives to every process. */
static const char *const of_the_kernel[] = { "[vdso]", "[vsyscall]", "[uprobes]" };

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

static int look_at_code(const Assay__Mi *mi, const Assay__CodeOf *c, struct findings *f)
{
	int r = 0;

	for (size_t i = 0; i < c->n_anonymous && r == 0; i++) {
		const Assay__AnonymousCode *a = c->anonymous[i];

		if (!is_one_of(a->name, of_the_kernel, ARRAY_LEN(of_the_kernel)))
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

		if (file && file->deleted)
			r = find(f, "code.deleted", c->pid, false,
				 "code of %s, which is gone or was replaced", file->path);
		else if (file && !file->regular_fs)
			r = find(f, "code.memory_file", c->pid, false,
				 "code of %s, a file in memory", file->path);
	}
	if (r == 0 && c->error[0])
		r = find(f, "code.unseen", c->pid, true, "%s", c->error);
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
