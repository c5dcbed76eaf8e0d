/* SPDX-License-Identifier: Apache-2.0 */
#include "x509_chain.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "cleanup.h"

/* OpenSSL's: at least 112 bits, so RSA-2048, P-224 and SHA-224 and up. */
#define SECURITY_LEVEL 2

#define NAME_MAX_SHOWN 64

int x509_read(struct view der, X509 **ret)
{
	const unsigned char *at = der.data;
	unsigned char *again = NULL;
	X509 *x;
	int n;

	if (der.len == 0 || der.len > X509_DER_MAX)
		return -EBADMSG;
	x = d2i_X509(NULL, &at, (long)der.len);
	n = x ? i2d_X509(x, &again) : -1;
	ERR_clear_error();
	/* Written anew it must be the same: d2i also reads what is not DER. */
	if (n < 0 || !view_equal(view_of(again, (size_t)n), der)) {
		OPENSSL_free(again);
		X509_free(x);
		return -EBADMSG;
	}
	OPENSSL_free(again);
	*ret = x;
	return 0;
}

int x509_read_crl(struct view der, X509_CRL **ret)
{
	const unsigned char *at = der.data;
	unsigned char *again = NULL;
	X509_CRL *crl;
	int n;

	if (der.len == 0 || der.len > X509_CRL_DER_MAX)
		return -EBADMSG;
	crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	n = crl ? i2d_X509_CRL(crl, &again) : -1;
	ERR_clear_error();
	if (n < 0 || !view_equal(view_of(again, (size_t)n), der)) {
		OPENSSL_free(again);
		X509_CRL_free(crl);
		return -EBADMSG;
	}
	OPENSSL_free(again);
	*ret = crl;
	return 0;
}

bool x509_is_pinned(const X509 *x, const struct x509_pin *pin)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n;

	return X509_digest(x, EVP_sha256(), md, &n) == 1 && n == sizeof(pin->sha256) &&
	       memcmp(md, pin->sha256, n) == 0;
}

int x509_time(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1) {
		ERR_clear_error();
		return -EBADMSG;
	}
	*ret = timegm(&tm);
	return 0;
}

const char *time_text(int64_t t, char to[TIME_TEXT_MAX])
{
	time_t seconds = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(to, TIME_TEXT_MAX, "%FT%TZ", &tm) == 0)
		snprintf(to, TIME_TEXT_MAX, "no time");
	return to;
}

static const char *asn1_time_text(const ASN1_TIME *t, char to[TIME_TEXT_MAX])
{
	int64_t seconds;

	if (x509_time(t, &seconds) < 0)
		return strcpy(to, "no time");
	return time_text(seconds, to);
}

/* The name's last CN; everything but plain ASCII is escaped: the text is an outsider's. */
static void name_text(const X509_NAME *name, char to[NAME_MAX_SHOWN])
{
	int at = -1, last = -1, n;
	const ASN1_STRING *cn;
	BIO *bio;

	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		last = at;
	snprintf(to, NAME_MAX_SHOWN, "no name");
	bio = last >= 0 ? BIO_new(BIO_s_mem()) : NULL;
	if (!bio)
		return;
	cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
	if (ASN1_STRING_print_ex(bio, cn, ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB) > 0) {
		n = BIO_read(bio, to, NAME_MAX_SHOWN - 1);
		to[n > 0 ? n : 0] = '\0';
	}
	BIO_free(bio);
	ERR_clear_error();
}

const char *x509_describe(const X509 *x, char to[X509_TEXT_MAX])
{
	char name[NAME_MAX_SHOWN], from[TIME_TEXT_MAX], until[TIME_TEXT_MAX];

	name_text(X509_get_subject_name(x), name);
	snprintf(to, X509_TEXT_MAX, "%s (valid %s to %s)", name,
		 asn1_time_text(X509_get0_notBefore(x), from),
		 asn1_time_text(X509_get0_notAfter(x), until));
	return to;
}

/* What verifying takes. */
struct verifying {
	const struct x509_chain *c;
	struct appraisal *a;
	X509_STORE *roots;
	X509_STORE_CTX *ctx;
	bool pinned; /* one of the pins is among those given */
};

static void verifying_done(struct verifying *v)
{
	X509_STORE_CTX_free(v->ctx);
	X509_STORE_free(v->roots);
}

