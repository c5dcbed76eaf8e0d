/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "cleanup.h"
#include "ek_certificate.h"
#include "tpm_public.h"

#define LABEL "IDENTITY" /* its zero byte is part of it: part 1, B.10.4 and C.6.4 */

static int judge_ek_public(const struct credential_request *q, struct appraisal *a)
{
	static const char expected[] = "a storage key of the TPM, the one in the EK certificate";
	CLEANUP(cleanup_x509) X509 *certificate = NULL;
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	struct tpm_public ek;
	const char *why;
	int r;

	r = tpm_public_parse(q->ek_public, &ek, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(a, "enrolment.ek", expected, "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	why = tpm_public_ek_fault(&ek);
	if (why) {
		appraisal_refuse(a, "enrolment.ek", expected, "%s", why);
		return 0;
	}
	r = ek_certificate_parse(q->ek_certificate, &certificate);
	if (r < 0)
		return r;
	r = tpm_public_key(&ek, &key);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !X509_get0_pubkey(certificate) ||
	    EVP_PKEY_eq(key, X509_get0_pubkey(certificate)) != 1) {
		ERR_clear_error();
		appraisal_refuse(a, "enrolment.ek", expected, "another key");
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

static int judge_ak_public(struct view raw, struct appraisal *a, struct bytes *ret_name)
{
	static const char expected[] = "a restricted signing key made in the TPM";
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	struct tpm_public ak;
	const char *why = NULL;
	int r;

	r = tpm_public_parse(raw, &ak, &why);
	if (r == 0)
		why = tpm_public_ak_fault(&ak);
	if (r == 0 && !why) {
		r = tpm_public_key(&ak, &key);
		why = "it is not RSA of 2048 to 4096 bits, P-256, P-384 or P-521";
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !key) {
		appraisal_refuse(a, "enrolment.ak", expected, "%s", why);
		return 0;
	}
	r = bytes_append_view(ret_name, tpm_public_name(&ak));
	if (r < 0)
		return r;
	appraisal_pass(a);
	return 1;
}

int credential_judge(const struct credential_request *request, struct view roots, int64_t now,
		     struct appraisal *a, struct bytes *ret_ak_name)
{
	int r;

	r = ek_certificate_judge(request->ek_certificate, request->ek_chain, roots, now, a);
	if (r <= 0)
		return r;
	r = judge_ek_public(request, a);
	if (r <= 0)
		return r;
	return judge_ak_public(request->ak_public, a, ret_ak_name);
}

/* What MakeCredential works with; all of it is wiped at the end. */
struct sealing {
	struct tpm_public ek;
	EVP_PKEY *key;
	enum hash_alg hash; /* the EK's name algorithm */
	size_t size;	    /* of its digests */
	size_t key_size;    /* of the AES key */
	const EVP_CIPHER *cipher;
	uint8_t seed[DIGEST_MAX];
};

static void sealing_done(struct sealing *s)
{
	EVP_PKEY_free(s->key);
	OPENSSL_cleanse(s, sizeof(*s));
}

static void cleanup_pkey_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cleanup_cipher_ctx(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}

static void cleanup_kdf_ctx(EVP_KDF_CTX **c)
{
	EVP_KDF_CTX_free(*c);
}

static int kdf_new(const char *name, EVP_KDF_CTX **ret)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);

	*ret = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	EVP_KDF_free(kdf);
	return *ret ? 0 : -ENOMEM;
}

/* KDFa (part 1, 11.4.10.2) is SP 800-108's counter mode with HMAC. */
static int kdfa(const struct sealing *s, const char *label, struct view context, uint8_t *to,
		size_t len)
{
	CLEANUP(cleanup_kdf_ctx) EVP_KDF_CTX *ctx = NULL;
	OSSL_PARAM params[7], *p = params;
	int r;

	r = kdf_new("KBKDF", &ctx);
	if (r < 0)
		return r;
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, (char *)"HMAC", 0);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hash_name(s->hash),
						0);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)"counter", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)s->seed, s->size);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, strlen(label));
	if (context.len > 0)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)context.data,
							 context.len);
	*p = OSSL_PARAM_construct_end();
	return EVP_KDF_derive(ctx, to, len, params) == 1 ? 0 : -EIO;
}

