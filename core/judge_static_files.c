/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

static bool is_digest_of_one(const struct judging *j, const Assay__StaticFiles *item)
{
	for (size_t i = 0; i < j->n_references; i++) {
		if (view_equal(view_of(item->sha384.data, item->sha384.len),
			       digest_view(&j->references[i].m)))
			return true;
	}
	return false;
}

/* While an update is installed, some files are of before and some of after it. */
static void check_mixed(struct judge_check *c, const struct judging *j,
			const Assay__StaticFiles *item)
{
	struct digest m;

	if (!judge_text(item->manifest)[0])
		judge_unchecked(c, "another digest, and the list of files is not with it");
	else if (digest_of(HASH_SHA384, view_text(item->manifest), &m) < 0)
		judge_unchecked(c, "no memory");
	else if (!view_equal(view_of(item->sha384.data, item->sha384.len), digest_view(&m)))
		judge_fail(c, "a list of files that has not the digest beside it");
	else
		judge_manifest(c, j, view_text(item->manifest));
}

static void check_files(struct judge_check *c, const struct judging *j)
{
	const Assay__StaticFiles *item = j->mi->static_files;
	bool one = is_digest_of_one(j, item);

	if (j->n_references == 0) {
		judge_unchecked(c, "the policy has no reference manifest");
		return;
	}
	if (!one && j->n_references > 1) {
		check_mixed(c, j, item);
		return;
	}
	if (!one)
		judge_fail(c, "a manifest with another digest");
	/* In a window these are those of the update. */
	for (size_t i = 0; i < item->n_changed && j->n_references == 1; i++)
		judge_fail(c, "%s has changed", judge_text(item->changed[i]));
}

bool judge_files_expected(const struct judging *j)
{
	static const struct policy_rule enforce;
	struct appraisal unheard;
	struct judging own = *j;
	struct judge_check c;
	bool good;

	own.collector = "static_files";
	own.status = judge_status_of(j->mi, own.collector);
	own.a = &unheard;
	appraisal_init(&unheard);
	good = judge_begin(&c, &own, &enforce, JUDGE_ABSENCE, "", "", j->mi->static_files);
	if (good)
		check_files(&c, &own);
	good = good && c.failed == 0;
	appraisal_done(&unheard);
	return good;
}

/* MI item 7: the files are still those of the reference manifest. */
void judge_static_files(const struct judging *j)
{
	const struct policy_unchanged *rule = j->rules->static_files;
	struct judge_check c;

	if (!rule || rule->unchanged != FORM_TRUE)
		return;
	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.static_files.unchanged",
			 "the files of the reference manifest", j->mi->static_files))
		return;
	check_files(&c, j);
	judge_end(&c);
}
