/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "claims.h"
#include "cleanup.h"
#include "evidence_table.h"

/*
 * A key in a file: for development. It proves who holds the file, nothing about
 * the machine; a policy that does not name the platform refuses it.
 */

#define SOFT_KEY_MAX	   1024
#define SOFT_SIGNATURE_MAX 256

static void cleanup_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static bool key_listed(const char *const *keys, const char *hex)
{
	for (; *keys; keys++) {
		if (strcmp(*keys, hex) == 0)
			return true;
	}
	return false;
}

static bool key_accepted(EVP_PKEY *key)
{
	char group[32];
	size_t len;

	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

/* Reads the key, and judges whether it is one that may speak for this machine. */
static int judge_key(const struct evidence_input *in, struct appraisal *a, EVP_PKEY **ret)
{
	const char *const *keys = policy_soft_keys(in->policy);
	ProtobufCBinaryData spki = in->report->key;
	const unsigned char *at = spki.data;
	char enrolled[DIGEST_HEX_MAX], hex[DIGEST_HEX_MAX];
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	struct digest name;
	int r;

	if (spki.len > 0 && spki.len <= SOFT_KEY_MAX)
		key = d2i_PUBKEY(NULL, &at, (long)spki.len);
	if (!key || at != spki.data + spki.len || !key_accepted(key)) {
		ERR_clear_error();
		appraisal_refuse(a, "evidence.key", "an Ed25519 or P-256 public key",
				 "%zu bytes that are not one", spki.len);
		return 0;
	}
	r = digest_of(HASH_SHA256, view_of(spki.data, spki.len), &name);
	if (r < 0)
		return r;
	digest_hex(&name, hex);
	if (in->key_name.len > 0 && !view_equal(in->key_name, digest_view(&name))) {
		hex_encode(in->key_name.data,
			   in->key_name.len < DIGEST_MAX ? in->key_name.len : DIGEST_MAX, enrolled);
		appraisal_refuse(a, "evidence.key", enrolled, "%s", hex);
		return 0;
	}
	if (keys && !key_listed(keys, hex)) {
		appraisal_refuse(a, "platforms.soft.keys", "a key that the policy lists", "%s",
				 hex);
		return 0;
	}
	appraisal_pass(a);
	*ret = TAKE(key);
	return 1;
}

static int judge_signature(const struct evidence_input *in, EVP_PKEY *key, struct appraisal *a)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ProtobufCBinaryData data = in->report->report, sig = in->report->signature;
	const char *hash = EVP_PKEY_is_a(key, "EC") ? "SHA256" : NULL; /* Ed25519 has its own */
	bool good;

	if (!ctx)
		return -ENOMEM;
	good = sig.len > 0 && sig.len <= SOFT_SIGNATURE_MAX && data.len == REPORT_DATA_SIZE &&
	       EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, key, NULL) == 1 &&
	       EVP_DigestVerify(ctx, sig.data, sig.len, data.data, data.len) == 1;
	ERR_clear_error();
	if (!good) {
		appraisal_refuse(a, "evidence.signature", "a signature of the key over the report",
				 "it does not verify");
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

static int judge_claims(const struct evidence_input *in, struct appraisal *a)
{
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	ProtobufCBinaryData report = in->report->report;
	struct digest data;
	int r;

	r = claims_hash(in->claims, &data);
	if (r < 0)
		return r;
	/* judge_signature made sure of the report's length. */
	if (CRYPTO_memcmp(data.bytes, report.data, data.size) != 0) {
		hex_encode(report.data, report.len, seen);
		appraisal_refuse(a, "evidence.claims", digest_hex(&data, expected), "%s", seen);
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

static int soft_verify(const struct evidence_input *in, struct appraisal *a,
		       struct evidence_result *ret)
{
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	struct evidence_result result = { 0 };
	int r;

	*ret = result;
	if (!policy_allows_platform(in->policy, evidence_soft.platform)) {
		appraisal_refuse(a, "platforms", "a platform that the policy names", "%s",
				 evidence_soft.platform);
		return 0;
	}
	appraisal_pass(a);
	r = judge_key(in, a, &key);
	if (r <= 0)
		return r;
	r = judge_signature(in, key, a);
	if (r <= 0)
		return r;
	r = judge_claims(in, a);
	if (r <= 0)
		return r;
	ret->signature_good = true;
	return 0;
}

const struct evidence_ops evidence_soft = {
	.platform = "soft",
	.insecure = true,
	.verify = soft_verify,
};
