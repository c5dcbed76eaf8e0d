/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

/* MI item 1: the application is still the process that was started. */
void judge_start_time(const struct judging *j)
{
	static const char expected[] = "the process that was started, alive";
	const struct policy_unchanged *rule = j->rules->start_time;
	const Assay__StartTime *now = j->mi->start_time, *before;
	struct judge_check c;

	if (!rule || rule->unchanged != FORM_TRUE)
		return;
	if (!judge_begin(&c, j, &rule->rule, JUDGE_VALUE, "dynamic.start_time.unchanged", expected,
			 now))
		return;
	if (!now->root_alive)
		judge_fail(&c, "process %u, which was started, has ended", now->root_pid);
	before = j->previous ? j->previous->start_time : NULL;
	if (j->previous && !before)
		judge_unchecked(&c, "the measurement before has no start time");
	if (before &&
	    (before->boottime_ns != now->boottime_ns || before->root_pid != now->root_pid ||
	     before->root_start_boottime_ns != now->root_start_boottime_ns))
		judge_fail(&c, "process %u started at %llu ns, before it was process %u at %llu ns",
			   now->root_pid, (unsigned long long)now->root_start_boottime_ns,
			   before->root_pid, (unsigned long long)before->root_start_boottime_ns);
	judge_end(&c);
}
