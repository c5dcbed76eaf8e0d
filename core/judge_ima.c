/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ima_files.h"

/*
 * IMA as a second witness: the kernel hashed the files itself, when they were executed or mapped,
 * and says so under the TPM's signature. What assayd measured is held against that.
 */

/* Below platforms.PLATFORM.ima. */
static const char unseen_rule[] = "witness.unseen_file";
static const char other_rule[] = "witness.other_digest";
static const char unlisted_rule[] = "witness.unlisted_file";

struct comparing {
	struct judging j;
	struct policy_rule rule;
	const char *platform;
	char path[APPRAISAL_RULE_MAX]; /* of the check that is being made */
	const struct policy_ima *ima;
	const struct ima_files *seen;
	bool blanks; /* a path of the reference values has one, which IMA spells '_' */
};

static bool excepted(const struct comparing *x, const char *path)
{
	for (uint32_t i = 0; i < x->ima->n_except; i++) {
		if (judge_is_within(path, x->ima->except[i]))
			return true;
	}
	return false;
}

static const char *short_hex(const struct digest *d, char to[DIGEST_HEX_MAX])
{
	digest_hex(d, to);
	to[d->size > 8 ? 16 : 2 * d->size] = '\0';
	return to;
}

/* What IMA knew of a path, in words. */
static const char *content_of(const struct ima_file *f, char to[DIGEST_HEX_MAX])
{
	return f->sha256.size > 0 ? short_hex(&f->sha256, to) : f->why;
}

/* Calls on_file once for each file of the MI that code is mapped from or a process executes. */
static void each_executed(struct judge_check *c, struct comparing *x,
			  void (*on_file)(struct judge_check *c, struct comparing *x,
					  const Assay__File *f))
{
	CLEANUP(cleanup_mem) bool *wanted = NULL;
	const Assay__Mi *mi = x->j.mi;

	wanted = calloc(mi->n_files + 1, sizeof(*wanted));
	if (!wanted) {
		judge_unchecked(c, "no memory");
		return;
	}
	for (size_t i = 0; mi->code && i < mi->code->n_processes; i++) {
		const Assay__CodeOf *p = mi->code->processes[i];

		for (size_t k = 0; k < p->n_mappings; k++) {
			if (p->mappings[k]->file <= mi->n_files)
				wanted[p->mappings[k]->file] = true;
		}
	}
	for (size_t i = 0; i < mi->n_processes; i++) {
		if (mi->processes[i]->executable <= mi->n_files)
			wanted[mi->processes[i]->executable] = true;
	}
	for (size_t i = 1; i <= mi->n_files; i++) {
		if (wanted[i] && !excepted(x, judge_text(mi->files[i - 1]->path)))
			on_file(c, x, mi->files[i - 1]);
	}
}

static enum ima_seen find(const struct comparing *x, const Assay__File *f,
			  const struct ima_file **ret_other)
{
	return ima_files_find(x->seen, judge_text(f->path), view_of(f->sha256.data, f->sha256.len),
			      ret_other);
}

static void check_unseen(struct judge_check *c, struct comparing *x, const Assay__File *f)
{
	const struct ima_file *other = NULL;
	enum ima_seen seen = find(x, f, &other);

	if (f->sha256.len == 0)
		judge_unchecked(c, "%s was not hashed: %s", judge_text(f->path),
				judge_text(f->error)[0] ? f->error : "it does not say why");
	else if (seen == IMA_SEEN_NOT)
		judge_fail(c, "%s is executed, and is not in IMA's list", f->path);
	else if (seen == IMA_SEEN_OTHER && other->sha256.size == 0)
		judge_unchecked(c, "%s is in IMA's list with a digest %s only", f->path,
				other->why);
}

static void check_other(struct judge_check *c, struct comparing *x, const Assay__File *f)
{
	char measured[DIGEST_HEX_MAX], hex[DIGEST_HEX_MAX];
	const struct ima_file *other = NULL;
	struct digest own;

	/* One that was not hashed unseen_file tells of. */
	if (digest_from(HASH_SHA256, view_of(f->sha256.data, f->sha256.len), &own) == 0 &&
	    find(x, f, &other) == IMA_SEEN_OTHER && other->sha256.size > 0)
		judge_fail(c, "%s: assayd measured %s, and IMA saw %s", f->path,
			   short_hex(&own, measured), short_hex(&other->sha256, hex));
}

static bool spelt_alike(const char *ours, const char *imas)
{
	for (; *ours && *imas; ours++, imas++) {
		if ((*ours == ' ' ? '_' : *ours) != *imas)
			return false;
	}
	return *ours == *imas;
}

/* The entry of a path as IMA spells it. */
static const struct manifest_entry *entry_of(const struct comparing *x, const struct manifest *m,
					     const char *path)
{
	const struct manifest_entry *e = manifest_find(m, path);

	if (e || !x->blanks || !strchr(path, '_'))
		return e;
	for (size_t i = 0; i < m->n; i++) {
		if (spelt_alike(m->entries[i].path, path))
			return &m->entries[i];
	}
	return NULL;
}

/*
 * Among all reference values, also those whose time is over: the list goes back to the start of
 * the machine, and what was good then is no contradiction now.
 */
static const struct policy_reference *references(const struct comparing *x, size_t *ret_n)
{
	*ret_n = 1 + x->j.policy->form->n_updates;
	return x->j.policy->references;
}

