/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_APPRAISE_IMA_H
#define ASSAY_VERIFIER_APPRAISE_IMA_H

#include "appraise.h"

/*
 * IMA as a second witness, of one session: its list comes once as a whole and then only with what
 * is new, so what the quotes have proven of it is kept as long as the session. Memory of one: at
 * most IMA_FILES_BYTES and some 80 bytes an entry, of IMA_FILES_MAX.
 */
struct ima_witness {
	struct ima_known known;
	struct ima_files *files; /* of the first known.entries; NULL: none yet */
};

void ima_witness_done(struct ima_witness *w);

/*
 * After the chip's report was judged: takes over what it proves. A list that does not hold is
 * forgotten as a whole, so that the attester begins it again. "evidence.ima": the list has files
 * past the limits above. 0; -ENOMEM.
 */
MUST_CHECK int appraise_ima_take(struct ima_witness *w, const Assay__ChipReport *report,
				 const struct appraise_result *result, struct appraisal *a);

/* policy_judge_ima over one measurement; mi NULL: a static one. */
void appraise_ima_judge(const struct appraise_input *in, const struct appraise_result *result,
			const struct mi *mi, struct appraisal *a);

#endif
