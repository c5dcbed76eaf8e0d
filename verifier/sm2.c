/* SPDX-License-Identifier: Apache-2.0 */
#include "sm2.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "cleanup.h"

#define DER_MAX 80 /* of a signature: 72 */

static void cleanup_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cleanup_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void cleanup_signature(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

/* 1, 0 where the point is none of the curve, or -ENOMEM. */
static int import_key(const struct sm2_point *p, EVP_PKEY **ret)
{
	CLEANUP(cleanup_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "SM2", NULL);
	uint8_t point[1 + 2 * SM2_NUMBER_SIZE] = { 4 /* uncompressed: SEC 1, 2.3.3 */ };
	char group[] = "SM2";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, strlen(group)),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_END,
	};
	EVP_PKEY *key = NULL;

	if (!ctx)
		return -ENOMEM;
	memcpy(point + 1, p->x, SM2_NUMBER_SIZE);
	memcpy(point + 1 + SM2_NUMBER_SIZE, p->y, SM2_NUMBER_SIZE);
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		return 0;
	}
	*ret = key;
	return 1;
}

static int to_der(const struct sm2_signature *from, uint8_t der[DER_MAX], size_t *ret_len)
{
	CLEANUP(cleanup_signature) ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(from->r, SM2_NUMBER_SIZE, NULL);
	BIGNUM *s = BN_bin2bn(from->s, SM2_NUMBER_SIZE, NULL);
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

int sm2_verify(const struct sm2_point *key, struct view id, const struct sm2_signature *signature,
	       struct view data)
{
	CLEANUP(cleanup_key) EVP_PKEY *pkey = NULL;
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_DIST_ID, (void *)id.data, id.len),
		OSSL_PARAM_END,
	};
	uint8_t der[DER_MAX];
	size_t len;
	int r;

	if (!ctx)
		return -ENOMEM;
	r = import_key(key, &pkey);
	if (r <= 0)
		return r;
	r = to_der(signature, der, &len);
	if (r < 0)
		return r;
	r = EVP_DigestVerifyInit_ex(ctx, NULL, "SM3", NULL, NULL, pkey, params) == 1 &&
	    EVP_DigestVerify(ctx, der, len, data.data, data.len) == 1;
	ERR_clear_error();
	return r;
}
