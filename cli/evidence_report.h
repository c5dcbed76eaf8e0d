/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_EVIDENCE_REPORT_H
#define ASSAY_CLI_EVIDENCE_REPORT_H

#include <jansson.h>

#include "evidence.h"

/* One verdict on one piece of evidence, for programs and for people. */
struct evidence_judged {
	const char *name; /* of the file with the report */
	struct evidence_found found;
	struct evidence_result result;
	struct appraisal a;
	int64_t now;
	bool compared_data; /* the report data were expected to be something */
	bool had_policy;
};

/* NULL: no memory. */
json_t *evidence_judged_json(const struct evidence_judged *j);

/* On standard output: first what it proves and what not. */
void evidence_judged_print(const struct evidence_judged *j);

/* A decoded report as lines of names and values. */
void evidence_fields_print(json_t *fields, int indent);

#endif