/* The pinned roots among the certificates that were given, and nothing else, are trusted. */
static int add_roots(struct verifying *v)
{
	STACK_OF(X509) *given = v->c->given;

	for (int i = 0; i < sk_X509_num(given); i++) {
		for (size_t p = 0; p < v->c->n_pins; p++) {
			X509 *x = sk_X509_value(given, i);

			if (!x509_is_pinned(x, &v->c->pins[p]))
				continue;
			if (X509_STORE_add_cert(v->roots, x) != 1)
				return -ENOMEM;
			v->pinned = true;
		}
	}
	return 0;
}

static void refuse_no_root(const struct verifying *v)
{
	char expected[X509_TEXT_MAX];

	snprintf(expected, sizeof(expected), "the root certificate of %s%s",
		 v->c->n_pins > 0 ? v->c->pins[0].name : "a maker",
		 v->c->n_pins > 1 ? " or another pinned one" : "");
	appraisal_refuse(v->a, v->c->rule, expected, "it is not among the %d certificates given",
			 sk_X509_num(v->c->given) < 0 ? 0 : sk_X509_num(v->c->given));
}

static void refuse_chain(const struct verifying *v)
{
	int error = X509_STORE_CTX_get_error(v->ctx);
	X509 *x = X509_STORE_CTX_get_current_cert(v->ctx);
	char expected[X509_TEXT_MAX], seen[X509_TEXT_MAX], now[TIME_TEXT_MAX];

	snprintf(expected, sizeof(expected), "a %s that chains to the pinned root at %s",
		 v->c->what, time_text(v->c->now, now));
	appraisal_refuse(v->a, v->c->rule, expected, "%s: %s", X509_verify_cert_error_string(error),
			 x509_describe(x ? x : v->c->leaf, seen));
}

static int build(struct verifying *v)
{
	X509_VERIFY_PARAM *param;
	int r;

	v->roots = X509_STORE_new();
	v->ctx = X509_STORE_CTX_new();
	if (!v->roots || !v->ctx)
		return -ENOMEM;
	r = add_roots(v);
	if (r < 0)
		return r;
	if (!v->pinned) {
		refuse_no_root(v);
		return 0;
	}
	if (X509_STORE_CTX_init(v->ctx, v->roots, v->c->leaf, v->c->given) != 1)
		return -ENOMEM;
	param = X509_STORE_CTX_get0_param(v->ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)v->c->now);
	X509_VERIFY_PARAM_set_depth(param, X509_CHAIN_MAX - 2);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CHECK_SS_SIGNATURE);
	r = X509_verify_cert(v->ctx);
	ERR_clear_error();
	if (r != 1) {
		refuse_chain(v);
		return 0;
	}
	return 1;
}

/* Revocation, by hand: which lists must be there differs from chain to chain and depth to depth. */
struct revocation {
	const struct verifying *v;
	X509 *x, *issuer;
	bool in_force;
	bool tolerated;			     /* one ran out, and is within the time of grace */
	bool stale;			     /* one was there, of another time */
	char window[2 * TIME_TEXT_MAX + 16]; /* of the stale one */
};

/* Indirect and delta lists say so in a critical extension; neither is what we look for. */
static bool plain(const X509_CRL *crl)
{
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
			return false;
	}
	return true;
}

static bool signed_by(X509_CRL *crl, X509 *issuer)
{
	bool good;

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0)
		return false;
	/* UINT32_MAX where the certificate does not say. */
	if (!(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return false;
	good = X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1;
	ERR_clear_error();
	return good;
}

static bool lists(X509_CRL *crl, X509 *x)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);

	/* X509_CRL_get0_by_serial sorts, so it would write to what is shared. */
	for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(revoked, i);

		if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(r), serial) == 0)
			return true;
	}
	return false;
}

static void note_window(struct revocation *k, X509_CRL *crl)
{
	char from[TIME_TEXT_MAX], until[TIME_TEXT_MAX];

	k->stale = true;
	snprintf(k->window, sizeof(k->window), "%s to %s",
		 asn1_time_text(X509_CRL_get0_lastUpdate(crl), from),
		 asn1_time_text(X509_CRL_get0_nextUpdate(crl), until));
}

