/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include "claims.h"

EVP_PKEY *tpm_fixture_key(const char *kind)
{
	EVP_PKEY *key = strcmp(kind, "RSA") == 0
				? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
				: EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);

	assert_non_null(key);
	return key;
}

static void public_of_rsa(EVP_PKEY *key, TPMT_PUBLIC *p)
{
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	p->type = TPM2_ALG_RSA;
	p->parameters.rsaDetail.keyBits = (TPMI_RSA_KEY_BITS)BN_num_bits(n);
	p->unique.rsa.size = (UINT16)BN_bn2bin(n, p->unique.rsa.buffer);
	BN_free(n);
}

static void public_of_ec(EVP_PKEY *key, TPMT_PUBLIC *p)
{
	uint8_t point[256];
	size_t len, size;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
							 point, sizeof(point), &len),
			 1);
	size = (len - 1) / 2;
	p->type = TPM2_ALG_ECC;
	p->parameters.eccDetail.curveID = size == 32 ? TPM2_ECC_NIST_P256 : TPM2_ECC_NIST_P384;
	p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	p->unique.ecc.x.size = p->unique.ecc.y.size = (UINT16)size;
	memcpy(p->unique.ecc.x.buffer, point + 1, size);
	memcpy(p->unique.ecc.y.buffer, point + 1 + size, size);
}

TPMT_PUBLIC tpm_fixture_public(EVP_PKEY *key, TPMA_OBJECT attributes)
{
	TPMT_PUBLIC p = { .nameAlg = TPM2_ALG_SHA256, .objectAttributes = attributes };
	bool rsa = EVP_PKEY_is_a(key, "RSA");

	if (rsa)
		public_of_rsa(key, &p);
	else
		public_of_ec(key, &p);
	/* asymDetail begins alike for both. */
	if (attributes & TPMA_OBJECT_DECRYPT) {
		p.parameters.asymDetail.symmetric.algorithm = TPM2_ALG_AES;
		p.parameters.asymDetail.symmetric.keyBits.aes = 128;
		p.parameters.asymDetail.symmetric.mode.aes = TPM2_ALG_CFB;
		p.parameters.asymDetail.scheme.scheme = TPM2_ALG_NULL;
	} else {
		p.parameters.asymDetail.symmetric.algorithm = TPM2_ALG_NULL;
		p.parameters.asymDetail.scheme.scheme = rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
		p.parameters.asymDetail.scheme.details.anySig.hashAlg = TPM2_ALG_SHA256;
	}
	return p;
}

size_t tpm_fixture_marshal_public(const TPMT_PUBLIC *public, uint8_t *to, size_t size)
{
	size_t len = 0;

	assert_int_equal(Tss2_MU_TPMT_PUBLIC_Marshal(public, to, size, &len), TSS2_RC_SUCCESS);
	return len;
}

void tpm_fixture_add_value(struct tpm_fixture *f, unsigned int alg, unsigned int index,
			   uint8_t fill, size_t size)
{
	Assay__PcrValue *v = &f->values[f->n_values];

	assert_true(f->n_values < TPM_FIXTURE_VALUES && size <= DIGEST_MAX);
	memset(f->value_bytes[f->n_values], fill, size);
	assay__pcr_value__init(v);
	v->alg = alg;
	v->index = index;
	v->value = (ProtobufCBinaryData){ .len = size, .data = f->value_bytes[f->n_values] };
	f->n_values++;
}

void tpm_fixture_init(struct tpm_fixture *f, EVP_PKEY *key, struct view claims)
{
	TPML_PCR_SELECTION *pcrs = &f->attest.attested.quote.pcrSelect;
	struct digest qualifying;

	memset(f, 0, sizeof(*f));
	f->key = key;
	f->public = tpm_fixture_public(key, TPM_FIXTURE_AK);
	f->scheme = f->public.parameters.asymDetail.scheme.scheme;
	f->hash = HASH_SHA256;
	assert_int_equal(claims_qualifying(claims, &qualifying), 0);
	f->attest.magic = TPM2_GENERATED_VALUE;
	f->attest.type = TPM2_ST_ATTEST_QUOTE;
	f->attest.extraData.size = qualifying.size;
	memcpy(f->attest.extraData.buffer, qualifying.bytes, qualifying.size);
	f->attest.clockInfo = (TPMS_CLOCK_INFO){
		.clock = 1234567, .resetCount = 8, .restartCount = 2, .safe = 1
	};
	pcrs->count = 1;
	pcrs->pcrSelections[0] = (TPMS_PCR_SELECTION){ .hash = TPM2_ALG_SHA256,
						       .sizeofSelect = 3,
						       .pcrSelect = { 1 << 0 | 1 << 4, 1 << 1 } };
	tpm_fixture_add_value(f, HASH_SHA256, 0, 0, 32);
	tpm_fixture_add_value(f, HASH_SHA256, 4, 4, 32);
	tpm_fixture_add_value(f, HASH_SHA256, 9, 9, 32);
}

