/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_ENDORSEMENT_KEY_H
#define ASSAY_VERIFIER_ENDORSEMENT_KEY_H

#include "endorsement_store.h"

/* By what a report's endorsements are looked for. */
struct report_key {
	const char *platforms[2]; /* whose endorsements */
	uint8_t chip[ENDORSEMENT_CHIP_MAX], tcb[ENDORSEMENT_TCB_MAX];
	size_t chip_len, tcb_len; /* 0: it does not say, or cannot be read */
};

/* Nothing of the report is checked. */
void report_key_read(const char *platform, const Assay__ChipReport *report, struct report_key *ret);

/* The endorsement is of those platforms, for that chip (or any) at that TCB (or any). */
bool report_key_matches(const struct report_key *report, const struct endorsement_key *e);

/* Remembers what was left out, as far as there is room. */
void endorsement_store_note(struct endorsement_store *s, const char *file, const char *why);

#endif
