/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_CSV_FORM_H
#define ASSAY_POLICY_CSV_FORM_H

#include "policy_platform.h"

/* `platforms.csv` as it is written, and what it means. */

struct policy_csv_form {
	struct policy_texts measurement, rtmr[POLICY_CSV_RTMRS];
	struct policy_texts user_public_key_digest, vm_id, vm_version, chip_id;
	enum policy_accept debug;
	enum policy_event_log event_log;
	char *version_min, *build_min;
	struct policy_flags_form *guest_policy;

	struct policy_csv rules;
};

extern const struct cyaml_schema_field policy_csv_fields[];

/* Works out f->rules; problems go to d. -ENOMEM. */
MUST_CHECK int policy_read_csv(struct yamldoc *d, struct arena *arena, struct policy_csv_form *f);

#endif
