/* SPDX-License-Identifier: Apache-2.0 */
#include "ecdsa_p256.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "cleanup.h"
#include "digest.h"

#define DER_MAX 80 /* of a P-256 signature: 72 */

struct p256_key {
	EVP_PKEY_CTX *ctx; /* ready to verify */
	struct hasher *hasher;
};

CLEANUP_FUNCTION(struct p256_key *, p256_key_free)

static void cleanup_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cleanup_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void cleanup_signature(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

void p256_key_free(struct p256_key *k)
{
	if (!k)
		return;
	EVP_PKEY_CTX_free(k->ctx);
	hasher_free(k->hasher);
	free(k);
}

/* The key is known to be of the curve. */
static int prepare(EVP_PKEY *key, struct p256_key **ret)
{
	CLEANUP(p256_key_freep) struct p256_key *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	r = hasher_new(HASH_SHA256, &k->hasher);
	if (r < 0)
		return r;
	k->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!k->ctx || EVP_PKEY_verify_init(k->ctx) != 1) {
		ERR_clear_error();
		return -ENOMEM;
	}
	*ret = TAKE(k);
	return 0;
}

int p256_key_of_point(struct view xy, struct p256_key **ret)
{
	CLEANUP(cleanup_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	CLEANUP(cleanup_key) EVP_PKEY *key = NULL;
	uint8_t point[1 + P256_KEY_SIZE] = { 4 /* uncompressed: SEC 1, 2.3.3 */ };
	char group[] = "prime256v1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, strlen(group)),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_END,
	};

	if (!ctx)
		return -ENOMEM;
	if (xy.len != P256_KEY_SIZE)
		return -EBADMSG;
	memcpy(point + 1, xy.data, xy.len);
	/* Refuses a point that is not on the curve. */
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		return -EBADMSG;
	}
	return prepare(key, ret);
}

int p256_key_of(EVP_PKEY *key, struct p256_key **ret)
{
	char group[32];
	size_t len;

	if (!key || !EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1 ||
	    strcmp(group, "prime256v1") != 0) {
		ERR_clear_error();
		return -EBADMSG;
	}
	return prepare(key, ret);
}

static int to_der(struct view raw, uint8_t der[DER_MAX], size_t *ret_len)
{
	CLEANUP(cleanup_signature) ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.data, 32, NULL);
	BIGNUM *s = BN_bin2bn(raw.data + 32, 32, NULL);
	int n;

	if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
		return -ENOMEM;
	}
	n = i2d_ECDSA_SIG(sig, &der);
	if (n <= 0)
		return -ENOMEM;
	*ret_len = (size_t)n;
	return 0;
}

int p256_verify(struct p256_key *k, struct view signature, struct view data)
{
	uint8_t der[DER_MAX];
	struct digest d;
	size_t len = 0;
	int r;

	if (!k || signature.len != P256_SIGNATURE_SIZE)
		return 0;
	r = hasher_begin(k->hasher);
	if (r == 0)
		r = hasher_add(k->hasher, data.data, data.len);
	if (r == 0)
		r = hasher_end(k->hasher, &d);
	if (r == 0)
		r = to_der(signature, der, &len);
	if (r < 0)
		return r;
	r = EVP_PKEY_verify(k->ctx, der, len, d.bytes, d.size) == 1;
	ERR_clear_error();
	return r;
}
