/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_JUDGE_CODE_H
#define ASSAY_JUDGE_CODE_H

#include "judge.h"

/* What the rules on MI item 8 share: judge_code.c for mappings, judge_objects.c for objects. */

/* Begins a check that looks at every process's code, as judge_begin. */
bool judge_code_begin(struct judge_check *c, const struct judging *j,
		      const struct policy_rule *rule, const char *path, const char *expected);

/* The file of that index (from 1), or NULL. */
const Assay__File *judge_code_file(const Assay__Mi *mi, uint32_t index);

/* What the kernel maps where a probe was put into a process's text; it stays afterwards. */
bool judge_code_is_probe(const Assay__AnonymousCode *a);

/* Text, relro, imports, the loader's list and aliases of what is loaded. */
void judge_objects(const struct judging *j, const struct policy_code *code);

#endif
