/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_KEEPER_JUDGE_H
#define ASSAY_VERIFIER_KEEPER_JUDGE_H

#include "keeper.h"

/* One request while it is answered. */
struct keeper_call {
	struct keeper *keeper;
	struct store_time now;
	struct store_session session; /* of the request, where it has one */
	const union keeper_any *fixed;
	const struct view *blobs;
	struct bytes *answer;
	const char *why; /* for the log and KEEPER_FAILED */
};

/* KEEPER_PREPARE and KEEPER_JUDGE. */
MUST_CHECK int keeper_prepare(struct keeper_call *c);
MUST_CHECK int keeper_judge(struct keeper_call *c);

/* A fresh nonce, committed with the rest of the call. */
MUST_CHECK int keeper_new_nonce(struct keeper_call *c, const char *application, uint32_t stage,
				uint8_t ret[NONCE_SIZE]);

#endif
