/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>

#include "digest.h"

#define NUMBER	   32
#define FIELD	   72
#define V1_SIGNED  180
#define V2_SIGNED  1024
#define ANONCE	   188
#define V1_SIGNER  336 /* PEK, serial, reserved, MAC */
#define V2_SIGNER  1168
#define PEK_SIZE   2084
#define SERIAL	   64
#define RESERVED   32
#define MAC	   32
#define MNONCE	   128
#define MEASURE	   144
#define USAGE_PEK  0x1002
#define USAGE_CEK  0x1004
#define USAGE_HSK  0x13
#define USAGE_NONE 0x1000
#define POLICY	   0x45 /* NODBG, ES, CSV3 */

static void put_le32(uint8_t *to, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static void put_number(uint8_t to[FIELD], const uint8_t big[NUMBER])
{
	memset(to, 0, FIELD);
	for (size_t i = 0; i < NUMBER; i++)
		to[i] = big[NUMBER - 1 - i];
}

/* Curve, x, y, the owner's id. */
static void put_key(uint8_t *to, EVP_PKEY *key, const char *user_id)
{
	uint8_t point[1 + 2 * NUMBER];
	size_t len;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
							 sizeof(point), &len),
			 1);
	assert_int_equal(len, sizeof(point));
	put_le32(to, 3);
	put_number(to + 4, point + 1);
	put_number(to + 4 + FIELD, point + 1 + NUMBER);
	to[4 + 2 * FIELD] = (uint8_t)strlen(user_id);
	memcpy(to + 4 + 2 * FIELD + 2, user_id, strlen(user_id));
}

/* r and s into their fields. */
static void sign(EVP_PKEY *key, const char *user_id, const uint8_t *data, size_t len, uint8_t *to)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_DIST_ID, (void *)user_id, strlen(user_id)),
		OSSL_PARAM_END,
	};
	uint8_t der[96], big[NUMBER];
	const uint8_t *at = der;
	size_t size = sizeof(der);
	ECDSA_SIG *sig;

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SM3", NULL, NULL, key, params), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &size, data, len), 1);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)size);
	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), big, NUMBER), NUMBER);
	put_number(to, big);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), big, NUMBER), NUMBER);
	put_number(to + FIELD, big);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

static void describe_root(uint8_t c[832], EVP_PKEY *key, uint8_t id, uint8_t signer_id,
			  uint32_t usage, const char *user_id)
{
	memset(c, 0, 832);
	put_le32(c, 1);
	memset(c + 4, id, 16);
	memset(c + 20, signer_id, 16);
	put_le32(c + 36, usage);
	put_key(c + 64, key, user_id);
}

static void describe_chip(uint8_t c[2084], EVP_PKEY *key, uint8_t signer_id, uint32_t usage,
			  const char *user_id)
{
	memset(c, 0, 2084);
	put_le32(c, 1);
	c[4] = 1;
	c[5] = 4;
	put_le32(c + 8, usage);
	put_le32(c + 12, 4);
	put_key(c + 16, key, user_id);
	memset(c + 420, signer_id, 16);
	put_le32(c + 1044, usage == USAGE_CEK ? USAGE_HSK : USAGE_CEK);
	put_le32(c + 1048, 4);
	put_le32(c + 1564, USAGE_NONE);
}

void csv_fixture_certify(struct csv_fixture *f)
{
	struct digest d;

	sign(f->hrk, "TEST-HRK", f->hrk_certificate, 576, f->hrk_certificate + 576);
	sign(f->hrk, "TEST-HRK", f->hsk_certificate, 576, f->hsk_certificate + 576);
	sign(f->hsk, "TEST-HSK", f->cek_certificate, 1044, f->cek_certificate + 1052);
	sign(f->cek, "TEST-CEK", f->pek_certificate, 1044, f->pek_certificate + 1052);
	assert_int_equal(digest_of(HASH_SHA256, view_of(f->hrk_certificate, 832), &d), 0);
	f->root.name = "test HRK";
	memcpy(f->root.sha256, d.bytes, sizeof(f->root.sha256));
}

