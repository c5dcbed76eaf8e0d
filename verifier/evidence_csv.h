/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_CSV_H
#define ASSAY_VERIFIER_EVIDENCE_CSV_H

#include "csv_report.h"
#include "evidence.h"

/* Hygon CSV reports, judged. */

/* One report on its way through the checks of evidence_csv.c. */
struct csv_check {
	const struct evidence_input *in;
	struct appraisal *a;
	const struct policy_csv *rules;
	struct csv_report report;
	struct csv_certificate pek; /* lends from report */
	struct digest chip_id;	    /* SHA-256 of what is signed of the CEK's certificate */
	struct evidence_result result;
};

/* The policy on a genuine report, in evidence_csv_policy.c. */
void csv_judge_policy(struct csv_check *c);

/* 1: the log, where there is one, replays to the registers; 0: refused; a negative errno. */
MUST_CHECK int csv_check_event_log(struct csv_check *c);

/* The report's fields as JSON, nothing checked but its form. -EBADMSG. -ENOMEM. */
MUST_CHECK int csv_show(struct view raw, json_t **ret);

#endif
