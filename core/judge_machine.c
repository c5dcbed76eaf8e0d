/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* A clock that is disciplined moves by little against the time since boot; this is a step. */
#define CLOCK_STEP_NS INT64_C(1000000000)

static const Assay__Setting *setting_of(const Assay__Machine *m, const char *name)
{
	for (size_t i = 0; i < m->n_settings; i++) {
		if (strcmp(judge_text(m->settings[i]->name), name) == 0)
			return m->settings[i];
	}
	return NULL;
}

/* Why a part of the item is not there; NULL: it is. */
static const char *absence(const Assay__Machine *m, const char *part)
{
	size_t len = strlen(part);

	for (size_t i = 0; i < m->n_absent; i++) {
		const char *text = judge_text(m->absent[i]);

		if (strncmp(text, part, len) == 0 && text[len] == ':')
			return text;
	}
	return NULL;
}

static void check_sysctl(struct judge_check *c, const struct policy_sysctl *rule,
			 const Assay__Setting *s)
{
	const char *value = judge_text(s->value);
	uint64_t n;

	if (rule->equal && strcmp(value, rule->equal) != 0)
		judge_fail(c, "%s", value);
	if (!rule->has_min && !rule->has_max)
		return;
	/* A negative number (perf_event_paranoid knows one) is below every minimum. */
	if (value[0] == '-' && quantity_count(value + 1, &n) == 0) {
		if (rule->has_min)
			judge_fail(c, "%s", value);
		return;
	}
	if (quantity_count(value, &n) < 0)
		judge_unchecked(c, "\"%s\" is not a number", value);
	else if ((rule->has_min && n < rule->min) || (rule->has_max && n > rule->max))
		judge_fail(c, "%s", value);
}

static void judge_sysctl(const struct judging *j, const struct policy_sysctl *rule)
{
	const Assay__Machine *item = j->mi->machine;
	char path[JUDGE_TEXT_MAX], expected[JUDGE_TEXT_MAX];
	const Assay__Setting *s;
	struct judge_check c;
	size_t at = 0;

	snprintf(path, sizeof(path), "dynamic.machine.sysctl.%s", rule->name);
	if (rule->has_min)
		at += (size_t)snprintf(expected + at, sizeof(expected) - at, "at least %llu ",
				       (unsigned long long)rule->min);
	if (rule->has_max)
		at += (size_t)snprintf(expected + at, sizeof(expected) - at, "at most %llu ",
				       (unsigned long long)rule->max);
	snprintf(expected + at, sizeof(expected) - at, "%.150s", rule->equal ? rule->equal : "");
	if (!judge_begin(&c, j, &rule->rule, JUDGE_VALUE, path, expected, item))
		return;
	s = setting_of(item, rule->name);
	if (!s)
		judge_unchecked(&c, "the setting is not measured");
	else if (s->absent)
		judge_fail(&c, "the kernel has no such setting");
	else
		check_sysctl(&c, rule, s);
	judge_end(&c);
}

/* Begins a check of one part. False: over. */
static bool begin(struct judge_check *c, const struct judging *j, const struct policy_rule *rule,
		  enum judge_form form, const char *path, const char *expected, const char *part)
{
	const char *why;

	if (!judge_begin(c, j, rule, form, path, expected, j->mi->machine))
		return false;
	why = absence(j->mi->machine, part);
	if (!why)
		return true;
	judge_unchecked(c, "%s", why);
	judge_end(c);
	return false;
}

static void judge_swap(const struct judging *j, const struct policy_machine *rules)
{
	struct policy_rule rule = judge_setting(rules->swap, &rules->rule);
	const Assay__Machine *m = j->mi->machine;
	struct judge_check c;

	if (!judge_wanted(rules->swap) || !begin(&c, j, &rule, JUDGE_VALUE, "dynamic.machine.swap",
						 "no swap area in use", "swaps"))
		return;
	for (size_t i = 0; i < m->n_swaps; i++)
		judge_fail(&c, "%s", judge_text(m->swaps[i]));
	judge_end(&c);
}

static void judge_taint(const struct judging *j, const struct policy_machine *rules)
{
	struct policy_rule rule = judge_setting(rules->taint, &rules->rule);
	struct judge_check c;

	if (!judge_wanted(rules->taint) || !begin(&c, j, &rule, JUDGE_VALUE,
						  "dynamic.machine.taint", "no taint", "taint"))
		return;
	if (j->mi->machine->taint != 0)
		judge_fail(&c, "%llu", (unsigned long long)j->mi->machine->taint);
	judge_end(&c);
}

static void judge_probes(const struct judging *j, const struct policy_machine *rules)
{
	struct policy_rule rule = judge_setting(rules->probes, &rules->rule);
	const Assay__Machine *m = j->mi->machine;
	struct judge_check c;

	if (!judge_wanted(rules->probes) ||
	    !begin(&c, j, &rule, JUDGE_ABSENCE, "dynamic.machine.probes",
		   "no probes in kernel or programs", "probes"))
		return;
	for (size_t i = 0; i < m->n_probes; i++)
		judge_fail(&c, "%s", judge_text(m->probes[i]));
	judge_end(&c);
}

