/* SPDX-License-Identifier: Apache-2.0 */
#include "judge_code.h"

/*
 * MI item 8, what the loader made of the files: text at its place and as it was, relro, import
 * slots, the loader's own list, and files that are code here and can be written to there.
 */

static const char *path_of(const struct judge_check *c, uint32_t index)
{
	const Assay__File *f = judge_code_file(c->j->mi, index);

	return f ? judge_text(f->path) : "a file that is not listed";
}

static unsigned long long number(uint64_t n)
{
	return n;
}

/* Calls on_process for each process, whose objects must have been looked at. */
static void judge_each(const struct judging *j, const struct policy_code *code,
		       enum policy_setting setting, const char *path, const char *expected,
		       void (*on_process)(struct judge_check *c, const Assay__CodeOf *p))
{
	struct policy_rule rule = judge_setting(setting, &code->rule);
	struct judge_check c;

	if (!judge_wanted(setting) || !judge_code_begin(&c, j, &rule, path, expected))
		return;
	for (size_t i = 0; i < j->mi->code->n_processes; i++) {
		const Assay__CodeOf *p = j->mi->code->processes[i];

		/* Why the process has none is said by judge_code_begin where it has an error. */
		if (p->objects && judge_text(p->objects->error)[0])
			judge_missing(&c, "process %u: %s", p->pid, p->objects->error);
		else if (!p->objects && !judge_text(p->error)[0])
			judge_missing(&c, "process %u: its objects were not looked at", p->pid);
		on_process(&c, p);
		if (p->objects && p->objects->uncounted > 0)
			judge_missing(&c, "process %u: %llu things past what is listed", p->pid,
				      number(p->objects->uncounted));
	}
	judge_end(&c);
}

static void check_text(struct judge_check *c, const Assay__CodeOf *p)
{
	for (size_t i = 0; i < p->n_modified; i++) {
		const Assay__ModifiedText *m = p->modified[i];
		const Assay__File *f = judge_code_file(c->j->mi, m->file);

		judge_fail(c,
			   "process %u: %llu changed pages of %s at offset 0x%llx, address "
			   "0x%llx",
			   p->pid, number(m->pages),
			   f ? judge_text(f->path) : "memory without a file",
			   number(m->file_offset), number(m->start));
	}
	for (size_t i = 0; i < p->n_anonymous; i++) {
		const Assay__AnonymousCode *a = p->anonymous[i];

		if (a->differs)
			judge_fail(c, "process %u: a vDSO that is not the kernel's, at 0x%llx",
				   p->pid, number(a->start));
		if (judge_code_is_probe(a))
			judge_fail(c, "process %u: a probe was put into its text (uprobe)", p->pid);
	}
	for (size_t i = 0; p->objects && i < p->objects->n_replaced; i++) {
		const Assay__ReplacedText *t = p->objects->replaced[i];

		judge_fail(c, "process %u: %llu bytes of text of %s at 0x%llx are replaced by %s",
			   p->pid, number(t->length), path_of(c, t->file), number(t->start),
			   judge_text(t->by));
	}
}

static void check_relro(struct judge_check *c, const Assay__CodeOf *p)
{
	for (size_t i = 0; p->objects && i < p->objects->n_relro; i++) {
		const Assay__ChangedRelro *r = p->objects->relro[i];

		judge_fail(c, "process %u: relro of %s at 0x%llx %s", p->pid, path_of(c, r->file),
			   number(r->start), r->writable ? "is writable" : "was changed");
	}
}

static void check_imports(struct judge_check *c, const Assay__CodeOf *p)
{
	for (size_t i = 0; p->objects && i < p->objects->n_imports; i++) {
		const Assay__OddImport *o = p->objects->imports[i];

		judge_fail(c, "process %u: %s of %s leads to 0x%llx (%s)", p->pid,
			   judge_text(o->symbol)[0] ? o->symbol : "an import", path_of(c, o->file),
			   number(o->target), judge_text(o->place));
	}
}

static void check_links(struct judge_check *c, const Assay__CodeOf *p)
{
	for (size_t i = 0; p->objects && i < p->objects->n_links; i++) {
		const Assay__OddLink *l = p->objects->links[i];

		judge_fail(c, "process %u: %s at 0x%llx is not in it", p->pid, path_of(c, l->file),
			   number(l->address));
	}
}

static void check_aliases(struct judge_check *c, const Assay__CodeOf *p)
{
	for (size_t i = 0; p->objects && i < p->objects->n_aliases; i++) {
		const Assay__WritableAlias *a = p->objects->aliases[i];

		judge_fail(c, "process %u can write to %s at 0x%llx", p->pid, path_of(c, a->file),
			   number(a->start));
	}
}

void judge_objects(const struct judging *j, const struct policy_code *code)
{
	judge_each(j, code, code->modified_text, "dynamic.code.modified_text",
		   "text as in its files", check_text);
	judge_each(j, code, code->relro, "dynamic.code.relro", "relro as it was once loaded",
		   check_relro);
	judge_each(j, code, code->imports, "dynamic.code.imports",
		   "imports that lead to the symbols of their names", check_imports);
	judge_each(j, code, code->loader_list, "dynamic.code.loader_list",
		   "all loaded code in the loader's list", check_links);
	judge_each(j, code, code->aliases, "dynamic.code.aliases",
		   "no code that is mapped writable elsewhere", check_aliases);
}
