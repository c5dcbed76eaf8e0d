/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

static void judge_log(const struct judging *j, const struct policy_log *rule)
{
	const Assay__Logs *item = j->mi->logs;
	char expected[JUDGE_TEXT_MAX], path[APPRAISAL_RULE_MAX];
	uint64_t count = 0;
	bool searched = false;
	struct judge_check c;

	snprintf(path, sizeof(path), "dynamic.logs.%s", rule->pattern);
	snprintf(expected, sizeof(expected), "at most %llu lines", (unsigned long long)rule->max);
	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, path, expected, item))
		return;
	for (size_t i = 0; i < item->n_files; i++) {
		const Assay__LogFile *f = item->files[i];

		for (size_t k = 0; k < f->n_matches; k++) {
			if (strcmp(judge_text(f->matches[k]->pattern), rule->pattern) != 0)
				continue;
			searched = true;
			if (__builtin_add_overflow(count, f->matches[k]->count, &count))
				count = UINT64_MAX;
			if (judge_text(f->error)[0])
				judge_missing(&c, "%s: %s", judge_text(f->path), f->error);
		}
	}
	if (!searched)
		judge_unchecked(&c, "no log is searched for this pattern");
	else if (count > rule->max)
		judge_fail(&c, "%llu lines", (unsigned long long)count);
	judge_end(&c);
}

/* MI item 6: what the application's logs say. */
void judge_logs(const struct judging *j)
{
	for (size_t i = 0; i < j->rules->n_logs; i++)
		judge_log(j, &j->rules->logs[i]);
}
