/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_TPM_FILES_H
#define ASSAY_VERIFIER_EVIDENCE_TPM_FILES_H

#include "evidence.h"

/*
 * A TPM's quote in files: TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC, register values as text
 * ("INDEX HEX", one a line), event log; each known by its content. What there is for the ops
 * of the platform, besides the verdict in a session.
 */
bool tpm_detect(struct view report);
int tpm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
	       Assay__ChipReport *report, const char **ret_why);
int tpm_show(const Assay__ChipReport *report, json_t **ret);

/* Nobody enrolled the key: what is judged is what was signed with it, and that a TPM made it. */
int tpm_verify_alone(const struct evidence_input *in, struct appraisal *a,
		     struct evidence_result *ret);

/* 1: the text is register values, which are added to the report; 0: it is something else. -ENOMEM.
 */
MUST_CHECK int tpm_take_pcrs(struct view text, struct arena *arena, Assay__ChipReport *report);

#endif
