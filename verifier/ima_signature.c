/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/x509.h>

#include "cleanup.h"
#include "ima_log.h"

/* struct signature_v2_hdr: security/integrity/integrity.h */
#define TYPE_SIGNATURE 3
#define VERSION_DIGEST 2
#define VERSION_VERITY 3

/* enum hash_algo: include/uapi/linux/hash_info.h */
static const enum hash_alg algorithms[] = {
	[2] = HASH_SHA1, [4] = HASH_SHA256, [5] = HASH_SHA384, [6] = HASH_SHA512, [17] = HASH_SM3,
};

CLEANUP_FUNCTION(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

int ima_signature_parse(struct view field, struct ima_signature *ret, const char **ret_why)
{
	struct reader r = reader_of(field);
	struct ima_signature s = { 0 };
	uint8_t type, alg;
	uint16_t len;

	if (read_u8(&r, &type) < 0 || read_u8(&r, &s.version) < 0 || read_u8(&r, &alg) < 0 ||
	    read_copy(&r, s.key_id, sizeof(s.key_id)) < 0 || read_be16(&r, &len) < 0)
		return refuse(ret_why, "a signature that is cut short");
	if (type != TYPE_SIGNATURE || (s.version != VERSION_DIGEST && s.version != VERSION_VERITY))
		return refuse(ret_why, "no signature of version 2 or 3");
	if (len != r.left)
		return refuse(ret_why, "a signature of another length than it says");
	s.alg = alg < ARRAY_LEN(algorithms) ? algorithms[alg] : HASH_NONE;
	s.bytes = view_of(r.at, r.left);
	*ret = s;
	return 0;
}

int ima_signature_verify(const struct ima_entry *entry, EVP_PKEY *key, const char **ret_why)
{
	CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = NULL;
	struct ima_signature s;
	const EVP_MD *md;
	int r;

	r = ima_signature_parse(entry->signature, &s, ret_why);
	if (r < 0)
		return r;
	if (s.version != VERSION_DIGEST || s.alg == HASH_NONE || s.alg != entry->file_alg ||
	    entry->file_digest.len != hash_size(s.alg)) {
		*ret_why = "a signature over something else than the file's digest";
		return -ENOTSUP;
	}
	md = EVP_get_digestbyname(hash_name(s.alg));
	context = EVP_PKEY_CTX_new(key, NULL);
	if (!context || EVP_PKEY_verify_init(context) != 1)
		return -ENOMEM;
	if (!md || EVP_PKEY_CTX_set_signature_md(context, md) != 1)
		return 0;
	/* PKCS#1 v1.5 is what an RSA context has by default. */
	return EVP_PKEY_verify(context, s.bytes.data, s.bytes.len, entry->file_digest.data,
			       entry->file_digest.len) == 1;
}

int ima_key_id(EVP_PKEY *key, uint8_t ret[4])
{
	X509_PUBKEY *wrapped = NULL;
	const unsigned char *bits;
	struct digest d;
	int len, r = -EINVAL;

	if (X509_PUBKEY_set(&wrapped, key) == 1 &&
	    X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, wrapped) == 1 && len > 0)
		r = digest_of(HASH_SHA1, view_of(bits, (size_t)len), &d);
	X509_PUBKEY_free(wrapped);
	if (r == 0)
		memcpy(ret, d.bytes + d.size - 4, 4);
	return r;
}
