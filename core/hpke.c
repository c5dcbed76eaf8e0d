/* SPDX-License-Identifier: Apache-2.0 */
#include "hpke.h"

#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "cleanup.h"
#include "hpke_suite.h"

#define KEM_ID	0x0020 /* RFC 9180, table 2: DHKEM(X25519, HKDF-SHA256) */
#define KDF_ID	0x0001 /* table 3: HKDF-SHA256 */
#define AES_GCM 0x0002 /* table 5: AES-256-GCM */

#define HASH_SIZE 32
#define MODE_BASE 0

const struct hpke_suite hpke_aes_256_gcm = { AES_GCM, "AES-256-GCM", 32 };

CLEANUP_FUNCTION(EVP_PKEY *, EVP_PKEY_free)
CLEANUP_FUNCTION(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
CLEANUP_FUNCTION(EVP_KDF *, EVP_KDF_free)
CLEANUP_FUNCTION(EVP_KDF_CTX *, EVP_KDF_CTX_free)
CLEANUP_FUNCTION(EVP_CIPHER *, EVP_CIPHER_free)
CLEANUP_FUNCTION(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

/* All of it, one after the other. In the secure heap, as most of what is joined here is secret. */
static int join(const struct view *parts, size_t n, struct secret *ret)
{
	struct secret s;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (parts[i].len > SECRET_MAX - len)
			return -EMSGSIZE;
		len += parts[i].len;
	}
	r = secret_new(len, &s);
	if (r < 0)
		return r;
	len = 0;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len > 0)
			memcpy(s.data + len, parts[i].data, parts[i].len);
		len += parts[i].len;
	}
	*ret = s;
	return 0;
}

static int hkdf(int mode, const struct secret *key, const char *with, struct view value, size_t len,
		struct secret *ret)
{
	CLEANUP(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	CLEANUP(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = NULL;
	struct secret s;
	int r;

	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key->data, key->len),
		OSSL_PARAM_construct_octet_string(with, (void *)value.data, value.len),
		OSSL_PARAM_construct_end(),
	};

	ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	if (!ctx)
		return -ENOMEM;
	r = secret_new(len, &s);
	if (r < 0)
		return r;
	if (EVP_KDF_derive(ctx, s.data, s.len, params) != 1) {
		secret_done(&s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

/* RFC 9180, section 4: LabeledExtract. The salt is a hash, or empty. */
static int labeled_extract(struct view suite_id, const struct secret *salt, const char *label,
			   struct view ikm, struct secret *ret)
{
	/* RFC 5869, 2.2: no salt is a salt of zeros. */
	static const uint8_t no_salt[HASH_SIZE];
	struct view parts[] = { view_text("HPKE-v1"), suite_id, view_text(label), ikm };
	CLEANUP(secret_done) struct secret labeled = { 0 };
	int r;

	r = join(parts, ARRAY_LEN(parts), &labeled);
	if (r < 0)
		return r;
	return hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, &labeled, OSSL_KDF_PARAM_SALT,
		    salt ? secret_view(salt) : view_of(no_salt, sizeof(no_salt)), HASH_SIZE, ret);
}

/* RFC 9180, section 4: LabeledExpand. */
static int labeled_expand(struct view suite_id, const struct secret *prk, const char *label,
			  struct view info, size_t len, struct secret *ret)
{
	uint8_t size[2] = { (uint8_t)(len >> 8), (uint8_t)len };
	struct view parts[] = { view_of(size, sizeof(size)), view_text("HPKE-v1"), suite_id,
				view_text(label), info };
	CLEANUP(secret_done) struct secret labeled = { 0 };
	int r;

	r = join(parts, ARRAY_LEN(parts), &labeled);
	if (r < 0)
		return r;
	return hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, OSSL_KDF_PARAM_INFO, secret_view(&labeled),
		    len, ret);
}

static int load_private(const struct secret *private_key, EVP_PKEY **ret)
{
	EVP_PKEY *key;

	if (private_key->len != HPKE_PRIVATE_SIZE)
		return -EINVAL;
	/* OpenSSL keeps its copy in the secure heap too (ossl_ecx_key_allocate_privkey). */
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key->data,
					   private_key->len);
	if (!key)
		return -ENOMEM;
	*ret = key;
	return 0;
}

