/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_PCR_RULES_H
#define ASSAY_VERIFIER_PCR_RULES_H

#include "evidence.h"

/*
 * What a policy says of a TPM's registers, once the quote over them is known to be genuine:
 * alike for a TPM of its own and for one that a chip's report vouches for. The functions
 * return 1: it holds; 0: refused, and the reason is in a; a negative errno.
 */
struct pcr_rules {
	const char *path; /* of the registers in the policy: "platforms.tpm.pcrs" */
	const struct policy *policy;
	/* As policy_tpm_pcr. */
	size_t (*values)(const struct policy *p, unsigned int index, const struct digest **ret);
	enum policy_event_log event_log;
};

/* "evidence.pcrs": every PCR of which the policy speaks is in the quote, in the result's bank. */
MUST_CHECK int pcr_rules_judge_selection(const struct pcr_rules *x,
					 const struct evidence_result *result, struct appraisal *a);

/* "evidence.event_log": it is there if it must be, and replays to the quoted registers;
 * complete: it tells in PCR 5, and that is quoted, that the boot services were left. */
MUST_CHECK int pcr_rules_judge_event_log(const struct pcr_rules *x, struct view log,
					 struct evidence_result *result, struct appraisal *a);

/* The policy's path: each register has a value that is accepted. */
MUST_CHECK int pcr_rules_judge_values(const struct pcr_rules *x,
				      const struct evidence_result *result, struct appraisal *a);

#endif
