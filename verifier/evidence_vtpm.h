/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_VTPM_H
#define ASSAY_VERIFIER_EVIDENCE_VTPM_H

#include "evidence.h"
#include "tpm_public.h"

/*
 * Evidence of a vTPM in the parts of a ChipReport: report is the TPMS_ATTEST, signature its
 * TPMT_SIGNATURE or the bare RSASSA signature with SHA-256, key the paravisor's report, pcrs
 * and event_log as of tpm, endorsements the chip's certificates and, on TDX, the quote. Of an
 * SVSM's: key is the attestation key's TPMT_PUBLIC, service_report the chip's report,
 * service_manifest what it covers.
 */

#define VTPM_RSA_MAX 512 /* bytes of a signature */

/* The parts from files. */
int vtpm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		Assay__ChipReport *report, const char **ret_why);

/* As evidence_svsm.c has them: of an SVSM's vTPM. */
int svsm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		Assay__ChipReport *report, const char **ret_why);
int svsm_show(const Assay__ChipReport *report, json_t **ret);

/*
 * A file that is the quote, its signature, register values or an event log into the report. 1:
 * taken; 0: it is something else; -EINVAL: a second one, *ret_why says of what; -ENOMEM.
 */
int vtpm_take_quote(const struct evidence_file *file, struct arena *arena,
		    Assay__ChipReport *report, const char **ret_why);

int vtpm_show(const Assay__ChipReport *report, json_t **ret);

/* True if the bytes begin as a TPMS_ATTEST of a quote does. */
bool vtpm_is_quote(struct view v);

/* As a TPMT_SIGNATURE, which room is lent for where it is bare. */
struct view vtpm_signature(struct view given, const struct tpm_public *ak, uint8_t *room,
			   size_t size);

#endif
