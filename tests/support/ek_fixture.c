/* SPDX-License-Identifier: Apache-2.0 */
#include "ek_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void set_name(X509_NAME *name, const char *common)
{
	if (common)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
							    (const unsigned char *)common, -1, -1,
							    0),
				 1);
}

static void add_extension(X509 *x, const char *name, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf(NULL, &ctx, name, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

X509 *ek_fixture_issue(const struct ek_fixture_certificate *c)
{
	X509_NAME *issuer = X509_NAME_new();
	X509 *x = X509_new();

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
	set_name(X509_get_subject_name(x), c->subject);
	set_name(issuer, c->issuer);
	assert_int_equal(X509_set_issuer_name(x, issuer), 1);
	X509_NAME_free(issuer);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)c->not_before));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)c->not_after));
	assert_int_equal(X509_set_pubkey(x, c->key), 1);
	for (size_t i = 0; c->extensions[i]; i += 2)
		add_extension(x, c->extensions[i], c->extensions[i + 1]);
	assert_true(X509_sign(x, c->issuer_key, EVP_get_digestbyname(c->digest)) > 0);
	return x;
}

void ek_fixture_der(X509 *x, struct bytes *ret)
{
	uint8_t *der = NULL;
	int len = i2d_X509(x, &der);

	assert_true(len > 0);
	assert_int_equal(bytes_append(ret, der, (size_t)len), 0);
	OPENSSL_free(der);
}

void ek_fixture_pem(X509 *x, struct bytes *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(bytes_append(ret, text, (size_t)len), 0);
	BIO_free(bio);
}
