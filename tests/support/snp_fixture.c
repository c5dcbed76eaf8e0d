/* SPDX-License-Identifier: Apache-2.0 */
#include "snp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "quantity.h"

#define CA_BITS	    2048 /* AMD's are of 4096, which takes seconds to make */
#define AMD	    "1.3.6.1.4.1.3704.1."
#define SIGNED	    0x2a0
#define NUMBER	    48
#define NUMBER_AREA 72

static time_t instant(const char *text)
{
	int64_t t;

	assert_int_equal(quantity_instant(text, &t), 0);
	return (time_t)t;
}

static void set_name(X509_NAME *name, const char *common_name)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
						    (const unsigned char *)"Test Micro Devices", -1,
						    -1, 0),
			 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)common_name, -1, -1, 0),
			 1);
}

static X509 *describe(const char *subject, X509 *issuer, EVP_PKEY *key, long serial)
{
	X509 *x = X509_new();

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial), 1);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), instant(SNP_FIXTURE_NOT_BEFORE)));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), instant(SNP_FIXTURE_NOT_AFTER)));
	set_name(X509_get_subject_name(x), subject);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	return x;
}

/* RSASSA-PSS, SHA-384, MGF1 of the same, 48 bytes of salt. */
static EVP_MD_CTX *pss(EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	return ctx;
}

