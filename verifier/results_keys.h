/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_RESULTS_KEYS_H
#define ASSAY_VERIFIER_RESULTS_KEYS_H

#include <openssl/evp.h>

#include "config.h"

/* The public keys of the results, the one in use and earlier ones. */
struct results_keys {
	EVP_PKEY *keys[VERIFIER_RESULTS_KEYS_MAX];
	size_t n;
};

/* *ret_error says what is wrong with which file (free() it). -EINVAL, -ENOMEM. */
MUST_CHECK int results_keys_load(const struct verifier_config *config, const char *directory,
				 struct results_keys *ret, char **ret_error);
void results_keys_done(struct results_keys *k);

#endif
