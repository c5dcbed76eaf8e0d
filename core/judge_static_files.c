/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

/* MI item 7: the files are still those of the reference manifest. */
void judge_static_files(const struct judging *j)
{
	const struct policy_unchanged *rule = j->rules->static_files;
	const Assay__StaticFiles *item = j->mi->static_files;
	struct judge_check c;

	if (!rule || rule->unchanged != FORM_TRUE)
		return;
	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.static_files.unchanged",
			 "the files of the reference manifest", item))
		return;
	if (!j->policy->has_manifest)
		judge_unchecked(&c, "the policy has no reference manifest");
	else if (!view_equal(view_of(item->sha384.data, item->sha384.len),
			     digest_view(&j->policy->manifest_m)))
		judge_fail(&c, "a manifest with another digest");
	for (size_t i = 0; i < item->n_changed; i++)
		judge_fail(&c, "%s has changed", judge_text(item->changed[i]));
	judge_end(&c);
}