static enum judge_reference reference_of(const struct comparing *x, const struct ima_file *f)
{
	enum judge_reference found = REFERENCE_NONE;
	const struct policy_reference *all;
	size_t n;

	all = references(x, &n);
	for (size_t i = 0; i < n; i++) {
		const struct manifest_entry *e = entry_of(x, &all[i].manifest, f->path);

		if (!e)
			continue;
		if (e->type == MANIFEST_FILE && digest_equal(&e->sha256, &f->sha256))
			return REFERENCE_SAME;
		found = REFERENCE_OTHER;
	}
	return found;
}

/* True if the path is below a directory of the reference values, all of which was measured. */
static bool is_below_listed(const struct comparing *x, const char *path)
{
	CLEANUP(cleanup_mem) char *above = strdup(path);
	const struct policy_reference *all;
	size_t n;
	char *slash;

	all = references(x, &n);
	while (above && (slash = strrchr(above, '/')) && slash != above) {
		*slash = '\0';
		for (size_t i = 0; i < n; i++) {
			const struct manifest_entry *e = entry_of(x, &all[i].manifest, above);

			if (e && e->type == MANIFEST_DIR)
				return true;
		}
	}
	/* Without memory it is named rather than passed over. */
	return !above;
}

static void each_seen(struct judge_check *c, struct comparing *x,
		      void (*on_file)(struct judge_check *c, struct comparing *x,
				      const struct ima_file *f))
{
	for (size_t i = 0; i < ima_files_count(x->seen); i++) {
		const struct ima_file *f = ima_files_at(x->seen, i);

		if (!excepted(x, f->path))
			on_file(c, x, f);
	}
}

/*
 * A digest of another algorithm, or of fs-verity, contradicts nothing; a file that was open for
 * writing may have had any content.
 */
static void check_history(struct judge_check *c, struct comparing *x, const struct ima_file *f)
{
	char hex[DIGEST_HEX_MAX];

	if (f->sha256.size == 0 && !f->violation)
		return;
	if (reference_of(x, f) == REFERENCE_OTHER)
		judge_fail(c, "IMA saw %s, which is in the reference values, %s%s", f->path,
			   f->sha256.size ? "as " : "", content_of(f, hex));
}

static void check_unlisted(struct judge_check *c, struct comparing *x, const struct ima_file *f)
{
	if (reference_of(x, f) == REFERENCE_NONE && is_below_listed(x, f->path))
		judge_fail(c, "IMA saw %s, which is not in the reference values", f->path);
}

static const char *path_of(struct comparing *x, const char *rule)
{
	snprintf(x->path, sizeof(x->path), "platforms.%s.ima.%s", x->platform, rule);
	return x->path;
}

static bool begin(struct judge_check *c, struct comparing *x, const char *rule,
		  const char *expected)
{
	return judge_begin(c, &x->j, &x->rule, JUDGE_ABSENCE, path_of(x, rule), expected, true);
}

static void compare_unseen(struct comparing *x)
{
	struct judge_check c;

	if (!x->j.mi || !begin(&c, x, unseen_rule, "executed files that IMA measured too"))
		return;
	each_executed(&c, x, check_unseen);
	judge_end(&c);
}

static void compare_other(struct comparing *x)
{
	struct judge_check c;

	if (!begin(&c, x, other_rule, "files with the content that IMA measured"))
		return;
	each_seen(&c, x, check_history);
	if (x->j.mi)
		each_executed(&c, x, check_other);
	judge_end(&c);
}

static void compare_unlisted(struct comparing *x)
{
	struct judge_check c;

	if (!begin(&c, x, unlisted_rule, "no other file in measured directories"))
		return;
	each_seen(&c, x, check_unlisted);
	judge_end(&c);
}

static bool has_blanks(const struct comparing *x)
{
	const struct policy_reference *all;
	size_t n;

	all = references(x, &n);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < all[i].manifest.n; k++) {
			if (strchr(all[i].manifest.entries[k].path, ' '))
				return true;
		}
	}
	return false;
}

void policy_judge_ima(const struct policy *p, const char *platform, const struct mi *mi,
		      const struct ima_files *seen, const char *why, int64_t now_s,
		      struct appraisal *a)
{
	const struct policy_ima *ima = policy_ima_of(p, platform);
	struct comparing x = { .platform = platform, .ima = ima, .seen = seen };

	if (!ima || ima->witness == POLICY_IMA_WITNESS_OFF)
		return;
	x.rule.mode = ima->witness == POLICY_IMA_WITNESS_WARN ? MODE_WARN : MODE_ENFORCE;
	x.j = (struct judging){ .policy = p, .mi = mi ? mi->msg : NULL, .now_s = now_s, .a = a };
	if (!seen) {
		appraisal_fail(a, x.rule.mode == MODE_WARN, path_of(&x, "witness"),
			       "IMA's list, proven by the quoted PCR 10",
			       "could not be checked: %s", why);
		return;
	}
	x.blanks = has_blanks(&x);
	/* Code comes from its collector: what it did not see was not compared. */
	x.j.collector = mi ? "code" : NULL;
	x.j.status = mi ? judge_status_of(mi->msg, "code") : NULL;
	compare_unseen(&x);
	x.j.collector = NULL;
	x.j.status = NULL;
	compare_other(&x);
	compare_unlisted(&x);
}
