/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "digest.h"
#include "tdx_fixture_sign.h"

/* The fixture's quoting enclave. Layout: Intel TDX DCAP Quoting Library API, appendix 3. */

#define QE_REPORT_DATA 320
#define CHAIN_MAX      (16 * 1024)

static const uint8_t intel[16] = {
	0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
	0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
};

void tdx_fixture_sign(EVP_PKEY *key, struct view data, uint8_t ret[64])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[80];
	const unsigned char *at = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, data.data, data.len), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32), 32);
	ECDSA_SIG_free(sig);
}

void tdx_fixture_describe_quote(struct tdx_fixture *f)
{
	static const uint8_t tee_tcb_svn[] = { 5, 1, 4 };
	uint8_t *b = f->body, *qe = f->qe_report;

	memcpy(b + TDX_FIXTURE_TEE_TCB_SVN, tee_tcb_svn, sizeof(tee_tcb_svn));
	memset(b + 16, 0x5e, 48);
	b[TDX_FIXTURE_ATTRIBUTES + 3] = 0x10; /* SEPT_VE_DISABLE */
	b[128] = 0xe7;
	memset(b + TDX_FIXTURE_MRTD, 0x3e, 48);
	for (int i = 0; i < 3; i++)
		memset(b + TDX_FIXTURE_RTMR0 + 48 * i, 0xa0 + i, 48);
	memcpy(b + TDX_FIXTURE_TEE_TCB_SVN_2, tee_tcb_svn, sizeof(tee_tcb_svn));

	qe[48] = 0x15; /* INIT, MODE64BIT, PROVISIONKEY */
	qe[56] = 0xe7;
	memset(qe + 64, 0x0e, 32);
	memset(qe + 128, 0xdc, 32);
	qe[256] = 2;
	qe[258] = 6;
	memset(f->auth, 0x1f, sizeof(f->auth));
}

void tdx_fixture_form(struct tdx_fixture *f, unsigned int version, unsigned int body_type)
{
	f->version = version;
	f->body_type = body_type;
}

void tdx_fixture_report_data(struct tdx_fixture *f, struct view data)
{
	uint8_t *at = f->body + TDX_FIXTURE_REPORT_DATA;

	assert_true(data.len <= 64);
	memset(at, 0, 64);
	if (data.len > 0)
		memcpy(at, data.data, data.len);
}

void tdx_fixture_new_attestation_key(struct tdx_fixture *f)
{
	EVP_PKEY_free(f->attestation_key);
	f->attestation_key = EVP_EC_gen("P-256");
	assert_non_null(f->attestation_key);
}

static void le16(struct bytes *b, unsigned int v)
{
	assert_int_equal(bytes_append_u8(b, v & 0xff), 0);
	assert_int_equal(bytes_append_u8(b, v >> 8 & 0xff), 0);
}

static void le32(struct bytes *b, size_t v)
{
	le16(b, v & 0xffff);
	le16(b, v >> 16 & 0xffff);
}

static void append(struct bytes *b, const void *data, size_t len)
{
	assert_int_equal(bytes_append(b, data, len), 0);
}

static size_t body_size(const struct tdx_fixture *f)
{
	return f->body_type == 2 ? 584 : f->body_type == 3 ? 648 : TDX_FIXTURE_BODY_MAX;
}

static void public_key(EVP_PKEY *key, uint8_t to[64])
{
	uint8_t point[65];
	size_t len;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
							 sizeof(point), &len),
			 1);
	assert_true(len == sizeof(point) && point[0] == 4);
	memcpy(to, point + 1, 64);
}

/* Header, descriptor of version 5, body. */
static void append_signed(const struct tdx_fixture *f, struct bytes *q)
{
	static const uint8_t user_data[20] = { 0 };

	le16(q, f->version);
	le16(q, 2); /* ECDSA P-256 */
	le32(q, 0x81);
	le32(q, 0);
	append(q, intel, sizeof(intel));
	append(q, user_data, sizeof(user_data));
	if (f->version == 5) {
		le16(q, f->body_type);
		le32(q, body_size(f));
	}
	append(q, f->body, body_size(f));
}

/* Type 6: the QE's report, which vouches for the key, and the chain of type 5 in it. */
static void append_certification(struct tdx_fixture *f, const uint8_t key[64], struct bytes *c)
{
	const struct view parts[] = { view_of(key, 64), view_of(f->auth, sizeof(f->auth)) };
	struct bytes chain = BYTES_INIT(CHAIN_MAX);
	uint8_t signature[64];
	struct digest bound;

	assert_int_equal(digest_of_parts(HASH_SHA256, parts, ARRAY_LEN(parts), &bound), 0);
	memset(f->qe_report + QE_REPORT_DATA, 0, 64);
	memcpy(f->qe_report + QE_REPORT_DATA, bound.bytes, bound.size);
	append(c, f->qe_report, sizeof(f->qe_report));
	tdx_fixture_sign(f->pck_key, view_of(f->qe_report, sizeof(f->qe_report)), signature);
	append(c, signature, sizeof(signature));
	le16(c, sizeof(f->auth));
	append(c, f->auth, sizeof(f->auth));
	tdx_fixture_append_pem(&chain, f->pck);
	tdx_fixture_append_pem(&chain, f->ca);
	tdx_fixture_append_pem(&chain, f->root);
	le16(c, 5);
	le32(c, chain.len);
	append(c, chain.data, chain.len);
	bytes_done(&chain);
}

void tdx_fixture_quote(struct tdx_fixture *f, struct bytes *ret)
{
	struct bytes q = BYTES_INIT(TDX_FIXTURE_QUOTE_MAX), c = BYTES_INIT(TDX_FIXTURE_QUOTE_MAX);
	uint8_t key[64], signature[64];

	append_signed(f, &q);
	tdx_fixture_sign(f->attestation_key, bytes_view(&q), signature);
	public_key(f->attestation_key, key);
	append_certification(f, key, &c);
	le32(&q, sizeof(signature) + sizeof(key) + 6 + c.len);
	append(&q, signature, sizeof(signature));
	append(&q, key, sizeof(key));
	le16(&q, 6);
	le32(&q, c.len);
	append(&q, c.data, c.len);
	bytes_done(&c);
	*ret = q;
}
