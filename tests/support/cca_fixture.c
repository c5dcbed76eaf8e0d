/* SPDX-License-Identifier: Apache-2.0 */
#include "cca_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "cleanup.h"
#include "verifier/cbor_writer.h"

#define TOKEN_MAX  8192
#define COORDINATE 48 /* P-384 */
#define POINT	   (1 + 2 * COORDINATE)
#define ES384	   (-35)

static EVP_PKEY *make_key(void)
{
	EVP_PKEY *k = EVP_EC_gen("P-384");

	assert_non_null(k);
	return k;
}

static struct digest key_digest(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	struct digest d;

	assert_true(len > 0);
	assert_int_equal(digest_of(HASH_SHA256, view_of(der, (size_t)len), &d), 0);
	OPENSSL_free(der);
	return d;
}

void cca_fixture_init(struct cca_fixture *f)
{
	struct digest d;

	*f = (struct cca_fixture){ .cpak = make_key(),
				   .rak = make_key(),
				   .other = make_key(),
				   .lifecycle = 0x3003,
				   .component_types = { "RMM", "AP_BL31" },
				   .size = 32 };
	memset(f->implementation_id, 0x7f, sizeof(f->implementation_id));
	memset(f->instance_id, 0x5a, sizeof(f->instance_id));
	f->instance_id[0] = 1;
	memset(f->component_measurements[0], 0xc0, 32);
	memset(f->component_measurements[1], 0xc1, 32);
	memset(f->signer_id, 0x51, sizeof(f->signer_id));
	memset(f->challenge, 0xca, sizeof(f->challenge));
	memset(f->rim, 0x3e, sizeof(f->rim));
	for (size_t i = 0; i < 4; i++)
		memset(f->rem[i], (int)(0x11 * (i + 1)), sizeof(f->rem[i]));
	d = key_digest(f->cpak);
	f->root.name = "a CPAK of our own";
	memcpy(f->root.sha256, d.bytes, sizeof(f->root.sha256));
}

void cca_fixture_done(struct cca_fixture *f)
{
	EVP_PKEY_free(f->cpak);
	EVP_PKEY_free(f->rak);
	EVP_PKEY_free(f->other);
}

static void put_int(struct bytes *to, int64_t n)
{
	assert_int_equal(cbor_writer_int(to, n), 0);
}

static void put_bytes(struct bytes *to, const void *data, size_t len)
{
	assert_int_equal(cbor_writer_bytes(to, view_of(data, len)), 0);
}

static void put_text(struct bytes *to, const char *text)
{
	assert_int_equal(cbor_writer_text(to, text), 0);
}

static void put_array(struct bytes *to, size_t n)
{
	assert_int_equal(cbor_writer_array(to, n), 0);
}

static void put_map(struct bytes *to, size_t n)
{
	assert_int_equal(cbor_writer_map(to, n), 0);
}

static void put_tag(struct bytes *to, uint64_t tag)
{
	assert_int_equal(cbor_writer_tag(to, tag), 0);
}

/* Claims, in the order they are put. */
struct claims_made {
	struct bytes body;
	size_t n;
	int64_t without, twice;
};

static bool claim(struct claims_made *m, int64_t key)
{
	if (key == m->without)
		return false;
	m->n++;
	put_int(&m->body, key);
	return true;
}

static void claim_bytes(struct claims_made *m, int64_t key, const void *data, size_t len)
{
	if (claim(m, key))
		put_bytes(&m->body, data, len);
	if (key == m->twice && claim(m, key))
		put_bytes(&m->body, data, len);
}

static void claim_text(struct claims_made *m, int64_t key, const char *text)
{
	if (claim(m, key))
		put_text(&m->body, text);
}

static struct bytes claims_end(struct claims_made *m)
{
	struct bytes all = BYTES_INIT(TOKEN_MAX);

	put_map(&all, m->n);
	assert_int_equal(bytes_append_view(&all, bytes_view(&m->body)), 0);
	bytes_done(&m->body);
	return all;
}

static void point_of(EVP_PKEY *key, uint8_t point[POINT])
{
	size_t len;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, POINT,
							 &len),
			 1);
	assert_int_equal(len, POINT);
	assert_int_equal(point[0], 4);
}

/* As the realm token carries it. */
static struct bytes carried(const struct cca_fixture *f, EVP_PKEY *key)
{
	struct bytes b = BYTES_INIT(256);
	uint8_t point[POINT];

	point_of(key, point);
	if (!f->profile_2023) {
		assert_int_equal(bytes_append(&b, point, sizeof(point)), 0);
		return b;
	}
	put_map(&b, 4);
	put_int(&b, 1);
	put_int(&b, 2);
	put_int(&b, -1);
	put_int(&b, 2);
	put_int(&b, -2);
	put_bytes(&b, point + 1, COORDINATE);
	put_int(&b, -3);
	put_bytes(&b, point + 1 + COORDINATE, COORDINATE);
	return b;
}

static struct bytes realm_claims(const struct cca_fixture *f)
{
	struct claims_made m = { .body = BYTES_INIT(TOKEN_MAX),
				 .without = f->without_realm_claim,
				 .twice = f->twice_realm_claim };
	struct bytes rak = carried(f, f->rak);

	if (f->realm_profile)
		claim_text(&m, 265, f->realm_profile);
	else if (f->profile_2023)
		claim_text(&m, 265, "tag:arm.com,2023:realm#1.0.0");
	claim_bytes(&m, 10, f->challenge, sizeof(f->challenge));
	claim_bytes(&m, 44235, f->personalization, sizeof(f->personalization));
	claim_text(&m, 44236, "sha-256");
	claim_bytes(&m, 44237, rak.data, rak.len);
	claim_bytes(&m, 44238, f->rim, f->size);
	if (claim(&m, 44239)) {
		put_array(&m.body, 4);
		for (size_t i = 0; i < 4; i++)
			put_bytes(&m.body, f->rem[i], f->size);
	}
	claim_text(&m, 44240, f->key_hash_name ? f->key_hash_name : "sha-256");
	bytes_done(&rak);
	return claims_end(&m);
}

