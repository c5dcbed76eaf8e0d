/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_VTPM_CHECK_H
#define ASSAY_VERIFIER_EVIDENCE_VTPM_CHECK_H

#include "evidence_vtpm.h"
#include "hcl_report.h"
#include "svsm_manifest.h"
#include "tpm_quote.h"

/*
 * One piece of evidence of a vTPM on its way through the checks: evidence_vtpm.c has those of
 * both forms and of Azure's, evidence_svsm.c an SVSM's. A check gives 1: held; 0: refused, and the
 * reason is in a; a negative errno.
 */
struct vtpm_check {
	const struct evidence_input *in;
	struct appraisal *a;
	struct hcl_report hcl;		/* Azure */
	struct svsm_manifest manifest;	/* SVSM */
	uint8_t binding[EVIDENCE_DATA]; /* the report data that the chip must have signed */
	struct tpm_public ak;
	struct tpm_quote quote;
	struct evidence_result result;
};

/* The chip's own platform judges its report, over c->binding. what: that the report is over. */
MUST_CHECK int vtpm_judge_chip(struct vtpm_check *c, const struct evidence_ops *ops,
			       struct view report, const char *what);

/* True if the report is of an SVSM's vTPM. */
bool svsm_is(const Assay__ChipReport *report);

MUST_CHECK int svsm_check_sizes(struct vtpm_check *c);
MUST_CHECK int svsm_check_manifest(struct vtpm_check *c);
MUST_CHECK int svsm_check_hardware(struct vtpm_check *c);
MUST_CHECK int svsm_check_ek(struct vtpm_check *c);
MUST_CHECK int svsm_check_ak(struct vtpm_check *c);

/* evidence_ops.verify of both forms. */
MUST_CHECK int vtpm_verify(const struct evidence_input *in, struct appraisal *a,
			   struct evidence_result *ret);

#endif