int hpke_public(const struct secret *private_key, uint8_t ret[HPKE_PUBLIC_SIZE])
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	uint8_t public_key[HPKE_PUBLIC_SIZE];
	size_t len = sizeof(public_key);
	int r;

	r = load_private(private_key, &key);
	if (r < 0)
		return r;
	if (EVP_PKEY_get_raw_public_key(key, public_key, &len) != 1 || len != sizeof(public_key))
		return -EIO;
	memcpy(ret, public_key, sizeof(public_key));
	return 0;
}

static int diffie_hellman(const struct secret *private_key,
			  const uint8_t public_key[HPKE_PUBLIC_SIZE], struct secret *ret)
{
	static const uint8_t zero[HPKE_PUBLIC_SIZE];
	CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *own = NULL, *peer = NULL;
	struct secret s;
	size_t len;
	int r;

	r = load_private(private_key, &own);
	if (r < 0)
		return r;
	peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, HPKE_PUBLIC_SIZE);
	ctx = EVP_PKEY_CTX_new(own, NULL);
	if (!peer || !ctx)
		return -ENOMEM;
	if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1)
		return -EIO;
	r = secret_new(HPKE_PUBLIC_SIZE, &s);
	if (r < 0)
		return r;
	len = s.len;
	/*
	 * RFC 9180, 7.1.4: a point of small order yields zero whatever the private key.
	 * OpenSSL's own X25519 refuses it in derive; another provider's need not.
	 */
	if (EVP_PKEY_derive(ctx, s.data, &len) != 1 || len != s.len ||
	    CRYPTO_memcmp(s.data, zero, s.len) == 0) {
		secret_done(&s);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

/* RFC 9180, 4.1: ExtractAndExpand. */
static int extract_and_expand(const struct secret *dh, const uint8_t enc[HPKE_PUBLIC_SIZE],
			      const uint8_t public_key[HPKE_PUBLIC_SIZE], struct secret *ret)
{
	static const uint8_t id[] = { 'K', 'E', 'M', KEM_ID >> 8, KEM_ID & 0xff };
	struct view suite_id = view_of(id, sizeof(id));
	CLEANUP(secret_done) struct secret prk = { 0 };
	uint8_t context[2 * HPKE_PUBLIC_SIZE];
	int r;

	memcpy(context, enc, HPKE_PUBLIC_SIZE);
	memcpy(context + HPKE_PUBLIC_SIZE, public_key, HPKE_PUBLIC_SIZE);
	r = labeled_extract(suite_id, NULL, "eae_prk", secret_view(dh), &prk);
	if (r < 0)
		return r;
	return labeled_expand(suite_id, &prk, "shared_secret", view_of(context, sizeof(context)),
			      HASH_SIZE, ret);
}

int hpke_encap(const uint8_t public_key[HPKE_PUBLIC_SIZE], const struct secret *ephemeral,
	       uint8_t ret_enc[HPKE_PUBLIC_SIZE], struct secret *ret_shared)
{
	CLEANUP(secret_done) struct secret dh = { 0 };
	uint8_t enc[HPKE_PUBLIC_SIZE];
	int r;

	r = hpke_public(ephemeral, enc);
	if (r < 0)
		return r;
	r = diffie_hellman(ephemeral, public_key, &dh);
	if (r < 0)
		return r;
	r = extract_and_expand(&dh, enc, public_key, ret_shared);
	if (r < 0)
		return r;
	memcpy(ret_enc, enc, sizeof(enc));
	return 0;
}

int hpke_decap(const uint8_t enc[HPKE_PUBLIC_SIZE], const struct secret *private_key,
	       struct secret *ret_shared)
{
	CLEANUP(secret_done) struct secret dh = { 0 };
	uint8_t public_key[HPKE_PUBLIC_SIZE];
	int r;

	r = hpke_public(private_key, public_key);
	if (r < 0)
		return r;
	r = diffie_hellman(private_key, enc, &dh);
	if (r < 0)
		return r;
	return extract_and_expand(&dh, enc, public_key, ret_shared);
}

int hpke_key_schedule(const struct hpke_suite *suite, const struct secret *shared, struct view info,
		      struct secret *ret_key, uint8_t ret_nonce[HPKE_NONCE_SIZE])
{
	uint8_t id[] = { 'H',
			 'P',
			 'K',
			 'E',
			 KEM_ID >> 8,
			 KEM_ID & 0xff,
			 KDF_ID >> 8,
			 KDF_ID & 0xff,
			 (uint8_t)(suite->aead >> 8),
			 (uint8_t)suite->aead };
	struct view suite_id = view_of(id, sizeof(id)), none = view_of(NULL, 0);
	CLEANUP(secret_done) struct secret psk_id_hash = { 0 }, info_hash = { 0 }, secret = { 0 };
	CLEANUP(secret_done) struct secret nonce = { 0 };
	uint8_t context[1 + 2 * HASH_SIZE] = { MODE_BASE };
	int r;

	/* Base mode: psk and psk_id are empty (table 1 and 5.1). */
	r = labeled_extract(suite_id, NULL, "psk_id_hash", none, &psk_id_hash);
	if (r < 0)
		return r;
	r = labeled_extract(suite_id, NULL, "info_hash", info, &info_hash);
	if (r < 0)
		return r;
	memcpy(context + 1, psk_id_hash.data, HASH_SIZE);
	memcpy(context + 1 + HASH_SIZE, info_hash.data, HASH_SIZE);

	r = labeled_extract(suite_id, shared, "secret", none, &secret);
	if (r < 0)
		return r;
	r = labeled_expand(suite_id, &secret, "base_nonce", view_of(context, sizeof(context)),
			   HPKE_NONCE_SIZE, &nonce);
	if (r < 0)
		return r;
	r = labeled_expand(suite_id, &secret, "key", view_of(context, sizeof(context)),
			   suite->key_size, ret_key);
	if (r < 0)
		return r;
	memcpy(ret_nonce, nonce.data, HPKE_NONCE_SIZE);
	return 0;
}

/*
 * Starts the cipher with key and nonce of sequence number 0, the additional data
 * taken in. The key schedule that a cipher context holds is wiped when it is freed.
 */
static int aead_begin(const struct hpke_suite *suite, const struct secret *shared, struct view info,
		      struct view aad, bool encrypt, EVP_CIPHER_CTX **ret)
{
	CLEANUP(EVP_CIPHER_freep) EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
	CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	CLEANUP(secret_done) struct secret key = { 0 };
	uint8_t nonce[HPKE_NONCE_SIZE];
	int n, r;

	if (!cipher || !ctx)
		return -ENOMEM;
	if (aad.len > INT_MAX)
		return -EMSGSIZE;
	if ((size_t)EVP_CIPHER_get_key_length(cipher) != suite->key_size ||
	    EVP_CIPHER_get_iv_length(cipher) != HPKE_NONCE_SIZE)
		return -EINVAL;
	r = hpke_key_schedule(suite, shared, info, &key, nonce);
	if (r < 0)
		return r;
	if (EVP_CipherInit_ex2(ctx, cipher, key.data, nonce, encrypt, NULL) != 1)
		return -EIO;
	if (aad.len > 0 && EVP_CipherUpdate(ctx, NULL, &n, aad.data, (int)aad.len) != 1)
		return -EIO;
	*ret = TAKE(ctx);
	return 0;
}

static int seal(const struct hpke_suite *suite, const struct secret *ephemeral,
		const uint8_t public_key[HPKE_PUBLIC_SIZE], struct view info, struct view aad,
		struct view plain, uint8_t ret_enc[HPKE_PUBLIC_SIZE], struct bytes *ret)
{
	CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = NULL;
	CLEANUP(secret_done) struct secret shared = { 0 };
	uint8_t enc[HPKE_PUBLIC_SIZE], *to;
	int n = 0, end, r;

	/* Nobody could open more. */
	if (plain.len > SECRET_MAX)
		return -EMSGSIZE;
	r = bytes_reserve(ret, plain.len + HPKE_TAG_SIZE, &to);
	if (r < 0)
		return r;
	r = hpke_encap(public_key, ephemeral, enc, &shared);
	if (r < 0)
		return r;
	r = aead_begin(suite, &shared, info, aad, true, &ctx);
	if (r < 0)
		return r;
	if (plain.len > 0 && EVP_EncryptUpdate(ctx, to, &n, plain.data, (int)plain.len) != 1)
		return -EIO;
	if (EVP_EncryptFinal_ex(ctx, to + n, &end) != 1 || (size_t)(n + end) != plain.len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HPKE_TAG_SIZE, to + plain.len) != 1)
		return -EIO;
	ret->len += plain.len + HPKE_TAG_SIZE;
	memcpy(ret_enc, enc, sizeof(enc));
	return 0;
}