static void judge_modules(const struct judging *j, const struct policy_machine *rules)
{
	bool none = rules->modules == MODULES_NONE;
	const Assay__Machine *m = j->mi->machine, *before;
	struct judge_check c;

	if ((!none && rules->modules != MODULES_UNCHANGED) ||
	    !begin(&c, j, &rules->rule, JUDGE_VALUE, "dynamic.machine.modules",
		   none ? "no modules" : "the modules of before", "modules"))
		return;
	before = j->previous ? j->previous->machine : NULL;
	if (none && m->modules > 0)
		judge_fail(&c, "%llu modules", (unsigned long long)m->modules);
	else if (!none && j->previous && !before)
		judge_unchecked(&c, "the measurement before does not know them");
	else if (!none && before &&
		 (m->modules != before->modules ||
		  !view_equal(view_of(m->modules_sha256.data, m->modules_sha256.len),
			      view_of(before->modules_sha256.data, before->modules_sha256.len))))
		judge_fail(&c, "others: %llu, before %llu", (unsigned long long)m->modules,
			   (unsigned long long)before->modules);
	judge_end(&c);
}

static void judge_lockdown(const struct judging *j, const struct policy_machine *rules)
{
	bool whole = rules->lockdown == LOCKDOWN_CONFIDENTIALITY;
	const char *is;
	struct judge_check c;

	if ((!whole && rules->lockdown != LOCKDOWN_INTEGRITY) ||
	    !begin(&c, j, &rules->rule, JUDGE_VALUE, "dynamic.machine.lockdown",
		   whole ? "confidentiality" : "integrity or confidentiality", "lockdown"))
		return;
	is = judge_text(j->mi->machine->lockdown);
	if (strcmp(is, "confidentiality") != 0 && (whole || strcmp(is, "integrity") != 0))
		judge_fail(&c, "%s", is[0] ? is : "the kernel has none");
	judge_end(&c);
}

static bool allowed_tag(const struct policy_foreign_bpf *rule, const Assay__BpfProgram *p)
{
	for (size_t i = 0; i < rule->n_tags; i++) {
		if (view_equal(view_of(p->tag.data, p->tag.len),
			       view_of(rule->values[i], sizeof(rule->values[i]))))
			return true;
	}
	return false;
}

static void judge_bpf(const struct judging *j, const struct policy_machine *rules)
{
	const struct policy_foreign_bpf *b = rules->bpf;
	const Assay__Machine *m = j->mi->machine;
	struct policy_rule rule;
	struct judge_check c;

	if (!b || !judge_wanted(b->foreign))
		return;
	rule = judge_setting(b->foreign, &rules->rule);
	if (!begin(&c, j, &rule, JUDGE_ABSENCE, "dynamic.machine.bpf",
		   "no BPF programs but assayd's and those of the listed tags", "programs"))
		return;
	for (size_t i = 0; i < m->n_programs; i++) {
		const Assay__BpfProgram *p = m->programs[i];
		char tag[17] = "";

		if (allowed_tag(b, p))
			continue;
		if (p->tag.len == 8)
			hex_encode(p->tag.data, p->tag.len, tag);
		judge_fail(&c, "program %u %s (%s, tag %s) of user %u", p->id, judge_text(p->name),
			   judge_text(p->type), tag, p->uid);
	}
	if (m->programs_uncounted > 0)
		judge_unchecked(&c, "%llu programs are not in the list",
				(unsigned long long)m->programs_uncounted);
	judge_end(&c);
}

static void judge_cpus(const struct judging *j, const struct policy_machine *rules)
{
	const Assay__Machine *m = j->mi->machine, *before;
	struct judge_check c;

	if (rules->cpus != KEPT_UNCHANGED ||
	    !begin(&c, j, &rules->rule, JUDGE_VALUE, "dynamic.machine.cpus",
		   "the processors of before", "cpus_online"))
		return;
	before = j->previous ? j->previous->machine : NULL;
	if (j->previous && !before)
		judge_unchecked(&c, "the measurement before does not know them");
	else if (before && strcmp(judge_text(m->cpus_online), judge_text(before->cpus_online)) != 0)
		judge_fail(&c, "%s, before %s", judge_text(m->cpus_online),
			   judge_text(before->cpus_online));
	judge_end(&c);
}

static void judge_clock(const struct judging *j, const struct policy_machine *rules)
{
	const Assay__Machine *m = j->mi->machine, *before;
	struct judge_check c;
	int64_t moved;

	if (rules->clock != KEPT_UNCHANGED ||
	    !begin(&c, j, &rules->rule, JUDGE_VALUE, "dynamic.machine.clock",
		   "a clock that was not set", "clock"))
		return;
	before = j->previous ? j->previous->machine : NULL;
	if (j->previous && !before)
		judge_unchecked(&c, "the measurement before does not know it");
	else if (before && (__builtin_sub_overflow(m->clock_offset_ns, before->clock_offset_ns,
						   &moved) ||
			    moved > CLOCK_STEP_NS || moved < -CLOCK_STEP_NS))
		judge_fail(&c, "it was set by %lld ms",
			   (long long)(m->clock_offset_ns / 1000000 -
				       before->clock_offset_ns / 1000000));
	judge_end(&c);
}

/* What of the machine weakens the measurement. */
void judge_machine(const struct judging *j)
{
	const struct policy_machine *rules = j->rules->machine;

	if (!rules)
		return;
	for (size_t i = 0; i < rules->n_sysctls; i++)
		judge_sysctl(j, &rules->sysctls[i]);
	judge_swap(j, rules);
	judge_taint(j, rules);
	judge_probes(j, rules);
	judge_modules(j, rules);
	judge_lockdown(j, rules);
	judge_bpf(j, rules);
	judge_cpus(j, rules);
	judge_clock(j, rules);
}