/* 1: not on it; 0: on it, and refused. A list of the past still tells who was revoked. */
static int heed(struct revocation *k, X509_CRL *crl)
{
	const struct x509_chain *c = k->v->c;
	char expected[X509_TEXT_MAX], seen[X509_TEXT_MAX];
	int64_t from, until;

	if (!plain(crl) || !signed_by(crl, k->issuer) ||
	    x509_time(X509_CRL_get0_lastUpdate(crl), &from) < 0 ||
	    x509_time(X509_CRL_get0_nextUpdate(crl), &until) < 0)
		return 1;
	if (from > c->now) {
		note_window(k, crl);
		return 1;
	}
	if (lists(crl, k->x)) {
		snprintf(expected, sizeof(expected), "a %s whose chain is not revoked", c->what);
		appraisal_refuse(k->v->a, c->rule, expected, "revoked by its issuer: %s",
				 x509_describe(k->x, seen));
		return 0;
	}
	if (c->now <= until) {
		k->in_force = true;
		return 1;
	}
	note_window(k, crl);
	if (c->now - until <= c->crl_grace)
		k->tolerated = true;
	return 1;
}

static int check_revocation(const struct verifying *v, X509 *x, X509 *issuer, bool needed)
{
	struct revocation k = { .v = v, .x = x, .issuer = issuer };
	char name[NAME_MAX_SHOWN], now[TIME_TEXT_MAX], expected[X509_TEXT_MAX];

	for (int i = 0; i < sk_X509_CRL_num(v->c->crls); i++) {
		if (heed(&k, sk_X509_CRL_value(v->c->crls, i)) == 0)
			return 0;
	}
	if (k.in_force || !needed)
		return 1;
	name_text(X509_get_subject_name(issuer), name);
	snprintf(expected, sizeof(expected), "a revocation list of %s in force at %s", name,
		 time_text(v->c->now, now));
	if (k.tolerated) {
		appraisal_fail(v->a, true, v->c->grace_rule, expected,
			       "one in force %s, which the policy still allows", k.window);
		return 1;
	}
	appraisal_refuse(v->a, v->c->rule, expected, "%s%s",
			 k.stale ? "collateral expired or not yet valid: one in force " : "none",
			 k.window);
	return 0;
}

static int check_revocations(const struct verifying *v, STACK_OF(X509) * path)
{
	int r;

	for (int d = 0; d + 1 < sk_X509_num(path); d++) {
		r = check_revocation(v, sk_X509_value(path, d), sk_X509_value(path, d + 1),
				     v->c->crls_needed >> d & 1);
		if (r <= 0)
			return r;
	}
	return 1;
}

void x509_cut_span(const STACK_OF(X509) * certificates, const STACK_OF(X509_CRL) * crls,
		   int64_t now, struct cache_span *span)
{
	int64_t from, until;

	for (int i = 0; i < sk_X509_num(certificates); i++) {
		const X509 *x = sk_X509_value(certificates, i);

		if (x509_time(X509_get0_notBefore(x), &from) == 0 &&
		    x509_time(X509_get0_notAfter(x), &until) == 0)
			cache_span_cut_window(span, now, from, until);
	}
	for (int i = 0; i < sk_X509_CRL_num(crls); i++) {
		const X509_CRL *crl = sk_X509_CRL_value(crls, i);

		if (x509_time(X509_CRL_get0_lastUpdate(crl), &from) == 0 &&
		    x509_time(X509_CRL_get0_nextUpdate(crl), &until) == 0)
			cache_span_cut_window(span, now, from, until);
	}
}

int x509_chain_verify(const struct x509_chain *c, struct appraisal *a, STACK_OF(X509) * *ret_path)
{
	CLEANUP(verifying_done) struct verifying v = { .c = c, .a = a };
	STACK_OF(X509) * path;
	int r;

	if (sk_X509_num(c->given) > X509_CHAIN_GIVEN) {
		appraisal_refuse(a, c->rule, "few certificates to choose from", "%d",
				 sk_X509_num(c->given));
		return 0;
	}
	r = build(&v);
	if (r <= 0)
		return r;
	path = X509_STORE_CTX_get0_chain(v.ctx);
	r = check_revocations(&v, path);
	if (r <= 0)
		return r;
	if (ret_path) {
		path = X509_chain_up_ref(path);
		if (!path)
			return -ENOMEM;
		*ret_path = path;
	}
	appraisal_pass(a);
	return 1;
}
