/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_SEV_SNP_H
#define ASSAY_VERIFIER_EVIDENCE_SEV_SNP_H

#include "evidence.h"
#include "evidence_sev_snp_certificate.h"
#include "evidence_sev_snp_report.h"

/* SEV-SNP reports, judged. */

/*
 * That the chip made the report, and that it is what the policy accepts: all but whether the
 * policy names the platform and what the report data stand for. raw may be the report of
 * another kind of evidence that rests on it. *ret has the report's fields once it could be
 * read; the return value alone says whether it is genuine: 0 where it is not, 1 where it is,
 * even where the policy does not accept it; a negative errno where it could not be judged.
 */
MUST_CHECK int snp_judge(const struct evidence_input *in, struct view raw, struct appraisal *a,
			 struct evidence_result *ret);

/* The rules of the policy on a genuine report; certificate: of the key that signed it. */
void snp_judge_policy(const struct policy_snp *rules, const struct snp_report *report,
		      const struct snp_certificate *certificate, struct appraisal *a);

/* The report's fields as JSON, nothing checked but its form. -EBADMSG. -ENOMEM. */
MUST_CHECK int snp_show(struct view raw, json_t **ret);

#endif
