/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_YAMLDOC_EXPLAIN_H
#define ASSAY_YAMLDOC_EXPLAIN_H

#include "yamldoc.h"

/*
 * libcyaml stops at the first value that does not fit and names no expectation. Where
 * it refused a text, this walks the same schema over the tree and notes, of every value that
 * does not fit, what was expected of it. The tree has a mapping at its top.
 */
void yamldoc_explain(struct yamldoc *d, const struct cyaml_schema_value *schema);

#endif
