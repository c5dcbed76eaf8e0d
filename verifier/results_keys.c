/* SPDX-License-Identifier: Apache-2.0 */
#include "results_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "cleanup.h"

CLEANUP_FUNCTION(BIO *, BIO_free)

static EVP_PKEY *read_public(const char *path)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new_file(path, "r");

	return bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
}

int results_keys_load(const struct verifier_config *config, const char *directory,
		      struct results_keys *ret, char **ret_error)
{
	struct results_keys k = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->n_results_public; i++) {
		CLEANUP(cleanup_mem)
		char *path = config_path(directory, config->results_public[i]);

		if (!path) {
			r = -ENOMEM;
			break;
		}
		k.keys[k.n] = read_public(path);
		if (k.keys[k.n])
			k.n++;
		else
			r = asprintf(ret_error, "%s: not a public key in PEM", path) < 0 ? -ENOMEM
											 : -EINVAL;
	}
	if (r < 0)
		results_keys_done(&k);
	else
		*ret = k;
	return r;
}

void results_keys_done(struct results_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->keys[i]);
	k->n = 0;
}
