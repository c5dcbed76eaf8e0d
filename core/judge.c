/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static void note(const struct judge_check *c, const char *before, const char *format, va_list args)
	PRINTF_LIKE(3, 0);
static void note(const struct judge_check *c, const char *before, const char *format, va_list args)
{
	char said[APPRAISAL_TEXT_MAX];

	vsnprintf(said, sizeof(said), format, args);
	appraisal_fail(c->j->a, c->rule->mode == MODE_WARN, c->path, c->expected, "%s%s", before,
		       said);
}

void judge_fail(struct judge_check *c, const char *seen_format, ...)
{
	va_list args;

	if (++c->failed > JUDGE_NAMED_MAX)
		return;
	va_start(args, seen_format);
	note(c, "", seen_format, args);
	va_end(args);
}

static void unchecked(struct judge_check *c, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void unchecked(struct judge_check *c, const char *format, va_list args)
{
	if (++c->failed <= JUDGE_NAMED_MAX)
		note(c, "could not be checked: ", format, args);
}

void judge_unchecked(struct judge_check *c, const char *why_format, ...)
{
	va_list args;

	va_start(args, why_format);
	unchecked(c, why_format, args);
	va_end(args);
}

void judge_missing(struct judge_check *c, const char *why_format, ...)
{
	va_list args;

	if (c->accept_partial)
		return;
	va_start(args, why_format);
	unchecked(c, why_format, args);
	va_end(args);
}

bool judge_begin(struct judge_check *c, const struct judging *j, const struct policy_rule *rule,
		 enum judge_form form, const char *path, const char *expected, bool present)
{
	const Assay__CollectorStatus *s = j->status;
	const char *why = s && judge_text(s->why)[0] ? s->why : "it does not say why";

	*c = (struct judge_check){ .j = j, .rule = rule, .path = path, .expected = expected };
	c->accept_partial = rule->partial == PARTIAL_UNSET ? form == JUDGE_VALUE
							   : rule->partial == PARTIAL_ACCEPT;
	if (j->collector && !s)
		judge_unchecked(c, "nothing from the collector \"%s\"", j->collector);
	else if (s && s->state != ASSAY__COLLECTOR_STATUS__STATE__COMPLETE &&
		 s->state != ASSAY__COLLECTOR_STATUS__STATE__PARTIAL)
		judge_unchecked(c, "the collector \"%s\" failed: %s", j->collector, why);
	else if (!present)
		judge_unchecked(c, "the item is not in the measurement");
	else if (s && s->state == ASSAY__COLLECTOR_STATUS__STATE__PARTIAL)
		judge_missing(c, "the collector \"%s\" did not see everything: %s", j->collector,
			      why);
	return c->failed == 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void judge_covers(struct judge_check *c, size_t n,
		  uint32_t (*pid_at)(const Assay__Mi *mi, size_t i))
{
	CLEANUP(cleanup_mem) uint32_t *pids = NULL;
	const Assay__Mi *mi = c->j->mi;

	if (n == 0)
		judge_unchecked(c, "no process is in the item");
	pids = calloc(n + 1, sizeof(*pids));
	if (!pids) {
		judge_unchecked(c, "no memory");
		return;
	}
	for (size_t i = 0; i < n; i++)
		pids[i] = pid_at(mi, i);
	qsort(pids, n, sizeof(*pids), by_number);
	for (size_t i = 0; i < mi->n_processes; i++) {
		if (!bsearch(&mi->processes[i]->pid, pids, n, sizeof(*pids), by_number))
			judge_missing(c, "process %u is not in the item", mi->processes[i]->pid);
	}
}

void judge_end(struct judge_check *c)
{
	if (c->failed == 0)
		appraisal_pass(c->j->a);
	else if (c->failed > JUDGE_NAMED_MAX)
		appraisal_fail(c->j->a, c->rule->mode == MODE_WARN, c->path, c->expected,
			       "and %zu more", c->failed - JUDGE_NAMED_MAX);
}

const char *judge_count_text(uint64_t n, char to[QUANTITY_TEXT_MAX])
{
	snprintf(to, QUANTITY_TEXT_MAX, "%llu", (unsigned long long)n);
	return to;
}

void judge_at_most(const struct judging *j, const struct policy_limit *limit, const char *path,
		   bool present, uint64_t value,
		   const char *(*text)(uint64_t, char[QUANTITY_TEXT_MAX]))
{
	char expected[JUDGE_TEXT_MAX], shown[QUANTITY_TEXT_MAX];
	struct judge_check c;

	if (!limit)
		return;
	snprintf(expected, sizeof(expected), "at most %s", text(limit->value, shown));
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, path, expected, present))
		return;
	if (value > limit->value)
		judge_fail(&c, "%s", text(value, shown));
	judge_end(&c);
}

struct policy_rule judge_setting(enum policy_setting setting, const struct policy_rule *outer)
{
	struct policy_rule rule = *outer;

	if (setting == SETTING_WARN)
		rule.mode = MODE_WARN;
	return rule;
}