void csv_fixture_init(struct csv_fixture *f)
{
	uint8_t data[64];

	*f = (struct csv_fixture){ 0 };
	f->hrk = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	f->hsk = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	f->cek = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	f->pek = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	assert_true(f->hrk && f->hsk && f->cek && f->pek);
	describe_root(f->hrk_certificate, f->hrk, 0xa1, 0xa1, 0, "TEST-HRK");
	describe_root(f->hsk_certificate, f->hsk, 0xa2, 0xa1, USAGE_HSK, "TEST-HSK");
	describe_chip(f->cek_certificate, f->cek, 0xa2, USAGE_CEK, "TEST-CEK");
	describe_chip(f->pek_certificate, f->pek, 0, USAGE_PEK, "TEST-PEK");
	csv_fixture_certify(f);
	memset(data, 0xda, sizeof(data));
	csv_fixture_report(f, 1, data);
}

void csv_fixture_done(struct csv_fixture *f)
{
	EVP_PKEY_free(f->hrk);
	EVP_PKEY_free(f->hsk);
	EVP_PKEY_free(f->cek);
	EVP_PKEY_free(f->pek);
}

void csv_fixture_report(struct csv_fixture *f, uint32_t version, const uint8_t report_data[64])
{
	uint8_t *p = f->plain;
	uint8_t *signer = p + (version == 1 ? V1_SIGNER : V2_SIGNER);

	memset(p, 0, sizeof(f->plain));
	f->version = version;
	f->report_size =
		(version == 1 ? V1_SIGNER : V2_SIGNER) + PEK_SIZE + SERIAL + RESERVED + MAC;
	memset(p + 32, 0x1d, 16);
	memcpy(p + 64, report_data, 64);
	memset(p + MNONCE, 0x5e, 16);
	memset(p + MEASURE, 0x3e, 32);
	put_le32(p + 176, POLICY);
	put_le32(p + 180, USAGE_PEK);
	put_le32(p + 184, 4);
	put_le32(p + ANONCE, version == 1 ? 0x1291429b : CSV_FIXTURE_EXTENDED);
	if (version > 1) {
		p[192] = 1;
		memset(p + 208, 0x3e, 32);
		for (size_t i = 1; i < 4; i++)
			memset(p + 208 + 32 * i, (int)(0x11 * i), 32);
	}
	memcpy(signer + PEK_SIZE, "TEST0001", 8);
	memset(signer + PEK_SIZE + SERIAL, 0x77, RESERVED);
}

static void mask(uint8_t *bytes, size_t len, const uint8_t anonce[4])
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= anonce[i % 4];
}

void csv_fixture_sign(struct csv_fixture *f)
{
	size_t at = f->version == 1 ? V1_SIGNER : V2_SIGNER;
	uint8_t *p = f->report, *signer = p + at;
	size_t len;

	memcpy(p, f->plain, sizeof(f->report));
	memcpy(signer, f->pek_certificate, PEK_SIZE);
	if (f->version == 1) {
		mask(p, ANONCE, p + ANONCE);
		mask(signer, PEK_SIZE + SERIAL, p + ANONCE);
	}
	sign(f->pek, "TEST-PEK", p, f->version == 1 ? V1_SIGNED : V2_SIGNED,
	     p + (f->version == 1 ? 192 : 1024));
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SM3", NULL, f->plain + MNONCE, 16, signer,
				  PEK_SIZE + SERIAL + RESERVED,
				  signer + PEK_SIZE + SERIAL + RESERVED, MAC, &len));
	assert_int_equal(len, MAC);
}

void csv_fixture_restore(struct csv_fixture *f)
{
	uint8_t *signer = f->report + (f->version == 1 ? V1_SIGNER : V2_SIGNER);

	if (f->version == 1)
		mask(signer, PEK_SIZE + SERIAL, f->report + ANONCE);
	memset(signer + PEK_SIZE + SERIAL, 0, RESERVED);
}

void csv_fixture_endorse(const struct csv_fixture *f, struct endorsements *e)
{
	const struct view all[] = {
		view_of(f->hrk_certificate, sizeof(f->hrk_certificate)),
		view_of(f->hsk_certificate, sizeof(f->hsk_certificate)),
		view_of(f->cek_certificate, sizeof(f->cek_certificate)),
	};
	const char *why = "";

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (endorsements_add(e, all[i], &why) != 0)
			fail_msg("%s", why);
	}
}
