/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "judge.h"

/*
 * Reference values: those of `static`, and of `updates`, each of which is good beside those before
 * it until its time, and alone of them after that.
 */

void policy_read_updates(struct yamldoc *d, struct policy_form *f)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	if (f->n_updates > 0 && !f->static_rules)
		yamldoc_problem(d, "updates", "expected the key static beside it, found none");
	for (size_t i = 0; i < f->n_updates; i++) {
		struct policy_update *u = &f->updates[i];

		snprintf(path, sizeof(path), "updates[%zu].until", i);
		if (quantity_instant(u->until, &u->until_s) < 0)
			yamldoc_problem(d, path, "expected " QUANTITY_INSTANT ", found %s",
					yamldoc_quoted(u->until, found));
		else if (i > 0 && u->until_s <= f->updates[i - 1].until_s)
			yamldoc_problem(d, path, "expected a time after that before it, found %s",
					yamldoc_quoted(u->until, found));
	}
}

const char *policy_manifest_file(const struct policy *p)
{
	return p->form->static_rules ? p->form->static_rules->manifest : NULL;
}

static int attach(struct policy_reference *to, struct view text, char **ret_error)
{
	CLEANUP(bytes_cleanup) struct bytes canonical = BYTES_INIT(MANIFEST_MAX);
	CLEANUP(manifest_done) struct manifest m;
	struct digest digest;
	char *why = NULL;
	int r;

	manifest_init(&m);
	r = manifest_read(text, &m);
	/* What is measured is compared with the canonical text, whatever tool wrote this one. */
	if (r == 0)
		r = manifest_write(&m, &canonical);
	if (r == 0)
		r = digest_of(HASH_SHA384, bytes_view(&canonical), &digest);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		if (asprintf(&why,
			     "expected an mtree manifest with full paths, found another text "
			     "(%s)",
			     strerror(-r)) < 0)
			return -ENOMEM;
		*ret_error = why;
		return -EINVAL;
	}
	manifest_done(&to->manifest);
	*to = (struct policy_reference){ .manifest = m, .m = digest, .attached = true };
	manifest_init(&m);
	return 0;
}

int policy_attach_manifest(struct policy *p, struct view text, char **ret_error)
{
	return attach(&p->references[0], text, ret_error);
}

const struct manifest *policy_manifest(const struct policy *p)
{
	return p->references[0].attached ? &p->references[0].manifest : NULL;
}

size_t policy_update_count(const struct policy *p)
{
	return p->form->n_updates;
}

const char *policy_update_file(const struct policy *p, size_t i)
{
	return i < p->form->n_updates ? p->form->updates[i].manifest : NULL;
}

int policy_attach_update(struct policy *p, size_t i, struct view text, char **ret_error)
{
	assert(i < p->form->n_updates);
	return attach(&p->references[1 + i], text, ret_error);
}

size_t policy_references(const struct policy *p, int64_t now_s, const struct policy_reference **ret)
{
	size_t first = 0, n = 1 + p->form->n_updates;

	for (size_t i = 0; i < p->form->n_updates; i++) {
		if (p->form->updates[i].until_s <= now_s)
			first = 1 + i;
	}
	/* One that its owner's machine did not find would otherwise pass for one with no files. */
	for (size_t i = first; i < n; i++) {
		if (!p->references[i].attached)
			return 0;
	}
	*ret = &p->references[first];
	return n - first;
}

bool policy_expects_m(const struct policy *p, int64_t now_s, struct view m)
{
	const struct policy_reference *references;
	size_t n = policy_references(p, now_s, &references);

	for (size_t i = 0; i < n; i++) {
		if (view_equal(m, digest_view(&references[i].m)))
			return true;
	}
	return false;
}

bool policy_update_open(const struct policy *p, int64_t now_s)
{
	const struct policy_reference *references;

	return policy_references(p, now_s, &references) > 1;
}

void judge_references(struct judging *j)
{
	const Assay__StaticFiles *item = j->mi->static_files;
	const Assay__CollectorStatus *s = judge_status_of(j->mi, "static_files");

	j->n_references = policy_references(j->policy, j->now_s, &j->references);
	if (!item || item->n_changed > 0 || !s ||
	    s->state != ASSAY__COLLECTOR_STATUS__STATE__COMPLETE)
		return;
	/* Started with the files of an update: whatever was before it is over for this run. */
	for (size_t i = j->n_references; i-- > 1;) {
		if (!view_equal(view_of(item->sha384.data, item->sha384.len),
				digest_view(&j->references[i].m)))
			continue;
		j->references += i;
		j->n_references -= i;
		return;
	}
}

enum judge_reference judge_reference_of(const struct judging *j, const char *path,
					struct view sha256)
{
	enum judge_reference found = REFERENCE_NONE;

	for (size_t i = 0; i < j->n_references; i++) {
		const struct manifest_entry *e = manifest_find(&j->references[i].manifest, path);

		if (!e || e->type != MANIFEST_FILE)
			continue;
		if (view_equal(sha256, digest_view(&e->sha256)))
			return REFERENCE_SAME;
		found = REFERENCE_OTHER;
	}
	return found;
}

/* Of a comparison with the first of the references: whether another has it as measured. */
struct comparing {
	struct judge_check *c;
	const struct judging *j;
};

static void ignore(void *arg, const struct manifest_entry *left, const struct manifest_entry *right,
		   const char *what)
{
}

static bool in_another(const struct judging *j, const char *path,
		       const struct manifest_entry *measured)
{
	for (size_t i = 1; i < j->n_references; i++) {
		const struct manifest_entry *e = manifest_find(&j->references[i].manifest, path);
		struct manifest one = { .entries = (struct manifest_entry *)e, .n = 1 };
		struct manifest other = { .entries = (struct manifest_entry *)measured, .n = 1 };

		if (!e || !measured) {
			if (!e && !measured)
				return true;
			continue;
		}
		if (manifest_compare(&one, &other, ignore, NULL) == 0)
			return true;
	}
	return false;
}

static void on_difference(void *arg, const struct manifest_entry *left,
			  const struct manifest_entry *right, const char *what)
{
	struct comparing *x = arg;

	if (in_another(x->j, left ? left->path : right->path, right))
		return;
	if (!right)
		judge_fail(x->c, "%s is missing", left->path);
	else if (!left)
		judge_fail(x->c, "%s is not in the reference values", right->path);
	else
		judge_fail(x->c, "%s has another %s", left->path, what);
}

void judge_manifest(struct judge_check *c, const struct judging *j, struct view text)
{
	struct comparing x = { c, j };
	struct manifest m;
	int r;

	manifest_init(&m);
	r = j->n_references > 0 ? manifest_read(text, &m) : 0;
	if (j->n_references == 0)
		judge_unchecked(c, "the policy has no reference manifest");
	else if (r < 0)
		judge_unchecked(c, "what was measured is not a manifest (%s)", strerror(-r));
	else
		manifest_compare(&j->references[0].manifest, &m, on_difference, &x);
	manifest_done(&m);
}
