/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_CCA_FORM_H
#define ASSAY_POLICY_CCA_FORM_H

#include "policy_platform.h"

/* `platforms.cca` as it is written, and what it means. */

struct policy_cca_form {
	struct policy_texts cpak, implementation_id, instance_id, personalization;
	struct policy_texts measurement, rem[POLICY_CCA_REMS];
	struct policy_texts component_measurements, component_signers, components;
	struct policy_texts lifecycle;

	struct policy_cca rules;
};

extern const struct cyaml_schema_field policy_cca_fields[];

/* Works out f->rules; problems go to d. -ENOMEM. */
MUST_CHECK int policy_read_cca(struct yamldoc *d, struct arena *arena, struct policy_cca_form *f);

#endif
