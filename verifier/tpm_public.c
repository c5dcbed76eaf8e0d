/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm_public.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <tss2/tss2_mu.h>

#include "cleanup.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

static const struct {
	TPMI_ECC_CURVE curve;
	const char *group;
	size_t size; /* of a coordinate */
} curves[] = {
	{ TPM2_ECC_NIST_P256, "P-256", 32 },
	{ TPM2_ECC_NIST_P384, "P-384", 48 },
	{ TPM2_ECC_NIST_P521, "P-521", 66 },
};

/*
 * tss2 writes to standard error when bytes are not what it hoped for: text that
 * whoever sends evidence could fill a log with. Before main, as the environment may not
 * be changed once there are threads; who sets TSS2_LOG is heard.
 */
__attribute__((constructor)) static void tss2_quiet(void)
{
	setenv("TSS2_LOG", "all+NONE", 0);
}

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int compute_name(struct view raw, struct tpm_public *p)
{
	enum hash_alg alg = (enum hash_alg)p->area.nameAlg;
	struct digest d;
	int r;

	r = digest_of(alg, raw, &d);
	if (r < 0)
		return r;
	p->name[0] = (uint8_t)(p->area.nameAlg >> 8);
	p->name[1] = (uint8_t)p->area.nameAlg;
	memcpy(p->name + 2, d.bytes, d.size);
	p->name_len = 2u + d.size;
	return 0;
}

int tpm_public_parse(struct view raw, struct tpm_public *ret, const char **ret_why)
{
	struct tpm_public p = { 0 };
	uint8_t again[TPM_PUBLIC_MAX];
	size_t at = 0, len = 0;
	int r;

	if (raw.len == 0 || raw.len > TPM_PUBLIC_MAX)
		return refuse(ret_why, "its size is not that of a public key");
	if (Tss2_MU_TPMT_PUBLIC_Unmarshal(raw.data, raw.len, &at, &p.area) != TSS2_RC_SUCCESS)
		return refuse(ret_why, "it is not a TPMT_PUBLIC");
	if (at != raw.len)
		return refuse(ret_why, "there are bytes behind the TPMT_PUBLIC");
	/* The name is a hash of these bytes: there must be one encoding only. */
	if (Tss2_MU_TPMT_PUBLIC_Marshal(&p.area, again, sizeof(again), &len) != TSS2_RC_SUCCESS ||
	    !view_equal(view_of(again, len), raw))
		return refuse(ret_why, "it is not in its only encoding");
	if (p.area.nameAlg != TPM2_ALG_SHA256 && p.area.nameAlg != TPM2_ALG_SHA384 &&
	    p.area.nameAlg != TPM2_ALG_SHA512)
		return refuse(ret_why, "its name algorithm is not SHA-256, SHA-384 or SHA-512");
	r = compute_name(raw, &p);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

struct view tpm_public_name(const struct tpm_public *p)
{
	return view_of(p->name, p->name_len);
}

static void cleanup_build(OSSL_PARAM_BLD **b)
{
	OSSL_PARAM_BLD_free(*b);
}

static void cleanup_params(OSSL_PARAM **p)
{
	OSSL_PARAM_free(*p);
}

static void cleanup_bn(BIGNUM **n)
{
	BN_free(*n);
}

static void cleanup_pkey_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static int key_from(const char *type, OSSL_PARAM_BLD *build, EVP_PKEY **ret)
{
	CLEANUP(cleanup_params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	CLEANUP(cleanup_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx)
		return -ENOMEM;
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		return -EBADMSG;
	}
	*ret = key;
	return 0;
}

static int rsa_key(const TPMT_PUBLIC *area, EVP_PKEY **ret)
{
	const TPM2B_PUBLIC_KEY_RSA *modulus = &area->unique.rsa;
	uint32_t exponent = area->parameters.rsaDetail.exponent;
	CLEANUP(cleanup_build) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	CLEANUP(cleanup_bn) BIGNUM *n = BN_bin2bn(modulus->buffer, modulus->size, NULL);
	CLEANUP(cleanup_bn) BIGNUM *e = BN_new();

	if (exponent == 0)
		exponent = 65537; /* part 2, 12.2.3.5: zero means the default */
	if (!build || !n || !e || !BN_set_word(e, exponent))
		return -ENOMEM;
	if (BN_num_bits(n) < RSA_BITS_MIN || BN_num_bits(n) > RSA_BITS_MAX || !BN_is_odd(n) ||
	    BN_num_bits(n) != area->parameters.rsaDetail.keyBits || exponent < 65537 ||
	    exponent % 2 == 0)
		return -EBADMSG;
	if (!OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
	    !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		return -ENOMEM;
	return key_from("RSA", build, ret);
}

static int ecc_key(const TPMT_PUBLIC *area, EVP_PKEY **ret)
{
	CLEANUP(cleanup_build) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	const TPM2B_ECC_PARAMETER *x = &area->unique.ecc.x, *y = &area->unique.ecc.y;
	uint8_t point[1 + 2 * TPM2_MAX_ECC_KEY_BYTES] = { 0x04 };
	size_t i, size;

	if (!build)
		return -ENOMEM;
	for (i = 0; i < ARRAY_LEN(curves); i++) {
		if (curves[i].curve == area->parameters.eccDetail.curveID)
			break;
	}
	if (i == ARRAY_LEN(curves))
		return -EBADMSG;
	size = curves[i].size;
	/* A TPM may leave leading zeros out. */
	if (x->size == 0 || x->size > size || y->size == 0 || y->size > size)
		return -EBADMSG;
	memcpy(point + 1 + size - x->size, x->buffer, x->size);
	memcpy(point + 1 + 2 * size - y->size, y->buffer, y->size);
	if (!OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
					     0) ||
	    !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size))
		return -ENOMEM;
	return key_from("EC", build, ret);
}

