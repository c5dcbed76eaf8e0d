/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_TABLE_H
#define ASSAY_VERIFIER_EVIDENCE_TABLE_H

#include "evidence.h"

/* One row for each kind of evidence, the mirror of attesters/table.h. */
extern const struct evidence_ops evidence_tpm;
extern const struct evidence_ops evidence_soft;
extern const struct evidence_ops evidence_tdx;
extern const struct evidence_ops evidence_sev_snp;
extern const struct evidence_ops evidence_csv;
extern const struct evidence_ops evidence_cca;
extern const struct evidence_ops evidence_vtpm;
extern const struct evidence_ops evidence_svsm; /* a vtpm too, of another form */

#endif
