/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_POLICIES_H
#define ASSAY_VERIFIER_POLICIES_H

#include "config.h"
#include "policy.h"

/* Every policy, with the files it names, read once at start. Both processes have them. */
struct policies {
	struct policy **items;
	size_t n;
};

/*
 * Reads those that the configuration names; directory is the configuration's own.
 * -EINVAL and others: *ret_error says what is wrong with which file (free() it).
 */
MUST_CHECK int policies_load(const struct verifier_config *config, const char *directory,
			     struct policies *ret, char **ret_error);
void policies_done(struct policies *p);

/* NULL: none for that application. */
const struct policy *policies_find(const struct policies *p, const char *application);

/* Reads a whole file of at most max bytes. *ret_error as above. */
MUST_CHECK int policies_read_file(const char *path, size_t max, struct bytes *ret,
				  char **ret_error);

#endif
