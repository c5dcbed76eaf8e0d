/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_APPRAISE_RUNTIME_H
#define ASSAY_VERIFIER_APPRAISE_RUNTIME_H

#include "appraise.h"

/*
 * "evidence.runtime_log": the entries that the verifier has not seen, replayed onto the
 * value that it knows, give the quoted register, and every measurement stands in the log, in
 * order. Where the chip has no register that assayd could extend (soft, sev-snp, cca; csv with the
 * short report) nothing is checked; of tdx the policy may do without; on every other platform what
 * is not there could not be checked, and is refused.
 */
MUST_CHECK int appraise_runtime(const struct appraise_input *in, struct appraisal *a,
				struct appraise_result *result);

#endif
