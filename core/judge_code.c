/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Mapped into every process by the kernel itself. */
static bool is_kernels(const Assay__AnonymousCode *a)
{
	return strcmp(judge_text(a->name), "[vdso]") == 0 ||
	       strcmp(judge_text(a->name), "[vsyscall]") == 0;
}

/* The file of that index (from 1), or NULL. */
static const Assay__File *file_at(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_files ? mi->files[index - 1] : NULL;
}

static uint32_t pid_at(const Assay__Mi *mi, size_t i)
{
	return mi->code->processes[i]->pid;
}

/* Begins a check that looks at every process's code. */
static bool begin(struct judge_check *c, const struct judging *j, const struct policy_rule *rule,
		  const char *path, const char *expected)
{
	const Assay__Code *item = j->mi->code;

	if (!judge_begin(c, j, rule, JUDGE_ABSENCE, path, expected, item))
		return false;
	judge_covers(c, item->n_processes, pid_at);
	for (size_t i = 0; i < item->n_processes; i++) {
		if (judge_text(item->processes[i]->error)[0])
			judge_missing(c, "process %u: %s", item->processes[i]->pid,
				      item->processes[i]->error);
	}
	return true;
}

/* Calls on_file once for each file that code is mapped from. */
static void each_file(struct judge_check *c,
		      void (*on_file)(struct judge_check *c, const Assay__File *f))
{
	CLEANUP(cleanup_mem) bool *seen = NULL;
	const Assay__Mi *mi = c->j->mi;

	seen = calloc(mi->n_files + 1, sizeof(*seen));
	if (!seen) {
		judge_unchecked(c, "no memory");
		return;
	}
	for (size_t i = 0; i < mi->code->n_processes; i++) {
		const Assay__CodeOf *p = mi->code->processes[i];

		for (size_t k = 0; k < p->n_mappings; k++) {
			uint32_t index = p->mappings[k]->file;
			const Assay__File *f = file_at(mi, index);

			if (!f)
				judge_unchecked(c, "process %u maps code of an unknown file",
						p->pid);
			else if (!seen[index])
				on_file(c, f);
			if (f)
				seen[index] = true;
		}
	}
}

static void check_file(struct judge_check *c, const Assay__File *f)
{
	const struct policy *policy = c->j->policy;
	const struct policy_code *rule = policy->form->dynamic->code;
	struct view sha256 = view_of(f->sha256.data, f->sha256.len);
	const char *path = judge_text(f->path);
	const struct manifest_entry *e;

	if (sha256.len == 0) {
		judge_unchecked(c, "%s was not hashed: %s", path,
				judge_text(f->error)[0] ? f->error : "it does not say why");
		return;
	}
	for (size_t i = 0; i < rule->n_allow; i++) {
		if (view_equal(sha256, digest_view(&rule->digests[i])))
			return;
	}
	e = manifest_find(&policy->manifest, path);
	if (!e || e->type != MANIFEST_FILE)
		judge_fail(c, "%s, which is not in it", path);
	else if (!view_equal(sha256, digest_view(&e->sha256)))
		judge_fail(c, "%s with another digest", path);
}

static void judge_files(const struct judging *j, const struct policy_code *rule)
{
	struct judge_check c;

	if (!begin(&c, j, &rule->rule, "dynamic.code.files",
		   "code from files of the manifest only"))
		return;
	if (!j->policy->has_manifest)
		judge_unchecked(&c, "the policy has no reference manifest");
	else
		each_file(&c, check_file);
	judge_end(&c);
}

static void check_deleted(struct judge_check *c, const Assay__File *f)
{
	if (f->deleted)
		judge_fail(c, "%s, which is no longer reachable", judge_text(f->path));
}

static void judge_deleted(const struct judging *j, const struct policy_code *code)
{
	struct policy_rule rule = judge_setting(code->deleted, &code->rule);
	struct judge_check c;

	if (!begin(&c, j, &rule, "dynamic.code.deleted", "no code from deleted files"))
		return;
	each_file(&c, check_deleted);
	judge_end(&c);
}