static void sign(X509 *x, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = pss(key);

	assert_true(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

static void add_conf(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *issue_ca(const char *format, const char *product, X509 *issuer, EVP_PKEY *issuer_key,
		      EVP_PKEY *key, long serial)
{
	char subject[64];
	X509 *x;

	snprintf(subject, sizeof(subject), "%s%s", format, product);
	x = describe(subject, issuer, key, serial);
	add_conf(x, NID_basic_constraints,
		 issuer ? "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE");
	add_conf(x, NID_key_usage,
		 issuer ? "critical,keyCertSign" : "critical,keyCertSign,cRLSign");
	sign(x, issuer_key);
	return x;
}

static void extend(struct snp_fixture_key *k, const char *oid, const void *value, size_t len)
{
	struct snp_fixture_extension *e = &k->extensions[k->n++];

	assert_true(k->n <= SNP_FIXTURE_EXTENSIONS && len <= sizeof(e->value));
	e->oid = oid;
	e->len = len;
	memcpy(e->value, value, len);
}

static void extend_number(struct snp_fixture_key *k, const char *oid, uint8_t n)
{
	const uint8_t small[] = { 2, 1, n }, large[] = { 2, 2, 0, n };

	if (n < 0x80)
		extend(k, oid, small, sizeof(small));
	else
		extend(k, oid, large, sizeof(large));
}

static void extend_text(struct snp_fixture_key *k, const char *oid, const char *text)
{
	uint8_t der[64] = { 0x16, (uint8_t)strlen(text) };

	memcpy(der + 2, text, strlen(text));
	extend(k, oid, der, 2 + strlen(text));
}

/* The TCB of every report here: each component another number, so that none passes for another. */
static const struct {
	const char *product;
	uint8_t tcb[8], family, model;
	uint32_t version;
	size_t hwid;
	struct {
		const char *oid;
		uint8_t value;
	} spls[8];
} products[] = {
	{ "Milan",
	  { 4, 1, 0, 0, 0, 0, 23, 213 },
	  0x19,
	  0x01,
	  3,
	  64,
	  { { AMD "3.1", 4 },
	    { AMD "3.2", 1 },
	    { AMD "3.4", 0 },
	    { AMD "3.5", 0 },
	    { AMD "3.6", 0 },
	    { AMD "3.7", 0 },
	    { AMD "3.3", 23 },
	    { AMD "3.8", 213 } } },
	{ "Genoa",
	  { 10, 1, 0, 0, 0, 0, 27, 84 },
	  0x19,
	  0x11,
	  5,
	  64,
	  { { AMD "3.1", 10 },
	    { AMD "3.2", 1 },
	    { AMD "3.4", 0 },
	    { AMD "3.5", 0 },
	    { AMD "3.6", 0 },
	    { AMD "3.7", 0 },
	    { AMD "3.3", 27 },
	    { AMD "3.8", 84 } } },
	{ "Turin",
	  { 7, 1, 2, 3, 0, 0, 0, 71 },
	  0x1a,
	  0x02,
	  5,
	  8,
	  { { AMD "3.9", 7 },
	    { AMD "3.1", 1 },
	    { AMD "3.2", 2 },
	    { AMD "3.3", 3 },
	    { AMD "3.5", 0 },
	    { AMD "3.6", 0 },
	    { AMD "3.7", 0 },
	    { AMD "3.8", 71 } } },
};

static void describe_key(struct snp_fixture_key *k, const char *subject, size_t product, bool vlek)
{
	uint8_t hwid[64];

	k->subject = subject;
	k->key = EVP_EC_gen("P-384");
	assert_non_null(k->key);
	extend_number(k, AMD "1", strcmp(products[product].product, "Turin") == 0);
	extend_text(k, AMD "2", products[product].product);
	for (size_t i = 0; i < 8; i++)
		extend_number(k, products[product].spls[i].oid, products[product].spls[i].value);
	memset(hwid, 0x5a, sizeof(hwid));
	if (vlek)
		extend_text(k, AMD "5", "CN=cloud.example");
	else
		extend(k, AMD "4", hwid, products[product].hwid);
}

static void make_report(struct snp_fixture *f, size_t product)
{
	uint8_t *r = f->report;

	r[0x000] = (uint8_t)products[product].version;
	r[0x008] = 0x1f;
	r[0x00a] = 0x03; /* SMT allowed, and the bit that is always one */
	r[0x034] = 1;
	memcpy(r + 0x038, products[product].tcb, 8);
	r[0x040] = 0x25;
	memset(r + 0x050, 0xda, 64);
	memset(r + 0x090, 0x3e, 48);
	memcpy(r + 0x180, products[product].tcb, 8);
	r[0x188] = products[product].family;
	r[0x189] = products[product].model;
	r[0x18a] = 1;
	memset(r + 0x1a0, 0x5a, products[product].hwid);
	memcpy(r + 0x1e0, products[product].tcb, 8);
	memcpy(r + 0x1f0, products[product].tcb, 8);
}

void snp_fixture_make_keys(struct snp_fixture_keys *ret)
{
	ret->ark = EVP_RSA_gen(CA_BITS);
	ret->ask = EVP_RSA_gen(CA_BITS);
	ret->asvk = EVP_RSA_gen(CA_BITS);
	assert_true(ret->ark && ret->ask && ret->asvk);
}

void snp_fixture_free_keys(struct snp_fixture_keys *keys)
{
	EVP_PKEY_free(keys->ark);
	EVP_PKEY_free(keys->ask);
	EVP_PKEY_free(keys->asvk);
}

void snp_fixture_init(struct snp_fixture *f, const struct snp_fixture_keys *keys,
		      const char *product)
{
	unsigned int n;
	size_t i = 0;

	while (strcmp(products[i].product, product) != 0)
		assert_true(++i < ARRAY_LEN(products));
	*f = (struct snp_fixture){ 0 };
	snprintf(f->product, sizeof(f->product), "%s", product);
	f->keys = keys;
	f->ark = issue_ca("ARK-", product, NULL, f->keys->ark, f->keys->ark, 1);
	f->ask = issue_ca("SEV-", product, f->ark, f->keys->ark, f->keys->ask, 2);
	f->asvk = issue_ca("SEV-VLEK-", product, f->ark, f->keys->ark, f->keys->asvk, 3);
	f->root.name = "the fixture's ARK";
	assert_int_equal(X509_digest(f->ark, EVP_sha256(), f->root.sha256, &n), 1);
	describe_key(&f->vcek, "SEV-VCEK", i, false);
	describe_key(&f->vlek, "SEV-VLEK", i, true);
	make_report(f, i);
}

void snp_fixture_done(struct snp_fixture *f)
{
	EVP_PKEY_free(f->vcek.key);
	EVP_PKEY_free(f->vlek.key);
	X509_free(f->ark);
	X509_free(f->ask);
	X509_free(f->asvk);
	X509_free(f->vcek.x);
	X509_free(f->vlek.x);
}

struct snp_fixture_extension *snp_fixture_extension(struct snp_fixture_key *k, const char *oid)
{
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->extensions[i].oid, oid) == 0)
			return &k->extensions[i];
	}
	assert_true(k->n < SNP_FIXTURE_EXTENSIONS);
	k->extensions[k->n].oid = oid;
	return &k->extensions[k->n++];
}

