/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_PLATFORM_H
#define ASSAY_POLICY_PLATFORM_H

#include "policy_form.h"

/* What the rules of several platforms are written with. */

struct policy_texts {
	char **texts;
	uint32_t n;
};

struct policy_flags_form {
	char **require, **deny;
	uint32_t n_require, n_deny;
};

enum policy_accept { ACCEPT_UNSET, ACCEPT_DENY, ACCEPT_ALLOW };

extern const struct cyaml_schema_field policy_flags_fields[];
extern const struct cyaml_strval policy_accepts[2];

/* One reading of a platform's key on its way. */
struct policy_reading {
	struct yamldoc *d;
	struct arena *arena;
	const char *path;     /* of the key: "platforms.sev-snp" */
	const char *flags_in; /* the document that names its flags, for problems */
	bool out_of_memory;
};

/*
 * Each reads a member of the key; problems go to x->d, and a list that found no memory sets
 * x->out_of_memory. An empty list leaves *ret alone.
 */

/* Byte strings in hex, each of size bytes. */
void policy_read_values(struct policy_reading *x, const char *member,
			const struct policy_texts *from, size_t size, struct policy_values *ret);

/* Words of a fixed choice, which ends with NULL; expected names them. */
void policy_read_words(struct policy_reading *x, const char *member,
		       const struct policy_texts *from, const char *const *choice,
		       const char *expected, const char *const **ret);

/* A whole number up to max; where text is NULL, or no such number: otherwise. */
uint64_t policy_read_number(struct policy_reading *x, const char *member, const char *text,
			    uint64_t max, uint64_t otherwise);

/* Names of flags; from may be NULL. */
void policy_read_flags(struct policy_reading *x, const char *member,
		       const struct policy_flags_form *from, const struct policy_flag *known,
		       struct policy_flags *ret);

#endif
