/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_VAULT_H
#define ASSAY_VERIFIER_VAULT_H

#include "config.h"
#include "policies.h"
#include "secret.h"

/* The secrets by name, in the keeper's secure heap. */
struct vault {
	struct vault_secret {
		char *name;
		struct secret secret;
	} * secrets;
	size_t n;
};

/* Reads them. *ret_error says what is wrong with which file (free() it). */
MUST_CHECK int vault_load(const struct verifier_config *config, const char *directory,
			  struct vault *ret, char **ret_error);
void vault_done(struct vault *v);

/* NULL: no secret of that name. */
const struct secret *vault_find(const struct vault *v, const char *name);

/* Every secret that a stage releases is there. -EINVAL, and *ret_error has a line for each. */
MUST_CHECK int vault_check(const struct vault *v, const struct policies *policies,
			   char **ret_error);

#endif
