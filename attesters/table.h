/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TABLE_H
#define ASSAY_ATTESTERS_TABLE_H

#include "attester.h"

/* One row for each chip. */
extern const struct attester_ops attester_tdx;
extern const struct attester_ops attester_sev_snp;
extern const struct attester_ops attester_csv;
extern const struct attester_ops attester_cca;
extern const struct attester_ops attester_vtpm;
extern const struct attester_ops attester_tpm;
extern const struct attester_ops attester_soft;

#endif
