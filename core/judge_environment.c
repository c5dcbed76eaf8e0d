/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool matches_any(char *const *patterns, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	}
	return false;
}

static uint32_t pid_at(const Assay__Mi *mi, size_t i)
{
	return mi->environment->processes[i]->pid;
}

/* deny: no name that matches; only: no name that does not. */
static void judge_names(const struct judging *j, const struct policy_rule *rule,
			char *const *patterns, size_t n, bool wanted, const char *path,
			const char *expected)
{
	const Assay__Environment *item = j->mi->environment;
	struct judge_check c;

	if (n == 0 || !judge_begin(&c, j, rule, JUDGE_ABSENCE, path, expected, item))
		return;
	judge_covers(&c, item->n_processes, pid_at);
	for (size_t i = 0; i < item->n_processes; i++) {
		const Assay__EnvironmentOf *e = item->processes[i];

		for (size_t k = 0; k < e->n_names; k++) {
			if (matches_any(patterns, n, judge_text(e->names[k])) != wanted)
				judge_fail(&c, "process %u has %s", e->pid,
					   judge_text(e->names[k]));
		}
	}
	judge_end(&c);
}

static const Assay__Variable *variable_of(const Assay__EnvironmentOf *e, const char *name)
{
	for (size_t i = 0; i < e->n_variables; i++) {
		if (strcmp(judge_text(e->variables[i]->name), name) == 0)
			return e->variables[i];
	}
	return NULL;
}

static bool has_name(const Assay__EnvironmentOf *e, const char *name)
{
	for (size_t i = 0; i < e->n_names; i++) {
		if (strcmp(judge_text(e->names[i]), name) == 0)
			return true;
	}
	return false;
}

static void check_equal(struct judge_check *c, const Assay__EnvironmentOf *e,
			const struct policy_equal *equal, const struct digest *wanted)
{
	const Assay__Variable *v = variable_of(e, equal->name);
	bool same;

	if (!v && has_name(e, equal->name)) {
		judge_unchecked(c, "the value of %s is not recorded (environment: record)",
				equal->name);
		return;
	}
	if (!v) {
		judge_fail(c, "process %u does not have %s", e->pid, equal->name);
		return;
	}
	/* The digest, where there is one: with hash_only the value is left out. */
	if (v->sha256.len > 0)
		same = view_equal(view_of(v->sha256.data, v->sha256.len), digest_view(wanted));
	else
		same = strcmp(judge_text(v->value), equal->value) == 0;
	if (!same && judge_text(v->value)[0])
		judge_fail(c, "process %u has %s=%s", e->pid, equal->name, v->value);
	else if (!same)
		judge_fail(c, "process %u has another value of %s", e->pid, equal->name);
}

static void judge_equal(const struct judging *j, const struct policy_rule *rule,
			const struct policy_equal *equal)
{
	const Assay__Environment *item = j->mi->environment;
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;
	struct digest wanted;

	snprintf(expected, sizeof(expected), "%.100s=%.150s", equal->name, equal->value);
	if (!judge_begin(&c, j, rule, JUDGE_VALUE, "dynamic.environment.equal", expected, item))
		return;
	judge_covers(&c, item->n_processes, pid_at);
	if (digest_of(HASH_SHA256, view_text(equal->value), &wanted) < 0)
		judge_unchecked(&c, "no memory");
	else
		for (size_t i = 0; i < item->n_processes; i++)
			check_equal(&c, item->processes[i], equal, &wanted);
	judge_end(&c);
}

/* Where a program wrote over its environment to show another name, this rule does not fit it. */
static void judge_unchanged(const struct judging *j, const struct policy_rule *rule)
{
	const Assay__Environment *item = j->mi->environment;
	struct judge_check c;

	if (!judge_begin(&c, j, rule, JUDGE_ABSENCE, "dynamic.environment.unchanged",
			 "the environment that exec laid out", item))
		return;
	judge_covers(&c, item->n_processes, pid_at);
	for (size_t i = 0; i < item->n_processes; i++) {
		const Assay__EnvironmentOf *e = item->processes[i];
		const char *name = e->n_only_now > 0 ? judge_text(e->only_now[0]) : NULL;

		if (e->changed && name)
			judge_fail(&c, "process %u changed it, now with %s", e->pid, name);
		else if (e->changed)
			judge_fail(&c, "process %u changed it", e->pid);
		else if (!e->executed_seen)
			judge_missing(&c, "what process %u was executed with was not seen",
				      e->pid);
	}
	judge_end(&c);
}

/* MI item 5: environment variables of every process. */
void judge_environment(const struct judging *j)
{
	const struct policy_environment *e = j->rules->environment;

	if (!e)
		return;
	judge_names(j, &e->rule, e->deny, e->n_deny, false, "dynamic.environment.deny",
		    "none of the denied variables");
	judge_names(j, &e->rule, e->only, e->n_only, true, "dynamic.environment.only",
		    "only the listed variables");
	if (e->unchanged == FORM_TRUE)
		judge_unchanged(j, &e->rule);
	for (size_t i = 0; i < e->n_equal; i++)
		judge_equal(j, &e->rule, &e->equal[i]);
}
