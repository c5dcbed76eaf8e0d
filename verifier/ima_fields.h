/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_IMA_FIELDS_H
#define ASSAY_VERIFIER_IMA_FIELDS_H

#include "ima_log.h"

/* The fields of IMA's templates: security/integrity/ima/ima_template.c. */

struct ima_fields {
	bool unframed; /* template "ima": digest and name without their lengths */
	size_t n;
	struct view name[IMA_FIELDS_MAX]; /* "d-ng", "n-ng" ... */
};

/* By a template's name, or by the fields that stand in its place. -EBADMSG: neither. */
MUST_CHECK int ima_fields_of(struct view template_name, struct ima_fields *ret);

/* Takes the entry's data apart into its file digest, path and signature. -EBADMSG. */
MUST_CHECK int ima_fields_read(const struct ima_fields *fields, struct ima_entry *entry,
			       const char **ret_why);

/* The same data from the words of a line of the ASCII form. -EBADMSG. -ENOMEM. */
MUST_CHECK int ima_fields_build(const struct ima_fields *fields, struct view words,
				struct bytes *ret, const char **ret_why);

#endif