static void judge_modified(const struct judging *j, const struct policy_code *code)
{
	struct policy_rule rule = judge_setting(code->modified_text, &code->rule);
	struct judge_check c;

	if (!begin(&c, j, &rule, "dynamic.code.modified_text", "text as in its files"))
		return;
	for (size_t i = 0; i < j->mi->code->n_processes; i++) {
		const Assay__CodeOf *p = j->mi->code->processes[i];

		for (size_t k = 0; k < p->n_modified; k++) {
			const Assay__ModifiedText *m = p->modified[k];
			const Assay__File *f = file_at(j->mi, m->file);

			judge_fail(&c,
				   "process %u: %llu changed pages of %s at offset 0x%llx, address "
				   "0x%llx",
				   p->pid, (unsigned long long)m->pages,
				   f ? judge_text(f->path) : "memory without a file",
				   (unsigned long long)m->file_offset,
				   (unsigned long long)m->start);
		}
	}
	judge_end(&c);
}

/* An envelope for just-in-time compilers: up to it, anonymous code is as expected. */
static void judge_jit(const struct judging *j, const struct policy_code *code, uint64_t bytes,
		      uint64_t regions)
{
	char expected[JUDGE_TEXT_MAX], size[QUANTITY_TEXT_MAX], count[QUANTITY_TEXT_MAX];
	const struct policy_jit *jit = code->jit;
	struct policy_rule rule = judge_setting(code->anonymous, &code->rule);
	struct judge_check c;

	snprintf(expected, sizeof(expected), "anonymous code of at most %s bytes, %s regions",
		 jit->max_bytes ? quantity_size_text(jit->bytes, size) : "any number of",
		 jit->max_regions ? judge_count_text(jit->regions, count) : "any number of");
	if (!begin(&c, j, &rule, "dynamic.code.jit", expected))
		return;
	if (bytes > jit->bytes || regions > jit->regions)
		judge_fail(&c, "%s bytes in %llu regions", quantity_size_text(bytes, size),
			   (unsigned long long)regions);
	judge_end(&c);
}

static void judge_anonymous(const struct judging *j, const struct policy_code *code)
{
	const Assay__Code *item = j->mi->code;
	struct policy_rule rule = judge_setting(code->anonymous, &code->rule);
	uint64_t bytes = 0, regions = 0;
	struct judge_check c;
	bool within;

	for (size_t i = 0; item && i < item->n_processes; i++) {
		for (size_t k = 0; k < item->processes[i]->n_anonymous; k++) {
			const Assay__AnonymousCode *a = item->processes[i]->anonymous[k];

			if (is_kernels(a))
				continue;
			regions++;
			if (__builtin_add_overflow(bytes, a->length, &bytes))
				bytes = UINT64_MAX;
		}
	}
	/* The envelope, if it lets anything pass, stands in the place of a plain denial. */
	within = code->jit && code->jit->bytes > 0 && code->jit->regions > 0;
	if (code->jit && (within || !judge_wanted(code->anonymous)))
		judge_jit(j, code, bytes, regions);
	if (within || !judge_wanted(code->anonymous) ||
	    !begin(&c, j, &rule, "dynamic.code.anonymous", "no executable memory without a file"))
		return;
	for (size_t i = 0; i < item->n_processes; i++) {
		const Assay__CodeOf *p = item->processes[i];

		for (size_t k = 0; k < p->n_anonymous; k++) {
			if (!is_kernels(p->anonymous[k]))
				judge_fail(&c, "process %u: %llu bytes at 0x%llx (%s)", p->pid,
					   (unsigned long long)p->anonymous[k]->length,
					   (unsigned long long)p->anonymous[k]->start,
					   judge_text(p->anonymous[k]->protection));
		}
	}
	judge_end(&c);
}

/* MI item 8: the code that is in memory. */
void judge_code(const struct judging *j)
{
	const struct policy_code *code = j->rules->code;

	if (!code)
		return;
	if (code->files == CODE_FILES_MANIFEST)
		judge_files(j, code);
	if (judge_wanted(code->deleted))
		judge_deleted(j, code);
	if (judge_wanted(code->modified_text))
		judge_modified(j, code);
	judge_anonymous(j, code);
}
