/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_VTPM_H
#define ASSAY_ATTESTERS_VTPM_H

#include "tee.h"
#include "tpm.h"

/* A vTPM of a confidential VM: vtpm.c the operations and Azure's form, vtpm_svsm.c an SVSM's. */

struct vtpm {
	struct tpm tpm; /* first, so that what works on a TPM works on this */
	struct attester
		*chip;	  /* a struct tee: the machine's name, certificates, the way to the chip */
	struct bytes hcl; /* Azure: the report in the NV index; empty: an SVSM's vTPM */
};

/* 0: there is an SVSM with a vTPM; -ENODEV and others: there is none; ret_why either way. */
MUST_CHECK int svsm_probe(char *ret_why, size_t size);

/* That the SVSM's vTPM is the TPM that is open. -ENODEV; v->tpm.base.why says what is not so. */
MUST_CHECK int svsm_open(struct vtpm *v);

/*
 * Adds to a report with the quote the chip's own, over SHA-512 of the Claims, and the manifest.
 * Errors as of tee_report.
 */
MUST_CHECK int svsm_report(struct vtpm *v, struct view claims, struct arena *arena,
			   Assay__ChipReport *report);

#endif
