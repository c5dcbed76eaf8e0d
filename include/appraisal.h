/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_APPRAISAL_H
#define ASSAY_APPRAISAL_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"

/*
 * The outcome of judging evidence (RFC 9334, 8.4: appraisal). It starts as
 * "not checked", which refuses like a failure; each check that was really made
 * is counted, and a check that fails leaves a reason.
 */

#define APPRAISAL_REASONS_MAX 64
#define APPRAISAL_RULE_MAX    96
#define APPRAISAL_TEXT_MAX    512

struct reason {
	char rule[APPRAISAL_RULE_MAX];         /* its path in the policy, or "evidence.signature" ... */
	char expected[APPRAISAL_TEXT_MAX];
	char seen[APPRAISAL_TEXT_MAX];
	bool warning; /* a rule that warns: recorded, does not refuse */
};

struct appraisal {
	struct reason *reasons;
	size_t n;
	size_t checks;   /* made, passed or not */
	size_t uncounted; /* reasons past APPRAISAL_REASONS_MAX; warnings are left out first */
	bool refused;    /* a check failed, or there was no memory for a reason */
	bool finished;   /* every check that applies was made */
};

void appraisal_init(struct appraisal *a);
void appraisal_done(struct appraisal *a);

/* A check was made and held. */
void appraisal_pass(struct appraisal *a);

/* A check failed, or could not be made: the evidence is refused. The texts are cut to fit. */
void appraisal_refuse(struct appraisal *a, const char *rule, const char *expected,
		      const char *seen_format, ...) PRINTF_LIKE(4, 5);

/* As above for a rule that may only warn. */
void appraisal_fail(struct appraisal *a, bool warn_only, const char *rule, const char *expected,
		    const char *seen_format, ...) PRINTF_LIKE(5, 6);

/* To be called when all checks were made. */
void appraisal_finish(struct appraisal *a);

/* The verdict: finished, at least one check made, none failed. */
bool appraisal_accepted(const struct appraisal *a);

#endif
