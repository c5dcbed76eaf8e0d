/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_IMA_RULES_H
#define ASSAY_VERIFIER_IMA_RULES_H

#include "evidence.h"

/*
 * The kernel's list of what it measured, once the quote over PCR 10 is known to be genuine:
 * "platforms.PLATFORM.ima" in the policy. policy may be NULL, or not speak of it: then nothing is
 * asked of the list but that it is true. It is the report's, from its byte ima_first on; known is
 * what it goes on from (NULL: nothing). 1: it holds; 0: refused, and the reason is in a; a negative
 * errno.
 */
MUST_CHECK int ima_rules_judge(const struct policy *policy, const char *platform,
			       const Assay__ChipReport *report, const struct ima_known *known,
			       struct evidence_result *result, struct appraisal *a);

#endif
