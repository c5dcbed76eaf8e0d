/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <string.h>

#include "judge.h"

/* Time nodes that fell due and were not measured. */
void judge_missed_nodes(const struct judging *j)
{
	const Assay__TimeNode *node = j->mi->node;
	uint64_t missed = 0;

	if (node && __builtin_add_overflow(node->missed_uncounted, node->n_missed, &missed))
		missed = UINT64_MAX;
	judge_at_most(j, j->rules->missed_nodes, "dynamic.missed_nodes", node, missed,
		      judge_count_text);
}

/* Each MI item: the collector that answers for it, its number, and who judges it. */
static const struct {
	const char *collector; /* NULL: what assayd itself writes into every MI */
	int item;
	void (*judge)(const struct judging *j);
} judges[] = {
	{ "start_time", 1, judge_start_time },
	{ "resources", 2, judge_resources },
	{ "network", 3, judge_network },
	{ "storage", 4, judge_storage },
	{ "environment", 5, judge_environment },
	{ "logs", 6, judge_logs },
	{ "static_files", 7, judge_static_files },
	{ "code", 8, judge_code },
	{ "kernel", 10, judge_kernel },
	{ NULL, 18, judge_processes },
	{ "credentials", 18, judge_credentials },
	{ "machine", 23, judge_machine },
	{ "descriptors", 24, judge_descriptors },
	{ NULL, 16, judge_missed_nodes },
};

const Assay__CollectorStatus *judge_status_of(const Assay__Mi *mi, const char *collector)
{
	for (size_t i = 0; collector && i < mi->n_collectors; i++) {
		if (strcmp(judge_text(mi->collectors[i]->name), collector) == 0)
			return mi->collectors[i];
	}
	return NULL;
}

void policy_judge_dynamic(const struct policy *p, const struct mi *mi, const struct mi *previous,
			  int64_t now_s, struct appraisal *a)
{
	struct judging j = {
		.policy = p,
		.rules = p->form->dynamic,
		.mi = mi->msg,
		.previous = previous ? previous->msg : NULL,
		.now_s = now_s,
		.a = a,
	};

	if (!j.rules) {
		appraisal_refuse(a, "dynamic", "rules for dynamic measurements",
				 "the policy has none");
		return;
	}
	judge_references(&j);
	for (size_t i = 0; i < ARRAY_LEN(judges); i++) {
		j.collector = judges[i].collector;
		j.status = judge_status_of(j.mi, j.collector);
		judges[i].judge(&j);
	}
}

void policy_judge_static(const struct policy *p, struct view manifest_text, int64_t now_s,
			 struct appraisal *a)
{
	static const char rule[] = "static.manifest",
			  expected[] = "the files of the reference values";
	static const struct policy_rule enforce;
	struct judging j = { .policy = p, .now_s = now_s, .a = a };
	struct judge_check c;

	j.n_references = policy_references(p, now_s, &j.references);
	if (!judge_begin(&c, &j, p->form->static_rules ? &p->form->static_rules->rule : &enforce,
			 JUDGE_ABSENCE, rule, expected, true))
		return;
	judge_manifest(&c, &j, manifest_text);
	judge_end(&c);
}