void snp_fixture_certify(struct snp_fixture *f, struct snp_fixture_key *k)
{
	bool vlek = k == &f->vlek;

	X509_free(k->x);
	k->x = describe(k->subject, vlek ? f->asvk : f->ask, k->key, 0);
	for (size_t i = 0; i < k->n; i++) {
		const struct snp_fixture_extension *e = &k->extensions[i];
		ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
		ASN1_OBJECT *oid = OBJ_txt2obj(e->oid, 1);
		X509_EXTENSION *x;

		assert_true(value && oid);
		assert_int_equal(ASN1_OCTET_STRING_set(value, e->value, (int)e->len), 1);
		x = X509_EXTENSION_create_by_OBJ(NULL, oid, e->critical, value);
		assert_non_null(x);
		if (e->len > 0)
			assert_int_equal(X509_add_ext(k->x, x, -1), 1);
		X509_EXTENSION_free(x);
		ASN1_OBJECT_free(oid);
		ASN1_OCTET_STRING_free(value);
	}
	sign(k->x, vlek ? f->keys->asvk : f->keys->ask);
}

static void put_number(const BIGNUM *n, uint8_t *to)
{
	assert_int_equal(BN_bn2lebinpad(n, to, NUMBER), NUMBER);
}

void snp_fixture_sign(struct snp_fixture *f, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[128];
	const unsigned char *at = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, f->report, SIGNED), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	assert_non_null(sig);
	put_number(ECDSA_SIG_get0_r(sig), f->report + SIGNED);
	put_number(ECDSA_SIG_get0_s(sig), f->report + SIGNED + NUMBER_AREA);
	ECDSA_SIG_free(sig);
}

X509_CRL *snp_fixture_crl(struct snp_fixture *f, X509 *revoked)
{
	ASN1_TIME *from = ASN1_TIME_set(NULL, instant(SNP_FIXTURE_NOT_BEFORE));
	ASN1_TIME *until = ASN1_TIME_set(NULL, instant(SNP_FIXTURE_NOT_AFTER));
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *r;
	EVP_MD_CTX *ctx;

	assert_true(crl && from && until);
	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(f->ark)), 1);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, until), 1);
	if (revoked) {
		r = X509_REVOKED_new();
		assert_non_null(r);
		assert_int_equal(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked)),
				 1);
		assert_int_equal(X509_REVOKED_set_revocationDate(r, from), 1);
		assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	}
	ctx = pss(f->keys->ark);
	assert_true(X509_CRL_sign_ctx(crl, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return crl;
}

static void endorse(struct endorsements *e, unsigned char *der, int len)
{
	const char *why = "";

	assert_true(len > 0);
	if (endorsements_add(e, view_of(der, (size_t)len), &why) != 0)
		fail_msg("%s", why);
	OPENSSL_free(der);
}

void snp_fixture_endorse(struct endorsements *e, X509 *x)
{
	unsigned char *der = NULL;
	int len;

	if (!x)
		return;
	len = i2d_X509(x, &der);
	endorse(e, der, len);
}

void snp_fixture_endorse_crl(struct endorsements *e, X509_CRL *crl)
{
	unsigned char *der = NULL;
	int len = i2d_X509_CRL(crl, &der);

	endorse(e, der, len);
}
