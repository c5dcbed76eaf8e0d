/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CSV_COCO_H
#define ASSAY_VERIFIER_CSV_COCO_H

#include "evidence.h"

/*
 * CSV evidence as the attestation agent of Confidential Containers writes it: a JSON object with
 * the report in its wrapper ("attestation_report") and perhaps an event log ("cc_eventlog").
 * Certificates that it may hold are not read: they come as Hygon gives them out.
 */

#define CSV_COCO_MAX (512 * 1024)

/* True if the bytes are such an object. */
bool csv_coco_begins(struct view raw);

/*
 * Puts the wrapped report, and the log where there is one, into report; they are the arena's.
 * -EINVAL: a member is missing or not what it should be; *ret_why says which. -ENOMEM.
 */
MUST_CHECK int csv_coco_unpack(struct view raw, struct arena *arena, Assay__ChipReport *report,
			       const char **ret_why);

#endif
