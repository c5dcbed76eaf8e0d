/* SPDX-License-Identifier: Apache-2.0 */
#include "yamldoc_form.h"

const struct cyaml_schema_value form_text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, YAMLDOC_SCALAR_MAX),
};

const struct cyaml_strval form_bools[2] = { { "false", FORM_FALSE }, { "true", FORM_TRUE } };
