/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_CCA_H
#define ASSAY_VERIFIER_EVIDENCE_CCA_H

#include "cca_token.h"
#include "evidence.h"

/* Tokens of Arm CCA, judged. */

/* One token on its way through the checks of evidence_cca.c. */
struct cca_check {
	const struct evidence_input *in;
	struct appraisal *a;
	const struct policy_cca *rules;
	struct cca_token token;
	struct evidence_result result;
};

/* 1: a platform key (CPAK) that is believed made the platform token; 0: refused; a negative errno. */
MUST_CHECK int cca_check_platform_key(struct cca_check *c);

/* The policy on a genuine token, in evidence_cca_policy.c. */
void cca_judge_policy(struct cca_check *c);

/* "secured" and so on: in which state of its life the platform is; "invalid" for a value of none. */
const char *cca_lifecycle_name(uint64_t lifecycle);

/* The bit of enum policy_cca_lifecycle; 0: a value of none. */
unsigned int cca_lifecycle_bit(uint64_t lifecycle);

/* Text of a token for people: what is not plain ASCII is a question mark. Cut to fit. */
const char *cca_text(struct view text, char to[CCA_TEXT_MAX + 1]);

/* The token's claims as JSON, nothing checked but their form. -EBADMSG. -ENOMEM. */
MUST_CHECK int cca_show(struct view raw, json_t **ret);

#endif