static struct bytes platform_claims(const struct cca_fixture *f)
{
	struct claims_made m = { .body = BYTES_INIT(TOKEN_MAX),
				 .without = f->without_platform_claim };
	struct bytes rak = carried(f, f->vouched ? f->vouched : f->rak);
	struct digest nonce;

	assert_int_equal(digest_of(HASH_SHA256, bytes_view(&rak), &nonce), 0);
	bytes_done(&rak);
	claim_text(&m, 265,
		   f->platform_profile ? f->platform_profile
		   : f->profile_2023   ? "tag:arm.com,2023:cca_platform#1.0.0"
				       : "http://arm.com/CCA-SSD/1.0.0");
	claim_bytes(&m, 10, nonce.bytes, nonce.size);
	claim_bytes(&m, 2396, f->implementation_id, sizeof(f->implementation_id));
	claim_bytes(&m, 256, f->instance_id, sizeof(f->instance_id));
	claim_bytes(&m, 2401, "\xcf\xcf\xcf\xcf", 4);
	if (claim(&m, 2395))
		put_int(&m.body, (int64_t)f->lifecycle);
	claim_text(&m, 2402, "sha-256");
	if (claim(&m, 2399)) {
		put_array(&m.body, CCA_FIXTURE_COMPONENTS);
		for (size_t i = 0; i < CCA_FIXTURE_COMPONENTS; i++) {
			put_map(&m.body, 4);
			put_int(&m.body, 1);
			put_text(&m.body, f->component_types[i]);
			put_int(&m.body, 2);
			put_bytes(&m.body, f->component_measurements[i], 32);
			put_int(&m.body, 4);
			put_text(&m.body, "1.0");
			put_int(&m.body, 5);
			put_bytes(&m.body, f->signer_id, sizeof(f->signer_id));
		}
	}
	return claims_end(&m);
}

/* RFC 9053, 2.1: r and s, each as wide as the curve. */
static void sign(EVP_PKEY *key, struct view tbs, uint8_t ret[2 * COORDINATE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[128];
	const unsigned char *at = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, tbs.data, tbs.len), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, COORDINATE), COORDINATE);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + COORDINATE, COORDINATE),
			 COORDINATE);
	ECDSA_SIG_free(sig);
}

static struct bytes header(const struct cca_fixture *f, int64_t algorithm)
{
	struct bytes b = BYTES_INIT(64);

	put_map(&b, (size_t)!f->algorithm_unprotected + f->critical_header);
	if (!f->algorithm_unprotected) {
		put_int(&b, 1);
		put_int(&b, algorithm);
	}
	if (f->critical_header) {
		put_int(&b, 2);
		put_array(&b, 1);
		put_int(&b, 1);
	}
	return b;
}

static struct bytes message(const struct cca_fixture *f, struct bytes claims, EVP_PKEY *key,
			    int64_t algorithm)
{
	struct bytes b = BYTES_INIT(TOKEN_MAX), tbs = BYTES_INIT(TOKEN_MAX);
	struct bytes h = header(f, algorithm);
	uint8_t signature[2 * COORDINATE];

	put_array(&tbs, 4);
	put_text(&tbs, "Signature1");
	put_bytes(&tbs, h.data, h.len);
	put_bytes(&tbs, "", 0);
	put_bytes(&tbs, claims.data, claims.len);
	sign(key, bytes_view(&tbs), signature);
	bytes_done(&tbs);

	put_tag(&b, 18);
	put_array(&b, 4);
	put_bytes(&b, h.data, h.len);
	put_map(&b, f->algorithm_unprotected);
	if (f->algorithm_unprotected) {
		put_int(&b, 1);
		put_int(&b, algorithm);
	}
	put_bytes(&b, claims.data, claims.len);
	put_bytes(&b, signature, sizeof(signature));
	bytes_done(&h);
	bytes_done(&claims);
	return b;
}

static void put_token(const struct cca_fixture *f, struct bytes *to, int64_t label,
		      struct bytes token)
{
	put_int(to, label);
	if (f->wrapped) {
		put_array(to, 2);
		put_int(to, 263);
	}
	put_bytes(to, token.data, token.len);
	bytes_done(&token);
}

void cca_fixture_token(const struct cca_fixture *f, struct bytes *ret)
{
	*ret = BYTES_INIT(2 * TOKEN_MAX);
	put_tag(ret, f->wrapped ? 907 : 399);
	put_map(ret, 2);
	put_token(f, ret, 44234,
		  message(f, platform_claims(f), f->platform_signer ? f->platform_signer : f->cpak,
			  f->platform_algorithm ? f->platform_algorithm : ES384));
	put_token(f, ret, 44241,
		  message(f, realm_claims(f), f->realm_signer ? f->realm_signer : f->rak, ES384));
}

void cca_fixture_public_pem(EVP_PKEY *key, struct bytes *ret)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_PUBKEY(b, key), 1);
	len = BIO_get_mem_data(b, &text);
	*ret = BYTES_INIT(4096);
	assert_int_equal(bytes_append(ret, text, (size_t)len), 0);
	BIO_free(b);
}

void cca_fixture_endorse(const struct cca_fixture *f, struct endorsements *e)
{
	CLEANUP(bytes_cleanup) struct bytes pem = BYTES_INIT(0);
	const char *why;

	cca_fixture_public_pem(f->cpak, &pem);
	assert_int_equal(endorsements_add(e, bytes_view(&pem), &why), 0);
}
