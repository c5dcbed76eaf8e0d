/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_ccel.h"

#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"

static const char *fault_of(const struct ccel_registers *c, const struct eventlog_registers *bank)
{
	if (!bank)
		return c->no_digests;
	if (bank->incomplete)
		return c->incomplete;
	if (bank->touched & ~c->known)
		return "it speaks of registers that a guest does not extend";
	return NULL;
}

int ccel_replay(const struct ccel_registers *c, struct view log, struct eventlog_registers *ret,
		const char **ret_why)
{
	CLEANUP(cleanup_mem) struct eventlog_replay *all = malloc(sizeof(*all));
	const struct eventlog_registers *bank;
	int r;

	/* Too large for the stack of a small thread. */
	if (!all)
		return -ENOMEM;
	r = eventlog_replay(log, all, ret_why);
	if (r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	bank = eventlog_bank_of(all, c->alg);
	*ret_why = fault_of(c, bank);
	if (*ret_why)
		return 0;
	*ret = *bank;
	return 1;
}

bool ccel_judge(const struct ccel_registers *c, const struct eventlog_registers *replayed,
		const struct digest *values, struct appraisal *a)
{
	char expected[DIGEST_HEX_MAX + 16], hex[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest zero = digest_zero(c->alg);
	bool held = true;

	for (unsigned int i = c->first; i <= c->last; i++) {
		unsigned int index = c->index + i - c->first;
		bool spoken = replayed->touched >> index & 1;
		const struct digest *value = spoken ? &replayed->registers[index] : &zero;

		if ((!spoken && i == c->last) || digest_equal(value, &values[i]))
			continue;
		snprintf(expected, sizeof(expected), "RTMR%u: %s", i, digest_hex(&values[i], hex));
		appraisal_refuse(a, "evidence.event_log", expected, "its replay gives %s",
				 digest_hex(value, seen));
		held = false;
	}
	return held;
}
