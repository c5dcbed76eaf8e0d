/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const Assay__EventCounter *counter_of(const Assay__KernelEvents *item, const char *kind)
{
	for (size_t i = 0; item && i < item->n_counters; i++) {
		if (strcmp(judge_text(item->counters[i]->kind), kind) == 0)
			return item->counters[i];
	}
	return NULL;
}

/*
 * Events of the kind since the measurement that was judged before this one: evidence
 * between the two may have been dropped, and its window with it.
 */
static uint64_t since_previous(const struct judging *j, const Assay__EventCounter *now,
			       const char *kind)
{
	const Assay__EventCounter *before =
		j->previous ? counter_of(j->previous->kernel, kind) : NULL;

	if (!before || before->total > now->total || now->total - before->total < now->window)
		return now->window;
	return now->total - before->total;
}

/* The same for what was lost, as long as it is one daemon that counts. */
static uint64_t lost_since_previous(const struct judging *j, const Assay__Loss *now)
{
	const Assay__Loss *before =
		j->previous && j->previous->kernel ? j->previous->kernel->loss : NULL;

	if (!before || before->daemon_epoch != now->daemon_epoch ||
	    before->dropped > now->dropped || now->dropped - before->dropped < now->window_dropped)
		return now->window_dropped;
	return now->dropped - before->dropped;
}

static void judge_lost(const struct judging *j, const struct policy_limit *limit)
{
	const Assay__KernelEvents *item = j->mi->kernel;
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;
	uint64_t lost;

	snprintf(expected, sizeof(expected), "at most %llu events lost",
		 (unsigned long long)limit->value);
	/* A loss makes the item partial; how much of it is bearable is what this rule says. */
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, "dynamic.kernel.lost", expected, item))
		return;
	lost = item->loss ? lost_since_previous(j, item->loss) : 0;
	if (!item->loss)
		judge_unchecked(&c, "there is no account of loss");
	else if (lost > limit->value)
		judge_fail(&c, "%llu lost", (unsigned long long)lost);
	else if (!item->loss->complete && lost == 0 && limit->rule.partial != PARTIAL_ACCEPT)
		judge_unchecked(&c, "the account of loss is not complete");
	judge_end(&c);
}

/* The last event of the kind that is not of its harmless form, which only reads state. */
static const Assay__KernelEvent *last_attach(const Assay__KernelEvents *item, const char *kind)
{
	static const char reads[] = "read";

	for (size_t i = item->n_events; i > 0; i--) {
		const Assay__KernelEvent *e = item->events[i - 1];

		if (strcmp(judge_text(e->kind), kind) == 0 &&
		    strncmp(judge_text(e->detail), reads, strlen(reads)) != 0)
			return e;
	}
	return NULL;
}

static void judge_foreign(const struct judging *j, const struct policy_kernel *k)
{
	static const char kind[] = "foreign_access", checks[] = "foreign_access_checks";
	struct policy_rule rule = judge_setting(k->foreign_access, &k->rule);
	const Assay__KernelEvents *item = j->mi->kernel;
	const Assay__EventCounter *counter = counter_of(item, kind);
	const Assay__EventCounter *unknown = counter_of(item, checks);
	const Assay__KernelEvent *e;
	struct judge_check c;
	uint64_t n;

	if (!judge_begin(&c, j, &rule, JUDGE_ABSENCE, "dynamic.kernel.foreign_access",
			 "no access by other processes", item))
		return;
	/* The counter decides; events, of which the ring may have lost some, only explain. */
	n = counter ? since_previous(j, counter, kind) : 0;
	e = last_attach(item, kind);
	if (!counter)
		judge_unchecked(&c, "it is not counted");
	else if (n > 0 && e)
		judge_fail(&c, "%llu, the last known by process %u at process %u: %s",
			   (unsigned long long)n, e->actor, e->pid, judge_text(e->detail));
	else if (n > 0)
		judge_fail(&c, "%llu, without detail", (unsigned long long)n);
	/* Through a path, as /proc/PID/mem: the kernel's check does not say whose memory it was. */
	n = unknown ? since_previous(j, unknown, checks) : 0;
	if (n > 0)
		judge_missing(&c, "%llu on this machine at a process that is not known",
			      (unsigned long long)n);
	judge_end(&c);
}

static bool may_exec(const struct policy_paths *rule, const char *path)
{
	for (size_t i = 0; i < rule->n_allow; i++) {
		if (fnmatch(rule->allow[i], path, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

static void judge_exec(const struct judging *j, const struct policy_paths *rule)
{
	static const char kind[] = "exec";
	const Assay__KernelEvents *item = j->mi->kernel;
	const Assay__EventCounter *counter = counter_of(item, kind);
	uint64_t listed = 0, n;
	struct judge_check c;

	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.kernel.exec",
			 "only the listed programs executed", item))
		return;
	for (size_t i = 0; i < item->n_events; i++) {
		const Assay__KernelEvent *e = item->events[i];

		if (strcmp(judge_text(e->kind), kind) != 0)
			continue;
		listed++;
		if (!may_exec(rule, judge_text(e->detail)))
			judge_fail(&c, "process %u executed %s", e->pid, judge_text(e->detail));
	}
	n = counter ? since_previous(j, counter, kind) : 0;
	if (!counter)
		judge_unchecked(&c, "it is not counted");
	else if (n > listed)
		judge_missing(&c, "%llu programs are not in the list",
			      (unsigned long long)(n - listed));
	judge_end(&c);
}

static void judge_require(const struct judging *j, const struct policy_kernel *k)
{
	const Assay__KernelEvents *item = j->mi->kernel;
	struct judge_check c;

	if (!judge_begin(&c, j, &k->rule, JUDGE_VALUE, "dynamic.kernel.require",
			 "hooks and scans for what is required", item))
		return;
	for (size_t i = 0; i < k->n_require; i++) {
		bool covered = false;

		for (size_t n = 0; n < item->n_covers && !covered; n++)
			covered = strcmp(judge_text(item->covers[n]), k->require[i]) == 0;
		if (!covered)
			judge_fail(&c, "%s is not covered", k->require[i]);
	}
	judge_end(&c);
}

/* MI item 10: kernel events since the time node before. */
void judge_kernel(const struct judging *j)
{
	const struct policy_kernel *k = j->rules->kernel;

	if (!k)
		return;
	if (k->lost)
		judge_lost(j, k->lost);
	if (judge_wanted(k->foreign_access))
		judge_foreign(j, k);
	if (k->exec)
		judge_exec(j, k->exec);
	if (k->n_require > 0)
		judge_require(j, k);
}
