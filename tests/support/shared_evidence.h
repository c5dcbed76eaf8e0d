/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_SHARED_EVIDENCE_H
#define ASSAY_TESTS_SHARED_EVIDENCE_H

#include "bytes.h"

/*
 * Genuine evidence, which is not part of the project: $ASSAY_SHARED/evidence, or
 * ../shared/evidence beside the checkout. Read in place.
 */

/* Skips the running test, saying so, where there is no such evidence. */
void shared_evidence_needed(void);

/* The file's content, or the running test fails. The caller ends it with bytes_done. */
struct bytes shared_evidence(const char *folder, const char *file);

#endif
