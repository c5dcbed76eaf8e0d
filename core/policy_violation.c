/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"
#include "violation.h"

/*
 * What the policy thinks of a violation is what it thinks of the same thing in MI: the rule's
 * setting, and the mode of the mappings it stands in.
 */

static enum policy_answer answer_of(enum policy_setting setting, const struct policy_rule *outer)
{
	struct policy_rule rule;

	if (!judge_wanted(setting))
		return POLICY_SILENT;
	rule = judge_setting(setting, outer);
	return rule.mode == MODE_WARN ? POLICY_WARNS : POLICY_DENIES;
}

enum policy_answer policy_on_violation(const struct policy *p, uint8_t kind, int64_t now_s)
{
	enum policy_answer answer;
	const struct policy_dynamic *d = p->form->dynamic;
	const struct policy_kernel *k = d ? d->kernel : NULL;
	const struct policy_code *c = d ? d->code : NULL;

	switch (kind) {
	case VIOLATION_FOREIGN_ACCESS:
		return k ? answer_of(k->foreign_access, &k->rule) : POLICY_SILENT;
	case VIOLATION_FILE_CHANGED:
		answer = k ? answer_of(k->events[KERNEL_FILE_CHANGED], &k->rule) : POLICY_SILENT;
		/* An update changes files; MI tells whether they are its files now. */
		return answer == POLICY_DENIES && policy_update_open(p, now_s) ? POLICY_WARNS
									       : answer;
	case VIOLATION_MODIFIED_TEXT:
		return c ? answer_of(c->modified_text, &c->rule) : POLICY_SILENT;
	case VIOLATION_LOST:
		/* How many were lost only MI tells; a policy that bears none need not know. */
		if (!k || !k->lost || k->lost->value > 0)
			return POLICY_SILENT;
		return k->lost->rule.mode == MODE_WARN ? POLICY_WARNS : POLICY_DENIES;
	}
	return POLICY_DENIES; /* of a later assayd */
}
