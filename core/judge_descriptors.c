/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <string.h>

static void check_own(struct judge_check *c, const Assay__Descriptors *item, const char *kind)
{
	for (size_t i = 0; i < item->n_own; i++) {
		const Assay__Descriptor *d = item->own[i];

		if (strcmp(judge_text(d->kind), kind) == 0)
			judge_fail(c, "descriptor %u of process %u: %s", d->number, d->pid,
				   judge_text(d->detail));
	}
	if (item->own_uncounted > 0)
		judge_unchecked(c, "%llu descriptors are not in the list",
				(unsigned long long)item->own_uncounted);
}

static void check_foreign(struct judge_check *c, const Assay__Descriptors *item, const char *kind)
{
	for (size_t i = 0; i < item->n_foreign; i++) {
		const Assay__Holder *h = item->foreign[i];

		if (strcmp(judge_text(h->kind), kind) != 0)
			continue;
		if (h->target)
			judge_fail(c, "process %u (%s, user %u) has %s of process %u%s", h->pid,
				   judge_text(h->comm), h->uid, judge_text(h->detail), h->target,
				   h->writable ? ", writable" : "");
		else
			judge_fail(c, "process %u (%s, user %u) has %s", h->pid,
				   judge_text(h->comm), h->uid, judge_text(h->detail));
	}
	if (item->foreign_uncounted > 0)
		judge_unchecked(c, "%llu holders are not in the list",
				(unsigned long long)item->foreign_uncounted);
}

/* What the application holds open, and what others hold of it. */
void judge_descriptors(const struct judging *j)
{
	const struct policy_descriptors *rules = j->rules->descriptors;
	const Assay__Descriptors *item = j->mi->descriptors;
	struct judge_check c;

	for (size_t i = 0; rules && i < HELD_KINDS; i++) {
		const struct policy_held_kind *kind = &policy_held_kinds[i];
		struct policy_rule rule = judge_setting(rules->settings[i], &rules->rule);

		if (!judge_wanted(rules->settings[i]) ||
		    !judge_begin(&c, j, &rule, JUDGE_ABSENCE, kind->path, kind->expected, item))
			continue;
		if (i < HELD_OWN)
			check_own(&c, item, kind->kind);
		else
			check_foreign(&c, item, kind->kind);
		judge_end(&c);
	}
}
