/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_rules.h"

#include "ima_log.h"

static const char rule[] = "evidence.ima";

static int judge_violations(const struct policy_ima *ima, size_t violations, struct appraisal *a)
{
	bool deny = ima && ima->violations == POLICY_IMA_DENY;

	if (violations == 0) {
		appraisal_pass(a);
		return 1;
	}
	if (ima && ima->violations == POLICY_IMA_ALLOW)
		return 1;
	appraisal_fail(a, !deny, "platforms.tpm.ima.violations",
		       "no file measured while it was open for writing", "%zu of them", violations);
	return !deny;
}

/* A list that is there must be true, asked for or not, as with the firmware's. */
int ima_rules_judge(const struct policy_ima *ima, struct view log, struct evidence_result *result,
		    struct appraisal *a)
{
	bool required = ima && ima->log == POLICY_IMA_REQUIRE;
	struct ima_replay replay;
	char hex[DIGEST_HEX_MAX];
	const char *why;
	int r;

	if (log.len == 0) {
		if (!required)
			return 1;
		appraisal_refuse(a, "platforms.tpm.ima.log", "the kernel's list of measurements",
				 "none");
		return 0;
	}
	if (!(result->pcrs_quoted >> IMA_PCR & 1)) {
		appraisal_fail(a, !required, rule, "a quote over PCR 10, which proves the list",
			       "one over the PCRs 0x%06x", result->pcrs_quoted);
		return !required;
	}
	r = ima_replay(log, IMA_PCR, result->bank, &result->pcrs[IMA_PCR], &replay, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(a, rule, "a list as IMA writes it", "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	result->ima.entries = replay.entries;
	if (!replay.matched) {
		appraisal_refuse(a, rule, "a beginning whose replay is PCR 10 as it was quoted",
				 "%zu entries, and at their end %s", replay.entries,
				 digest_hex(&replay.value, hex));
		return 0;
	}
	result->ima.proven = replay.proven;
	result->ima.violations = replay.violations;
	appraisal_pass(a);
	return judge_violations(ima, replay.violations, a);
}