static int open_sealed(const struct hpke_suite *suite, const struct secret *private_key,
		       const uint8_t enc[HPKE_PUBLIC_SIZE], struct view info, struct view aad,
		       struct view sealed, struct secret *ret)
{
	CLEANUP(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = NULL;
	CLEANUP(secret_done) struct secret shared = { 0 }, plain = { 0 };
	struct reader reader = reader_of(sealed);
	uint8_t tag[HPKE_TAG_SIZE];
	struct view body;
	int n = 0, end, r;

	if (sealed.len < HPKE_TAG_SIZE)
		return -EBADMSG;
	r = read_view(&reader, sealed.len - HPKE_TAG_SIZE, &body);
	if (r < 0)
		return r;
	r = read_copy(&reader, tag, sizeof(tag));
	if (r < 0)
		return r;
	if (private_key->len != HPKE_PRIVATE_SIZE)
		return -EINVAL;

	r = secret_new(body.len, &plain);
	if (r < 0)
		return r;
	r = hpke_decap(enc, private_key, &shared);
	if (r < 0)
		/* It came from outside: not our caller's mistake. */
		return r == -EINVAL ? -EBADMSG : r;
	r = aead_begin(suite, &shared, info, aad, false, &ctx);
	if (r < 0)
		return r;
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, HPKE_TAG_SIZE, tag) != 1)
		return -EIO;
	if (body.len > 0 && EVP_DecryptUpdate(ctx, plain.data, &n, body.data, (int)body.len) != 1)
		return -EIO;
	/* What was decrypted is nobody's business before the tag is known to be right. */
	if (EVP_DecryptFinal_ex(ctx, plain.data + n, &end) != 1 || (size_t)(n + end) != plain.len)
		return -EBADMSG;
	*ret = plain;
	plain = (struct secret){ 0 };
	return 0;
}