static int seal_seed_rsa(struct sealing *s, struct bytes *ret)
{
	CLEANUP(cleanup_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);
	CLEANUP(cleanup_mem) void *label = OPENSSL_memdup(LABEL, sizeof(LABEL));
	const EVP_MD *md = EVP_get_digestbyname(hash_name(s->hash));
	uint8_t *to;
	size_t len = 0;
	int r;

	if (!ctx || !label || !md)
		return -ENOMEM;
	if (RAND_priv_bytes(s->seed, (int)s->size) != 1)
		return -EIO;
	if (EVP_PKEY_encrypt_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) != 1 ||
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(LABEL)) != 1)
		return -EIO;
	TAKE(label);
	if (EVP_PKEY_encrypt(ctx, NULL, &len, s->seed, s->size) != 1)
		return -EIO;
	r = bytes_append_be16(ret, (uint16_t)len);
	if (r < 0)
		return r;
	r = bytes_reserve(ret, len, &to);
	if (r < 0)
		return r;
	if (EVP_PKEY_encrypt(ctx, to, &len, s->seed, s->size) != 1)
		return -EIO;
	ret->len += len;
	return 0;
}

/* An uncompressed point, and the views of its coordinates. */
struct point {
	uint8_t bytes[1 + 2 * TPM2_MAX_ECC_KEY_BYTES];
	struct view x, y;
};

static int point_of(EVP_PKEY *key, struct point *ret)
{
	size_t len;

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ret->bytes,
					    sizeof(ret->bytes), &len) != 1 ||
	    len < 3 || ret->bytes[0] != 0x04)
		return -EIO;
	ret->x = view_of(ret->bytes + 1, (len - 1) / 2);
	ret->y = view_of(ret->bytes + 1 + (len - 1) / 2, (len - 1) / 2);
	return 0;
}

/* KDFe (part 1, 11.4.10.3) is SP 800-56A's one-step KDF: counter, Z, label, both x. */
static int kdfe(struct sealing *s, struct view z, struct view ours, struct view theirs)
{
	CLEANUP(cleanup_kdf_ctx) EVP_KDF_CTX *ctx = NULL;
	struct bytes info = BYTES_INIT(sizeof(LABEL) + 2 * TPM2_MAX_ECC_KEY_BYTES);
	OSSL_PARAM params[4], *p = params;
	int r;

	r = kdf_new("SSKDF", &ctx);
	if (r == 0)
		r = bytes_append(&info, LABEL, sizeof(LABEL));
	if (r == 0)
		r = bytes_append_view(&info, ours);
	if (r == 0)
		r = bytes_append_view(&info, theirs);
	if (r == 0) {
		*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
							(char *)hash_name(s->hash), 0);
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)z.data, z.len);
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data, info.len);
		*p = OSSL_PARAM_construct_end();
		if (EVP_KDF_derive(ctx, s->seed, s->size, params) != 1)
			r = -EIO;
	}
	bytes_done(&info);
	return r;
}

static int derive_seed(struct sealing *s, EVP_PKEY *ephemeral, const struct point *ours)
{
	CLEANUP(cleanup_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ephemeral, NULL);
	uint8_t z[TPM2_MAX_ECC_KEY_BYTES];
	size_t len = sizeof(z);
	struct point theirs;
	int r;

	if (!ctx)
		return -ENOMEM;
	if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, s->key) != 1 ||
	    EVP_PKEY_derive(ctx, z, &len) != 1)
		return -EIO;
	r = point_of(s->key, &theirs);
	if (r == 0)
		r = kdfe(s, view_of(z, len), ours->x, theirs.x);
	OPENSSL_cleanse(z, sizeof(z));
	return r;
}

static int seal_seed_ecc(struct sealing *s, struct bytes *ret)
{
	CLEANUP(cleanup_pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);
	CLEANUP(cleanup_pkey) EVP_PKEY *ephemeral = NULL;
	struct point ours;
	int r;

	if (!ctx)
		return -ENOMEM;
	if (EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_keygen(ctx, &ephemeral) != 1)
		return -EIO;
	r = point_of(ephemeral, &ours);
	if (r < 0)
		return r;
	r = derive_seed(s, ephemeral, &ours);
	if (r < 0)
		return r;
	/* TPM2B_ENCRYPTED_SECRET of a TPMS_ECC_POINT. */
	r = bytes_append_be16(ret, (uint16_t)(2 + ours.x.len + 2 + ours.y.len));
	if (r < 0)
		return r;
	r = bytes_append_be16(ret, (uint16_t)ours.x.len);
	if (r < 0)
		return r;
	r = bytes_append_view(ret, ours.x);
	if (r < 0)
		return r;
	r = bytes_append_be16(ret, (uint16_t)ours.y.len);
	if (r < 0)
		return r;
	return bytes_append_view(ret, ours.y);
}

static const struct {
	TPMI_ALG_PUBLIC type;
	int (*seal_seed)(struct sealing *s, struct bytes *ret);
} kinds[] = {
	{ TPM2_ALG_RSA, seal_seed_rsa },
	{ TPM2_ALG_ECC, seal_seed_ecc },
};