/* Over the values as they are shipped: the test ships them in selection order. */
static void compute_pcr_digest(struct tpm_fixture *f)
{
	TPM2B_DIGEST *to = &f->attest.attested.quote.pcrDigest;
	struct view parts[TPM_FIXTURE_VALUES];
	struct digest d;

	for (size_t i = 0; i < f->n_values; i++)
		parts[i] = view_of(f->values[i].value.data, f->values[i].value.len);
	assert_int_equal(digest_of_parts(f->hash, parts, f->n_values, &d), 0);
	to->size = d.size;
	memcpy(to->buffer, d.bytes, d.size);
}

static size_t sign(struct tpm_fixture *f, struct view data, uint8_t *to, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_int_equal(
		EVP_DigestSignInit_ex(ctx, &pctx, hash_name(f->hash), NULL, NULL, f->key, NULL), 1);
	if (f->scheme == TPM2_ALG_RSAPSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_MAX), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, to, &size, data.data, data.len), 1);
	EVP_MD_CTX_free(ctx);
	return size;
}

static size_t pack_signature(struct tpm_fixture *f)
{
	struct view data = view_of(f->report_bytes, f->report.report.len);
	TPMT_SIGNATURE s = { .sigAlg = f->scheme };
	uint8_t raw[1024];
	size_t len = sign(f, data, raw, sizeof(raw)), packed = 0;

	if (EVP_PKEY_is_a(f->key, "RSA")) {
		s.signature.rsassa.hash = (TPMI_ALG_HASH)f->hash;
		s.signature.rsassa.sig.size = (UINT16)len;
		memcpy(s.signature.rsassa.sig.buffer, raw, len);
	} else {
		const unsigned char *at = raw;
		ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
		TPMS_SIGNATURE_ECDSA *to = &s.signature.ecdsa;

		assert_non_null(sig);
		to->hash = (TPMI_ALG_HASH)f->hash;
		to->signatureR.size =
			(UINT16)BN_bn2bin(ECDSA_SIG_get0_r(sig), to->signatureR.buffer);
		to->signatureS.size =
			(UINT16)BN_bn2bin(ECDSA_SIG_get0_s(sig), to->signatureS.buffer);
		ECDSA_SIG_free(sig);
	}
	assert_int_equal(Tss2_MU_TPMT_SIGNATURE_Marshal(&s, f->signature_bytes,
							sizeof(f->signature_bytes), &packed),
			 TSS2_RC_SUCCESS);
	return packed;
}

static void compute_name(struct tpm_fixture *f)
{
	struct digest d;

	assert_int_equal(digest_of((enum hash_alg)f->public.nameAlg,
				   view_of(f->key_bytes, f->report.key.len), &d),
			 0);
	f->name[0] = (uint8_t)(f->public.nameAlg >> 8);
	f->name[1] = (uint8_t)f->public.nameAlg;
	memcpy(f->name + 2, d.bytes, d.size);
	f->name_len = 2u + d.size;
}

void tpm_fixture_pack(struct tpm_fixture *f)
{
	size_t len = 0;

	assay__chip_report__init(&f->report);
	f->report.platform = (char *)"tpm";
	if (!f->keep_pcr_digest)
		compute_pcr_digest(f);
	assert_int_equal(Tss2_MU_TPMS_ATTEST_Marshal(&f->attest, f->report_bytes,
						     sizeof(f->report_bytes), &len),
			 TSS2_RC_SUCCESS);
	if (f->edit_attest)
		len = f->edit_attest(f->report_bytes, len);
	f->report.report = (ProtobufCBinaryData){ .len = len, .data = f->report_bytes };
	f->report.signature =
		(ProtobufCBinaryData){ .len = pack_signature(f), .data = f->signature_bytes };
	f->report.key =
		(ProtobufCBinaryData){ .len = tpm_fixture_marshal_public(&f->public, f->key_bytes,
									 sizeof(f->key_bytes)),
				       .data = f->key_bytes };
	compute_name(f);
	for (size_t i = 0; i < f->n_values; i++)
		f->value_pointers[i] = &f->values[i];
	f->report.pcrs = f->value_pointers;
	f->report.n_pcrs = f->n_values;
}
