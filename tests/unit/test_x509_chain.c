/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "cleanup.h"
#include "x509_chain.h"

/* A root, a CA and a leaf, made here; days are counted from DAY_0. */

#define DAY   86400
#define DAY_0 1700000000

struct pki {
	EVP_PKEY *keys[3]; /* root, CA, leaf */
	X509 *certificates[3];
	bool pss;
};

enum { ROOT, CA, LEAF };

static EVP_PKEY *new_key(bool rsa)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");

	assert_non_null(key);
	return key;
}

/* As AMD signs: RSASSA-PSS, SHA-384, salt 48. */
static EVP_MD_CTX *signer(EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	if (EVP_PKEY_is_a(key, "RSA")) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	}
	return ctx;
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *new_certificate(struct pki *p, int which, int from, int until)
{
	static const char *const names[] = { "Test Root", "Test CA", "Test Leaf" };
	int issuer = which == ROOT ? ROOT : which - 1;
	X509 *x = X509_new();
	EVP_MD_CTX *ctx;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), which);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)names[which], -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)names[issuer], -1, -1, 0);
	ASN1_TIME_set(X509_getm_notBefore(x), DAY_0 + from * (time_t)DAY);
	ASN1_TIME_set(X509_getm_notAfter(x), DAY_0 + until * (time_t)DAY);
	X509_set_pubkey(x, p->keys[which]);
	add_extension(x, NID_basic_constraints,
		      which == LEAF ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add_extension(x, NID_key_usage,
		      which == LEAF ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
	ctx = signer(p->keys[issuer]);
	assert_true(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	return x;
}

static struct pki new_pki(bool pss)
{
	struct pki p = { .pss = pss };

	for (int i = 0; i < 3; i++)
		p.keys[i] = new_key(pss && i != LEAF);
	p.certificates[ROOT] = new_certificate(&p, ROOT, 0, 1000);
	p.certificates[CA] = new_certificate(&p, CA, 10, 500);
	p.certificates[LEAF] = new_certificate(&p, LEAF, 20, 100);
	return p;
}

static void pki_done(struct pki *p)
{
	for (int i = 0; i < 3; i++) {
		EVP_PKEY_free(p->keys[i]);
		X509_free(p->certificates[i]);
	}
}

/* By its issuer, of days from..until; the serial is on it, where it is not -1. */
static X509_CRL *new_crl(struct pki *p, int issuer, int from, int until, int serial)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	X509_REVOKED *r;
	EVP_MD_CTX *ctx;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(p->certificates[issuer]));
	ASN1_TIME_set(t, DAY_0 + from * (time_t)DAY);
	X509_CRL_set1_lastUpdate(crl, t);
	if (serial >= 0) {
		r = X509_REVOKED_new();
		ASN1_INTEGER *number = ASN1_INTEGER_new();

		ASN1_INTEGER_set(number, serial);
		X509_REVOKED_set_serialNumber(r, number);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
		ASN1_INTEGER_free(number);
	}
	ASN1_TIME_set(t, DAY_0 + until * (time_t)DAY);
	X509_CRL_set1_nextUpdate(crl, t);
	ASN1_TIME_free(t);
	ctx = signer(p->keys[issuer]);
	assert_true(X509_CRL_sign_ctx(crl, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	return crl;
}

/* What is in force by default: lists of both issuers, of days 40 to 60, judged on day 50. */
struct trial {
	const char *what;
	int day;
	int root_from, root_until, root_lists; /* root_until 0: no list; lists -1: nobody */
	int ca_from, ca_until, ca_lists;
	unsigned int needed;
	bool held;
	const char *says;
};

#define LISTS 40, 60, -1, 40, 60, -1

static const struct trial trials[] = {
	{ "all in order", 50, LISTS, 3, true, NULL },
	{ "no list, and none needed", 50, 0, 0, -1, 0, 0, -1, 0, true, NULL },
	{ "the CA's list missing", 50, 40, 60, -1, 0, 0, -1, 3, false, "none" },
	{ "the CA's list missing where only the root's is needed", 50, 40, 60, -1, 0, 0, -1, 2,
	  true, NULL },
	{ "the root's list missing", 50, 0, 0, -1, 40, 60, -1, 3, false, "none" },
	{ "a stale list", 61, LISTS, 3, false, "expired" },
	{ "a list of tomorrow", 39, LISTS, 3, false, "not yet valid" },
	{ "a leaf that is revoked", 50, 40, 60, -1, 40, 60, LEAF, 3, false, "revoked" },
	{ "a CA that is revoked", 50, 40, 60, CA, 40, 60, -1, 3, false, "revoked" },
	{ "revoked, where no list is needed", 50, 40, 60, CA, 40, 60, -1, 0, false, "revoked" },
	{ "revoked by a list that is stale", 50, 40, 60, -1, 30, 45, LEAF, 0, false, "revoked" },
	{ "revoked only later", 50, 40, 60, -1, 55, 70, LEAF, 2, true, NULL },
	{ "another serial is revoked", 50, 40, 60, LEAF, 40, 60, CA, 3, true, NULL },
	{ "a leaf that is not valid yet", 15, 0, 0, -1, 0, 0, -1, 0, false, "Test Leaf" },
	{ "a leaf that has run out", 101, 0, 0, -1, 0, 0, -1, 0, false, "2024-02-22" },
	{ "a CA that has run out", 501, 0, 0, -1, 0, 0, -1, 0, false, "Test" },
};

static int judge(struct pki *p, const struct trial *t, const struct x509_pin *pin, char *ret_seen,
		 size_t size)
{
	STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
	STACK_OF(X509) *given = sk_X509_new_null();
	struct x509_chain c = { .rule = "evidence.chain",
				.what = "test certificate",
				.leaf = p->certificates[LEAF],
				.given = given,
				.pins = pin,
				.n_pins = 1,
				.crls = crls,
				.crls_needed = t->needed,
				.now = DAY_0 + t->day * (int64_t)DAY };
	CLEANUP(cleanup_x509_path) STACK_OF(X509) *path = NULL;
	struct appraisal a;
	int r;

	if (t->root_until > 0)
		sk_X509_CRL_push(crls,
				 new_crl(p, ROOT, t->root_from, t->root_until, t->root_lists));
	if (t->ca_until > 0)
		sk_X509_CRL_push(crls, new_crl(p, CA, t->ca_from, t->ca_until, t->ca_lists));
	sk_X509_push(given, p->certificates[CA]);
	sk_X509_push(given, p->certificates[ROOT]);
	appraisal_init(&a);
	r = x509_chain_verify(&c, &a, &path);
	assert_true(r >= 0);
	assert_int_equal(a.refused, r == 0);
	assert_int_equal(path != NULL, r == 1);
	snprintf(ret_seen, size, "%s", a.n > 0 ? a.reasons[0].seen : "");
	if (r == 1)
		assert_int_equal(sk_X509_num(path), 3);
	appraisal_done(&a);
	sk_X509_free(given);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	return r;
}

static struct x509_pin pin_of(X509 *x)
{
	struct x509_pin pin = { .name = "the test root" };
	unsigned int n;

	assert_int_equal(X509_digest(x, EVP_sha256(), pin.sha256, &n), 1);
	return pin;
}

static void try_all(bool pss)
{
	struct pki p = new_pki(pss);
	struct x509_pin pin = pin_of(p.certificates[ROOT]);
	char seen[APPRAISAL_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(trials); i++) {
		int r = judge(&p, &trials[i], &pin, seen, sizeof(seen));

		if ((r == 1) != trials[i].held || (trials[i].says && !strstr(seen, trials[i].says)))
			fail_msg("%s: %d, %s", trials[i].what, r, seen);
	}
	/* The leaf, the CA: pinned, they are still no root. */
	for (int i = CA; i <= LEAF; i++) {
		pin = pin_of(p.certificates[i]);
		assert_int_equal(judge(&p, &trials[1], &pin, seen, sizeof(seen)), 0);
	}
	pki_done(&p);
}

static void a_chain_holds_or_says_why_not(void **state)
{
	(void)state;
	try_all(false);
}

static void so_does_one_of_rsa_pss(void **state)
{
	(void)state;
	try_all(true);
}

/* A list that somebody else signed says nothing, for or against. */
static void a_forged_list_is_not_heeded(void **state)
{
	struct trial t = trials[0];
	struct pki p = new_pki(false), other = new_pki(false);
	struct x509_pin pin = pin_of(p.certificates[ROOT]);
	EVP_PKEY *key = p.keys[CA];
	char seen[APPRAISAL_TEXT_MAX];

	(void)state;
	t.ca_lists = LEAF;
	p.keys[CA] = other.keys[CA];
	assert_int_equal(judge(&p, &t, &pin, seen, sizeof(seen)), 0);
	assert_string_equal(seen, "none");
	t.needed = 2;
	assert_int_equal(judge(&p, &t, &pin, seen, sizeof(seen)), 1);
	p.keys[CA] = key;
	pki_done(&p);
	pki_done(&other);
}

/* Another root of the same name and a chain of its own. */
static void a_root_of_the_same_name_is_not_the_root(void **state)
{
	struct pki p = new_pki(false), other = new_pki(false);
	struct x509_pin pin = pin_of(other.certificates[ROOT]);
	char seen[APPRAISAL_TEXT_MAX];

	(void)state;
	assert_int_equal(judge(&p, &trials[1], &pin, seen, sizeof(seen)), 0);
	assert_non_null(strstr(seen, "not among"));
	pki_done(&p);
	pki_done(&other);
}

static void only_strict_der_is_read(void **state)
{
	struct pki p = new_pki(false);
	unsigned char *der = NULL;
	int n = i2d_X509(p.certificates[LEAF], &der);
	X509 *x = NULL;

	(void)state;
	assert_int_equal(x509_read(view_of(der, (size_t)n), &x), 0);
	X509_free(x);
	x = NULL;
	for (int len = 0; len < n; len++)
		assert_int_equal(x509_read(view_of(der, (size_t)len), &x), -EBADMSG);
	OPENSSL_free(der);
	pki_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_holds_or_says_why_not),
		cmocka_unit_test(so_does_one_of_rsa_pss),
		cmocka_unit_test(a_forged_list_is_not_heeded),
		cmocka_unit_test(a_root_of_the_same_name_is_not_the_root),
		cmocka_unit_test(only_strict_der_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
