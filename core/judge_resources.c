/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

/* Zero of both kinds means that it could not be read: a process that runs has memory. */
static void judge_memory(const struct judging *j, const struct policy_limit *limit,
			 const char *path, uint64_t bytes)
{
	struct judge_check c;

	if (!limit)
		return;
	if (j->mi->resources && bytes == 0 && j->mi->n_processes > 0) {
		if (judge_begin(&c, j, &limit->rule, JUDGE_VALUE, path, "a value", true))
			judge_unchecked(&c, "it could not be read");
		return;
	}
	judge_at_most(j, limit, path, j->mi->resources, bytes, quantity_size_text);
}

/* MI item 2: memory in use and CPU share. */
void judge_resources(const struct judging *j)
{
	const struct policy_dynamic *rules = j->rules;
	const Assay__Resources *item = j->mi->resources;

	if (rules->memory) {
		judge_memory(j, rules->memory->resident, "dynamic.memory.resident",
			     item ? item->resident_bytes : 0);
		judge_memory(j, rules->memory->proportional, "dynamic.memory.proportional",
			     item ? item->proportional_bytes : 0);
	}
	if (rules->cpu)
		judge_at_most(j, rules->cpu->share, "dynamic.cpu.share", item,
			      item ? item->cpu_share_milli : 0, quantity_milli_text);
}
