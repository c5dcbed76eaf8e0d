/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "judge_code.h"

bool judge_code_is_probe(const Assay__AnonymousCode *a)
{
	return strcmp(judge_text(a->name), "[uprobes]") == 0;
}

/* Mapped into every process by the kernel itself. */
static bool is_kernels(const Assay__AnonymousCode *a)
{
	return strcmp(judge_text(a->name), "[vdso]") == 0 ||
	       strcmp(judge_text(a->name), "[vsyscall]") == 0;
}

const Assay__File *judge_code_file(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_files ? mi->files[index - 1] : NULL;
}

static uint32_t pid_at(const Assay__Mi *mi, size_t i)
{
	return mi->code->processes[i]->pid;
}

bool judge_code_begin(struct judge_check *c, const struct judging *j,
		      const struct policy_rule *rule, const char *path, const char *expected)
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
			const Assay__File *f = judge_code_file(mi, index);

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
	const struct policy_code *rule = c->j->rules->code;
	struct view sha256 = view_of(f->sha256.data, f->sha256.len);
	const char *path = judge_text(f->path);
	enum judge_reference found;

	if (sha256.len == 0) {
		judge_unchecked(c, "%s was not hashed: %s", path,
				judge_text(f->error)[0] ? f->error : "it does not say why");
		return;
	}
	for (size_t i = 0; i < rule->n_allow; i++) {
		if (view_equal(sha256, digest_view(&rule->digests[i])))
			return;
	}
	if (rule->files == CODE_FILES_LISTED) {
		judge_fail(c, "%s, whose digest is not listed", path);
		return;
	}
	found = judge_reference_of(c->j, path, sha256);
	if (found == REFERENCE_NONE)
		judge_fail(c, "%s, which is not in it", path);
	else if (found == REFERENCE_OTHER)
		judge_fail(c, "%s with another digest", path);
}

static void judge_files(const struct judging *j, const struct policy_code *rule)
{
	bool listed = rule->files == CODE_FILES_LISTED;
	struct judge_check c;

	if (!judge_code_begin(&c, j, &rule->rule, "dynamic.code.files",
			      listed ? "code from files with listed digests only"
				     : "code from files of the manifest only"))
		return;
	if (!listed && j->n_references == 0)
		judge_unchecked(&c, "the policy has no reference manifest");
	else
		each_file(&c, check_file);
	judge_end(&c);
}

static void check_memory(struct judge_check *c, const Assay__File *f)
{
	if (!f->regular_fs && !f->remote)
		judge_fail(c, "%s, a file in memory", judge_text(f->path));
}

static void check_remote(struct judge_check *c, const Assay__File *f)
{
	if (f->remote)
		judge_fail(c, "%s, which is on %s", judge_text(f->path),
			   judge_text(f->filesystem)[0] ? f->filesystem
							: "a file system that is not mounted");
}

/* A check of the files that code is mapped from, under a setting of its own. */
static void judge_each_file(const struct judging *j, const struct policy_code *code,
			    enum policy_setting setting, const char *path, const char *expected,
			    void (*on_file)(struct judge_check *c, const Assay__File *f))
{
	struct policy_rule rule = judge_setting(setting, &code->rule);
	struct judge_check c;

	if (!judge_wanted(setting) || !judge_code_begin(&c, j, &rule, path, expected))
		return;
	each_file(&c, on_file);
	judge_end(&c);
}

static void check_deleted(struct judge_check *c, const Assay__File *f)
{
	/* While an update is installed, what it replaced stays mapped until the restart. */
	if (f->deleted && !(c->j->n_references > 1 &&
			    judge_reference_of(c->j, judge_text(f->path),
					       view_of(f->sha256.data, f->sha256.len)) ==
				    REFERENCE_SAME))
		judge_fail(c, "%s, which is no longer reachable", judge_text(f->path));
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
	if (!judge_code_begin(&c, j, &rule, "dynamic.code.jit", expected))
		return;
	if (bytes > jit->bytes || regions > jit->regions)
		judge_fail(&c, "%s bytes in %llu regions", quantity_size_text(bytes, size),
			   (unsigned long long)regions);
	judge_end(&c);
}

static bool is_wx(const char *protection)
{
	return strchr(judge_text(protection), 'w') && strchr(judge_text(protection), 'x');
}

/* Memory that can be written and executed at once, a compiler's or not, of a file or not. */
static void judge_wx(const struct judging *j, const struct policy_code *code)
{
	struct policy_rule rule = judge_setting(code->jit->wx, &code->rule);
	struct judge_check c;

	if (!judge_code_begin(&c, j, &rule, "dynamic.code.jit.wx",
			      "no memory both writable and executable"))
		return;
	for (size_t i = 0; i < j->mi->code->n_processes; i++) {
		const Assay__CodeOf *p = j->mi->code->processes[i];

		for (size_t k = 0; k < p->n_anonymous; k++) {
			const Assay__AnonymousCode *a = p->anonymous[k];

			if (is_wx(a->protection))
				judge_fail(&c, "process %u: %llu bytes at 0x%llx (%s)", p->pid,
					   (unsigned long long)a->length,
					   (unsigned long long)a->start, a->protection);
		}
		for (size_t k = 0; k < p->n_mappings; k++) {
			const Assay__Mapping *m = p->mappings[k];
			const Assay__File *f = judge_code_file(j->mi, m->file);

			if (is_wx(m->protection))
				judge_fail(&c, "process %u: %llu bytes at 0x%llx (%s) of %s",
					   p->pid, (unsigned long long)m->length,
					   (unsigned long long)m->start, m->protection,
					   f ? judge_text(f->path) : "an unknown file");
		}
	}
	judge_end(&c);
}

static void judge_anonymous(const struct judging *j, const struct policy_code *code)
{
	const Assay__Code *item = j->mi->code;
	struct policy_rule rule = judge_setting(code->anonymous, &code->rule);
	uint64_t bytes = 0, regions = 0;
	struct judge_check c;
	bool limits, within;

	for (size_t i = 0; item && i < item->n_processes; i++) {
		for (size_t k = 0; k < item->processes[i]->n_anonymous; k++) {
			const Assay__AnonymousCode *a = item->processes[i]->anonymous[k];

			if (is_kernels(a) || judge_code_is_probe(a))
				continue;
			regions++;
			if (__builtin_add_overflow(bytes, a->length, &bytes))
				bytes = UINT64_MAX;
		}
	}
	/* The envelope, if it has limits that let anything pass, stands in the place of a denial.
	 */
	limits = code->jit && (code->jit->max_bytes || code->jit->max_regions);
	within = limits && code->jit->bytes > 0 && code->jit->regions > 0;
	if (limits && (within || !judge_wanted(code->anonymous)))
		judge_jit(j, code, bytes, regions);
	if (within || !judge_wanted(code->anonymous) ||
	    !judge_code_begin(&c, j, &rule, "dynamic.code.anonymous",
			      "no executable memory without a file"))
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
	if (code->files == CODE_FILES_MANIFEST || code->files == CODE_FILES_LISTED)
		judge_files(j, code);
	judge_each_file(j, code, code->deleted, "dynamic.code.deleted",
			"no code from deleted files", check_deleted);
	judge_each_file(j, code, code->memory_files, "dynamic.code.memory_files",
			"no code from files in memory", check_memory);
	judge_each_file(j, code, code->remote_files, "dynamic.code.remote_files",
			"no code that a program or another machine serves", check_remote);
	judge_anonymous(j, code);
	if (code->jit && judge_wanted(code->jit->wx))
		judge_wx(j, code);
	judge_objects(j, code);
}