static const struct {
	TPMI_ALG_PUBLIC type;
	int (*key)(const TPMT_PUBLIC *area, EVP_PKEY **ret);
} kinds[] = {
	{ TPM2_ALG_RSA, rsa_key },
	{ TPM2_ALG_ECC, ecc_key },
};

int tpm_public_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].type == p->area.type)
			return kinds[i].key(&p->area, ret);
	}
	return -EBADMSG;
}

/* A bit of TPMA_OBJECT that must be set, or must not be, and what it means that it is not so. */
struct attribute {
	TPMA_OBJECT bit;
	bool set;
	const char *fault;
};

static const char *attribute_fault(const struct tpm_public *p, const struct attribute *must,
				   size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (((p->area.objectAttributes & must[i].bit) != 0) != must[i].set)
			return must[i].fault;
	}
	return NULL;
}

const char *tpm_public_ak_fault(const struct tpm_public *p)
{
	static const struct attribute must[] = {
		/* Only a restricted key refuses to sign what merely looks like a quote. */
		{ TPMA_OBJECT_RESTRICTED, true, "it is not restricted" },
		{ TPMA_OBJECT_SIGN_ENCRYPT, true, "it is not a signing key" },
		{ TPMA_OBJECT_DECRYPT, false, "it is a decryption key" },
		{ TPMA_OBJECT_FIXEDTPM, true, "it may leave its TPM (fixedTPM is not set)" },
		{ TPMA_OBJECT_FIXEDPARENT, true,
		  "it may leave its parent (fixedParent is not set)" },
		{ TPMA_OBJECT_SENSITIVEDATAORIGIN, true,
		  "it was made outside the TPM (sensitiveDataOrigin is not set)" },
	};

	return attribute_fault(p, must, ARRAY_LEN(must));
}

const char *tpm_public_ek_fault(const struct tpm_public *p)
{
	static const struct attribute must[] = {
		{ TPMA_OBJECT_RESTRICTED, true, "it is not restricted" },
		{ TPMA_OBJECT_DECRYPT, true, "it is not a storage key" },
		{ TPMA_OBJECT_SIGN_ENCRYPT, false, "it is a signing key" },
		{ TPMA_OBJECT_FIXEDTPM, true, "it may leave its TPM (fixedTPM is not set)" },
		{ TPMA_OBJECT_FIXEDPARENT, true,
		  "it may leave its parent (fixedParent is not set)" },
	};

	return attribute_fault(p, must, ARRAY_LEN(must));
}
