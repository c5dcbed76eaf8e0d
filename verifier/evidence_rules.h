/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_RULES_H
#define ASSAY_VERIFIER_EVIDENCE_RULES_H

#include "evidence.h"

/* The forms that rules of several platforms have: a pass or a reason into a for each. */

/* seen, of v->size bytes (at most EVIDENCE_DATA), is one of the values; no values: not judged. */
void evidence_rule_values(struct appraisal *a, const char *rule, const struct policy_values *v,
			  const uint8_t *seen);

/* The flags that p requires are set in seen, those that it denies are not. */
void evidence_rule_flags(struct appraisal *a, const char *rule, const struct policy_flag *flags,
			 const struct policy_flags *p, uint64_t seen);

#endif
