/* SPDX-License-Identifier: Apache-2.0 */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "cleanup.h"
#include "ear.h"
#include "jws.h"
#include "results_keys.h"

CLEANUP_FUNCTION(BIO *, BIO_free)
CLEANUP_FUNCTION(EVP_PKEY *, EVP_PKEY_free)

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

static int refuse(char **ret_error, const char *file, const char *why)
{
	return asprintf(ret_error, "%s: %s", file, why) < 0 ? -ENOMEM : -EINVAL;
}

static int read_key(const char *path, EVP_PKEY **ret)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new_file(path, "r");

	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
	return *ret ? 0 : -EINVAL;
}

/* A relying party could not check what is signed with a key that is not served. */
static int check_served(const struct verifier_config *config, const char *directory, EVP_PKEY *key,
			char **ret_error)
{
	struct results_keys keys = { 0 };
	bool served = false;
	int r;

	r = results_keys_load(config, directory, &keys, ret_error);
	for (size_t i = 0; r == 0 && i < keys.n; i++)
		served = served || EVP_PKEY_eq(keys.keys[i], key) == 1;
	if (r == 0 && keys.n > 0 && !served)
		r = refuse(ret_error, config->results_key,
			   "its public half is not among results.public_keys");
	results_keys_done(&keys);
	return r;
}

int results_load(const struct verifier_config *config, const char *directory, struct results *ret,
		 char **ret_error)
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(cleanup_mem) char *path = NULL;
	json_t *jwk;
	int r;

	*ret = (struct results){ 0 };
	if (!config->results_key)
		return 0;
	path = config_path(directory, config->results_key);
	if (!path)
		return -ENOMEM;
	if (read_key(path, &key) < 0)
		return refuse(ret_error, path, "not a private key in PEM without a password");
	r = jws_public_key(key, &jwk);
	if (r == -EINVAL)
		return refuse(ret_error, path, "not a key of P-256");
	if (r < 0)
		return r;
	json_decref(jwk);
	r = check_served(config, directory, key, ret_error);
	if (r < 0)
		return r;
	ret->key = TAKE(key);
	ret->valid_seconds = config->results_valid_seconds;
	return 0;
}

void results_done(struct results *r)
{
	EVP_PKEY_free(r->key);
	r->key = NULL;
}

static int sign_one(const struct results *r, const json_t *attester,
		    const struct results_wanted *wanted, json_t *list)
{
	const struct ear_context context = {
		.build = ASSAY_VERSION,
		.now = wanted->now,
		.valid = r->valid_seconds,
		.nonce = wanted->nonce,
	};
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(4 * 1024 * 1024);
	CLEANUP(cleanup_json) json_t *claims = NULL;
	CLEANUP(cleanup_mem) char *text = NULL;
	json_t *one;
	int e;

	e = ear_claims(attester, &context, &claims);
	if (e < 0)
		return e;
	text = json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	e = jws_sign(r->key, view_text(text), &token);
	if (e < 0)
		return e;
	one = json_pack("{s:O, s:o}", "attester", json_object_get(attester, "attester"), "result",
			json_stringn((const char *)token.data, token.len));
	return !one || json_array_append_new(list, one) < 0 ? -ENOMEM : 0;
}

int results_sign(const struct results *r, struct store *store, const struct results_wanted *wanted,
		 json_t **ret)
{
	CLEANUP(cleanup_json) json_t *fleet = NULL;
	CLEANUP(cleanup_json) json_t *list = json_array();
	json_t *one;
	size_t i;
	int e;

	if (!r || !r->key)
		return -ENOTSUP;
	e = store_fleet(store, wanted->application, &fleet);
	json_array_foreach(fleet, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "attester"));

		if (e < 0 || (wanted->attester && (!name || strcmp(name, wanted->attester) != 0)))
			continue;
		e = sign_one(r, one, wanted, list);
	}
	if (e == 0 && json_array_size(list) == 0)
		e = -ENOENT;
	if (e == 0)
		*ret = TAKE(list);
	return e;
}