static int seal_seed(struct sealing *s, struct bytes *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].type == s->ek.area.type)
			return kinds[i].seal_seed(s, ret);
	}
	return -EBADMSG;
}

static const struct {
	TPM2_KEY_BITS bits;
	const EVP_CIPHER *(*cipher)(void);
} ciphers[] = {
	{ 128, EVP_aes_128_cfb128 },
	{ 192, EVP_aes_192_cfb128 },
	{ 256, EVP_aes_256_cfb128 },
};

static int sealing_begin(struct view ek_public, struct sealing *ret)
{
	const TPMT_SYM_DEF_OBJECT *sym;
	const char *why;
	int r;

	r = tpm_public_parse(ek_public, &ret->ek, &why);
	if (r < 0)
		return r;
	if (tpm_public_ek_fault(&ret->ek))
		return -EBADMSG;
	/* asymDetail begins alike for every kind of key. */
	sym = &ret->ek.area.parameters.asymDetail.symmetric;
	if (sym->algorithm != TPM2_ALG_AES || sym->mode.aes != TPM2_ALG_CFB)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(ciphers); i++) {
		if (ciphers[i].bits == sym->keyBits.aes)
			ret->cipher = ciphers[i].cipher();
	}
	if (!ret->cipher)
		return -EBADMSG;
	ret->key_size = sym->keyBits.aes / 8u;
	ret->hash = (enum hash_alg)ret->ek.area.nameAlg;
	ret->size = hash_size(ret->hash);
	return tpm_public_key(&ret->ek, &ret->key);
}

/* encIdentity: TPM2B_DIGEST credential, in CFB under KDFa(seed, "STORAGE", name), IV zero. */
static int encrypt_identity(const struct sealing *s, struct view name, struct view credential,
			    uint8_t to[2 + DIGEST_MAX])
{
	CLEANUP(cleanup_cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	static const uint8_t iv[16];
	const uint8_t size[2] = { (uint8_t)(credential.len >> 8), (uint8_t)credential.len };
	uint8_t key[32];
	int n = 0, r;

	if (!ctx)
		return -ENOMEM;
	r = kdfa(s, "STORAGE", name, key, s->key_size);
	if (r == 0 &&
	    (EVP_EncryptInit_ex2(ctx, s->cipher, key, iv, NULL) != 1 ||
	     EVP_EncryptUpdate(ctx, to, &n, size, 2) != 1 ||
	     EVP_EncryptUpdate(ctx, to + 2, &n, credential.data, (int)credential.len) != 1))
		r = -EIO;
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

/* outerHMAC: over encIdentity and the name, under KDFa(seed, "INTEGRITY"). */
static int integrity(const struct sealing *s, struct view identity, struct view name,
		     uint8_t to[DIGEST_MAX])
{
	uint8_t key[DIGEST_MAX], data[2 + DIGEST_MAX + TPM_NAME_MAX];
	size_t len;
	int r;

	memcpy(data, identity.data, identity.len);
	memcpy(data + identity.len, name.data, name.len);
	r = kdfa(s, "INTEGRITY", view_of(NULL, 0), key, s->size);
	if (r == 0 && !EVP_Q_mac(NULL, "HMAC", NULL, hash_name(s->hash), NULL, key, s->size, data,
				 identity.len + name.len, to, DIGEST_MAX, &len))
		r = -EIO;
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

static int append_id_object(const struct sealing *s, struct view name, struct view credential,
			    struct bytes *ret)
{
	uint8_t identity[2 + DIGEST_MAX], mac[DIGEST_MAX];
	struct view sealed = view_of(identity, 2 + credential.len);
	int r;

	r = encrypt_identity(s, name, credential, identity);
	if (r < 0)
		return r;
	r = integrity(s, sealed, name, mac);
	if (r < 0)
		return r;
	r = bytes_append_be16(ret, (uint16_t)(2 + s->size + sealed.len));
	if (r < 0)
		return r;
	r = bytes_append_be16(ret, (uint16_t)s->size);
	if (r < 0)
		return r;
	r = bytes_append(ret, mac, s->size);
	if (r < 0)
		return r;
	return bytes_append_view(ret, sealed);
}

int credential_make(struct view ek_public, struct view ak_name, struct view credential,
		    struct bytes *ret_blob, struct bytes *ret_seed)
{
	CLEANUP(sealing_done) struct sealing s = { 0 };
	int r;

	r = sealing_begin(ek_public, &s);
	if (r < 0)
		return r;
	if (credential.len == 0 || credential.len > s.size || ak_name.len == 0 ||
	    ak_name.len > TPM_NAME_MAX)
		return -EINVAL;
	r = seal_seed(&s, ret_seed);
	if (r == 0)
		r = append_id_object(&s, ak_name, credential, ret_blob);
	ERR_clear_error();
	return r;
}