/*
 * Refused input leaves entries in OpenSSL's error queue of this thread, where
 * SSL_get_error() of a connection that has nothing to do with it would find them.
 */
int hpke_seal_with(const struct hpke_suite *suite, const struct secret *ephemeral,
		   const uint8_t public_key[HPKE_PUBLIC_SIZE], struct view info, struct view aad,
		   struct view plain, uint8_t ret_enc[HPKE_PUBLIC_SIZE], struct bytes *ret)
{
	int r;

	ERR_set_mark();
	r = seal(suite, ephemeral, public_key, info, aad, plain, ret_enc, ret);
	ERR_pop_to_mark();
	return r;
}

int hpke_open_with(const struct hpke_suite *suite, const struct secret *private_key,
		   const uint8_t enc[HPKE_PUBLIC_SIZE], struct view info, struct view aad,
		   struct view sealed, struct secret *ret)
{
	int r;

	ERR_set_mark();
	r = open_sealed(suite, private_key, enc, info, aad, sealed, ret);
	ERR_pop_to_mark();
	return r;
}

int hpke_keypair(uint8_t ret_public[HPKE_PUBLIC_SIZE], struct secret *ret_private)
{
	CLEANUP(secret_done) struct secret s = { 0 };
	int r;

	/* RFC 7748, section 5: any 32 random bytes are a private key; X25519 clamps them. */
	r = secret_random(HPKE_PRIVATE_SIZE, &s);
	if (r < 0)
		return r;
	r = hpke_public(&s, ret_public);
	if (r < 0)
		return r;
	*ret_private = s;
	s = (struct secret){ 0 };
	return 0;
}

int hpke_seal(const uint8_t public_key[HPKE_PUBLIC_SIZE], struct view info, struct view aad,
	      struct view plain, uint8_t ret_enc[HPKE_PUBLIC_SIZE], struct bytes *ret)
{
	CLEANUP(secret_done) struct secret ephemeral = { 0 };
	int r;

	r = secret_random(HPKE_PRIVATE_SIZE, &ephemeral);
	if (r < 0)
		return r;
	return hpke_seal_with(&hpke_aes_256_gcm, &ephemeral, public_key, info, aad, plain, ret_enc,
			      ret);
}

int hpke_open(const struct secret *private_key, const uint8_t enc[HPKE_PUBLIC_SIZE],
	      struct view info, struct view aad, struct view sealed, struct secret *ret)
{
	return hpke_open_with(&hpke_aes_256_gcm, private_key, enc, info, aad, sealed, ret);
}
