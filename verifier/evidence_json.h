/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_JSON_H
#define ASSAY_VERIFIER_EVIDENCE_JSON_H

#include <jansson.h>

#include "bytes.h"

/* Bytes of a report as JSON: lower-case hex. NULL: no memory. */
json_t *evidence_json_hex(struct view v);

#endif
