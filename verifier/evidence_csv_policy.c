/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "evidence_ccel.h"
#include "evidence_csv.h"
#include "evidence_rules.h"

/* What is only a matter of what the owner accepts, and the firmware's event log. */

#define PATH	    "platforms.csv"
#define NUMBER_TEXT 32

static void judge_debug(const struct csv_check *c)
{
	if (!c->rules->debug && c->result.debug)
		appraisal_refuse(c->a, PATH ".debug", "deny",
				 "a guest policy that lets the host debug it (NODBG is not set)");
	else
		appraisal_pass(c->a);
}

static void judge_least(const struct csv_check *c, const char *rule, uint32_t least, uint32_t seen)
{
	char expected[NUMBER_TEXT];

	if (least == 0)
		return;
	if (seen >= least) {
		appraisal_pass(c->a);
		return;
	}
	snprintf(expected, sizeof(expected), "at least %u", least);
	appraisal_refuse(c->a, rule, expected, "%u", seen);
}

/* Register 0 is the measurement. A report without registers has none that could be accepted. */
static void judge_registers(const struct csv_check *c)
{
	char rule[NUMBER_TEXT];

	for (size_t i = 0; i < POLICY_CSV_RTMRS; i++) {
		const struct policy_values *v = &c->rules->rtmr[i];

		if (v->n == 0)
			continue;
		snprintf(rule, sizeof(rule), PATH ".rtmr%zu", i + 1);
		if (c->report.rtmr_version)
			evidence_rule_values(c->a, rule, v, c->report.rtmr[i + 1]);
		else
			appraisal_refuse(c->a, rule, "a report with runtime registers",
					 "one without");
	}
}

void csv_judge_policy(struct csv_check *c)
{
	const struct policy_csv *p = c->rules;
	const struct csv_report *r = &c->report;

	evidence_rule_values(c->a, PATH ".measurement", &p->measurement, r->measurement);
	judge_registers(c);
	evidence_rule_values(c->a, PATH ".user_public_key_digest", &p->user_public_key_digest,
			     r->user_public_key_digest);
	evidence_rule_values(c->a, PATH ".vm_id", &p->vm_id, r->vm_id);
	evidence_rule_values(c->a, PATH ".vm_version", &p->vm_version, r->vm_version);
	evidence_rule_values(c->a, PATH ".chip_id", &p->chip_id, c->chip_id.bytes);
	judge_debug(c);
	evidence_rule_flags(c->a, PATH ".guest_policy", policy_csv_guest_policy_flags,
			    &p->guest_policy, r->policy);
	judge_least(c, PATH ".version_min", p->version_min, r->version);
	judge_least(c, PATH ".build_min", p->build_min, r->build);
	if (p->event_log_required && !c->result.event_log_replayed)
		appraisal_refuse(c->a, PATH ".event_log",
				 "the firmware's event log (CCEL), replayed to the registers",
				 "none");
}

/*
 * The index of a record is that of the register (unlike TDX, where it is one more). Register 0 is
 * the launch's alone: a log that claims to have extended it is of something else. Registers 1 to 3
 * are the firmware's and the boot loader's.
 */
static const struct ccel_registers registers = {
	.alg = HASH_SM3,
	.known = ((1u << CSV_RTMRS) - 1) & ~1u,
	.index = 1,
	.first = 1,
	.last = CSV_RTMRS - 1,
	.no_digests = "it has no SM3 digests",
	.incomplete = "it has records without an SM3 digest",
};

/* A log that is there must be true, asked for or not; without registers it cannot be checked. */
int csv_check_event_log(struct csv_check *c)
{
	struct view log = view_of(c->in->report->event_log.data, c->in->report->event_log.len);
	struct eventlog_registers bank;
	const char *why;
	int r;

	if (log.len == 0)
		return 1; /* csv_judge_policy says whether one is needed */
	if (!c->report.rtmr_version) {
		appraisal_fail(c->a, true, "evidence.event_log",
			       "a report with runtime registers to replay it to",
			       "one without: the log could not be checked");
		return 1;
	}
	r = ccel_replay(&registers, log, &bank, &why);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(c->a, "evidence.event_log", "an event log in CCEL form", "%s",
				 why);
		return 0;
	}
	if (!ccel_judge(&registers, &bank, c->result.registers, c->a))
		return 0;
	c->result.event_log_replayed = true;
	appraisal_pass(c->a);
	return 1;
}
