/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>

static void judge_number(const struct judging *j, const struct policy_processes *rule)
{
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;

	snprintf(expected, sizeof(expected), "at most %llu processes",
		 (unsigned long long)rule->max_value);
	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.processes.max", expected,
			 j->mi->n_processes > 0))
		return;
	if (j->mi->n_processes > rule->max_value)
		judge_fail(&c, "%zu processes", j->mi->n_processes);
	judge_end(&c);
}

static void judge_users(const struct judging *j, const struct policy_processes *rule)
{
	struct judge_check c;

	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.processes.users",
			 "processes of the listed users only", j->mi->n_processes > 0))
		return;
	for (size_t i = 0; i < j->mi->n_processes; i++) {
		const Assay__Process *p = j->mi->processes[i];
		bool listed = false;

		for (size_t k = 0; k < rule->n_users && !listed; k++)
			listed = rule->uids[k] == p->uid;
		if (!listed)
			judge_fail(&c, "process %u of user %u", p->pid, p->uid);
	}
	judge_end(&c);
}

/* The table of processes that the items refer to. */
void judge_processes(const struct judging *j)
{
	const struct policy_processes *rule = j->rules->processes;

	if (!rule)
		return;
	if (rule->max)
		judge_number(j, rule);
	if (rule->n_users > 0)
		judge_users(j, rule);
}
