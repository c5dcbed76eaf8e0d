/* SPDX-License-Identifier: Apache-2.0 */
#include "ecdsa_p256.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "cleanup.h"

#define DER_MAX 80 /* of a P-256 signature: 72 */

static void cleanup_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void cleanup_signature(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

int p256_key(struct view xy, EVP_PKEY **ret)
{
	CLEANUP(cleanup_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t point[1 + P256_KEY_SIZE] = { 4 /* uncompressed: SEC 1, 2.3.3 */ };
	char group[] = "prime256v1";
	EVP_PKEY *key = NULL;
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
	*ret = key;
	return 0;
}

static bool is_p256(EVP_PKEY *key)
{
	char group[32];
	size_t len;

	return key && EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       strcmp(group, "prime256v1") == 0;
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
	n = i2d_ECDSA_SIG(sig, NULL);
	if (n <= 0 || n > DER_MAX)
		return -ENOMEM;
	*ret_len = (size_t)i2d_ECDSA_SIG(sig, &der);
	return 0;
}

int p256_verify(EVP_PKEY *key, struct view signature, struct view data)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[DER_MAX];
	size_t len;
	int r;

	if (!ctx)
		return -ENOMEM;
	if (signature.len != P256_SIGNATURE_SIZE || !is_p256(key))
		return 0;
	r = to_der(signature, der, &len);
	if (r < 0)
		return r;
	r = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, der, len, data.data, data.len) == 1;
	ERR_clear_error();
	return r;
}
