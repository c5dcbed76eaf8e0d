/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_VTPM_STAND_IN_H
#define ASSAY_TESTS_VTPM_STAND_IN_H

#include "bytes.h"
#include "made_chip.h"

/*
 * What makes of a TPM in software the vTPM of a confidential VM, with a made chip of SEV-SNP or
 * TDX that vouches for it. Nobody else may be connected to the TPM meanwhile.
 */

/*
 * As Azure's paravisor does at boot: an attestation key at 0x81000003, and in NV index 0x01400001
 * the chip's report over the data that name it. On TDX that is a report nobody else can check; the
 * quote, for which the machine asks its host, goes to the file quote. May be called again, after
 * the chip has changed.
 */
MUST_CHECK int vtpm_stand_in_azure(const char *tcti, struct made_chip *chip, const char *quote);

/* As an SVSM's manifest of its vTPM: appends the TPMT_PUBLIC of the TPM's EK. */
MUST_CHECK int vtpm_stand_in_manifest(const char *tcti, struct bytes *ret);

#endif
