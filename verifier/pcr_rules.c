/* SPDX-License-Identifier: Apache-2.0 */
#include "pcr_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "eventlog.h"

#define VALUES_SHOWN 4 /* accepted values of a PCR that a reason has room for */

int pcr_rules_judge_selection(const struct pcr_rules *x, const struct evidence_result *result,
			      struct appraisal *a)
{
	const struct digest *values;
	char expected[64];
	int held = 1;

	for (unsigned int i = 0; i < EVIDENCE_PCRS; i++) {
		if (x->values(x->policy, i, &values) == 0 || result->pcrs_quoted >> i & 1)
			continue;
		snprintf(expected, sizeof(expected), "PCR %u of the %s bank in the quote", i,
			 hash_name(result->bank));
		appraisal_refuse(a, "evidence.pcrs", expected,
				 "a quote over the PCRs 0x%06x of that bank", result->pcrs_quoted);
		held = 0;
	}
	if (held)
		appraisal_pass(a);
	return held;
}

#define EXIT_PCR (1u << 5) /* where leaving the boot services is told (PFP, 3.3.4.6) */

/* Each quoted PCR that the log speaks of is what its replay gives. */
static int compare_replay(const struct eventlog_registers *bank,
			  const struct evidence_result *result, struct appraisal *a)
{
	uint32_t both = bank->touched & result->pcrs_quoted;
	char expected[DIGEST_HEX_MAX + 16], hex[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	int held = 1;

	for (unsigned int i = 0; i < EVIDENCE_PCRS; i++) {
		if (!(both >> i & 1) || digest_equal(&bank->registers[i], &result->pcrs[i]))
			continue;
		snprintf(expected, sizeof(expected), "PCR %u: %s", i,
			 digest_hex(&result->pcrs[i], hex));
		appraisal_refuse(a, "evidence.event_log", expected, "its replay gives %s",
				 digest_hex(&bank->registers[i], seen));
		held = 0;
	}
	return held;
}

/*
 * A log that is there must be true, asked for or not: one that contradicts the quote is
 * broken evidence. A bank that it does not have only matters where the policy asks.
 */
static int judge_replay(const struct pcr_rules *x, const struct eventlog_replay *replay,
			struct evidence_result *result, struct appraisal *a)
{
	bool required = x->event_log >= EVENT_LOG_REQUIRE;
	const struct eventlog_registers *bank = eventlog_bank_of(replay, result->bank);

	if (!bank || bank->incomplete || !(bank->touched & result->pcrs_quoted)) {
		appraisal_fail(a, !required, "evidence.event_log",
			       "a log of the quoted PCRs and their bank", "%s of bank %s",
			       !bank		  ? "no digests"
			       : bank->incomplete ? "records without a digest"
						  : "no record of a quoted PCR",
			       hash_name(result->bank));
		return !required;
	}
	if (!compare_replay(bank, result, a))
		return 0;
	result->event_log_replayed = true;
	result->boot_services_left = bank->boot_services_left & result->pcrs_quoted & EXIT_PCR;
	if (x->event_log == EVENT_LOG_COMPLETE && !result->boot_services_left) {
		appraisal_refuse(a, "evidence.event_log",
				 "both actions of ExitBootServices in the quoted PCR 5", "%s",
				 result->pcrs_quoted & EXIT_PCR ? "a log without them"
								: "a quote without PCR 5");
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

int pcr_rules_judge_event_log(const struct pcr_rules *x, struct view log,
			      struct evidence_result *result, struct appraisal *a)
{
	CLEANUP(cleanup_mem) struct eventlog_replay *replay = NULL;
	const char *why;
	int r;

	if (log.len == 0) {
		if (x->event_log < EVENT_LOG_REQUIRE)
			return 1;
		appraisal_refuse(a, "evidence.event_log", "the firmware's event log", "none");
		return 0;
	}
	/* Too large for the stack of a small thread. */
	replay = malloc(sizeof(*replay));
	if (!replay)
		return -ENOMEM;
	r = eventlog_replay(log, replay, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(a, "evidence.event_log", "an event log in TCG form", "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	return judge_replay(x, replay, result, a);
}

static bool value_accepted(const struct digest *values, size_t n, const struct digest *seen)
{
	for (size_t i = 0; i < n; i++) {
		if (digest_equal(&values[i], seen))
			return true;
	}
	return false;
}

static void list_values(const struct digest *values, size_t n, char *to, size_t size)
{
	char hex[DIGEST_HEX_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n && i < VALUES_SHOWN && len < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%s%s", i ? " or " : "",
					digest_hex(&values[i], hex));
	if (n > VALUES_SHOWN && len < size)
		snprintf(to + len, size - len, " or one of %zu more", n - VALUES_SHOWN);
}

int pcr_rules_judge_values(const struct pcr_rules *x, const struct evidence_result *result,
			   struct appraisal *a)
{
	char rule[APPRAISAL_RULE_MAX], expected[APPRAISAL_TEXT_MAX], seen[DIGEST_HEX_MAX];
	const struct digest *values;
	size_t n;
	int held = 1;

	for (unsigned int i = 0; i < EVIDENCE_PCRS; i++) {
		n = x->values(x->policy, i, &values);
		if (n == 0)
			continue;
		if (value_accepted(values, n, &result->pcrs[i])) {
			appraisal_pass(a);
			continue;
		}
		snprintf(rule, sizeof(rule), "%s.%u", x->path, i);
		list_values(values, n, expected, sizeof(expected));
		appraisal_refuse(a, rule, expected, "%s", digest_hex(&result->pcrs[i], seen));
		held = 0;
	}
	return held;
}
