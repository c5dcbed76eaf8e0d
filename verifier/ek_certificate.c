/* SPDX-License-Identifier: Apache-2.0 */
#include "ek_certificate.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "cleanup.h"

#define RULE	       "platforms.tpm.ek_ca"
#define EXPECTED       "an EK certificate that chains to the policy's EK CA"
#define OID_EK	       "2.23.133.8.1" /* tcg-kp-EKCertificate */
#define PATH_MAX_CERTS 10
/* OpenSSL's: at least 112 bits, so RSA-2048 and SHA-256 and up. */
#define SECURITY_LEVEL 2

int ek_certificate_read(struct reader *r, X509 **ret)
{
	const unsigned char *at = r->at;
	struct view der;
	X509 *x;

	if (r->left > LONG_MAX)
		return -EBADMSG;
	x = d2i_X509(NULL, &at, (long)r->left);
	if (!x) {
		ERR_clear_error();
		return -EBADMSG;
	}
	if (read_view(r, (size_t)(at - r->at), &der) < 0) {
		X509_free(x);
		return -EBADMSG;
	}
	*ret = x;
	return 0;
}

int ek_certificate_parse(struct view der, X509 **ret)
{
	struct reader r = reader_of(der);
	X509 *x = NULL;
	int e;

	e = ek_certificate_read(&r, &x);
	if (e < 0)
		return e;
	for (size_t i = 0; i < r.left; i++) {
		if (r.at[i] == 0)
			continue;
		X509_free(x);
		return -EBADMSG;
	}
	*ret = x;
	return 0;
}

/*
 * The EK profile puts attributes of the platform in extensions that OpenSSL does not
 * know; some makers mark them critical. They describe the chip and limit nothing, so
 * in the leaf, and nowhere else, they are understood.
 */
static bool only_known_criticals(X509 *x)
{
	for (int i = 0; i < X509_get_ext_count(x); i++) {
		X509_EXTENSION *e = X509_get_ext(x, i);

		if (!X509_EXTENSION_get_critical(e) || X509_supported_extension(e))
			continue;
		if (OBJ_obj2nid(X509_EXTENSION_get_object(e)) != NID_subject_directory_attributes)
			return false;
	}
	return true;
}

static int on_verify(int ok, X509_STORE_CTX *ctx)
{
	if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION)
		return ok;
	if (X509_STORE_CTX_get_error_depth(ctx) != 0 ||
	    !only_known_criticals(X509_STORE_CTX_get_current_cert(ctx)))
		return 0;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static void cleanup_eku(EXTENDED_KEY_USAGE **e)
{
	EXTENDED_KEY_USAGE_free(*e);
}

/* True if the certificate does not say what its key is for, or says: endorsement. */
static bool usage_allows(X509 *x)
{
	int critical = -1;
	CLEANUP(cleanup_eku)
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(x, NID_ext_key_usage, &critical, NULL);
	char oid[64];

	if (!usage)
		return critical == -1; /* absent; not: malformed, or there twice */
	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(usage, i), 1) > 0 &&
		    strcmp(oid, OID_EK) == 0)
			return true;
	}
	return false;
}

/* Why the certificate is not that of an EK, whoever issued it; NULL: it may be one. */
static const char *leaf_fault(X509 *x)
{
	/* A CA's certificate chains as well; its key would then pass for a chip's. */
	if (X509_check_ca(x) != 0)
		return "the certificate of a CA";
	/* UINT32_MAX where the certificate does not say. An attestation key's says: to sign. */
	if (!(X509_get_key_usage(x) & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)))
		return "the certificate of a key that secrets cannot be sealed to";
	if (!usage_allows(x))
		return "a certificate for another use (no " OID_EK " in its extended key usage)";
	return NULL;
}

/* What verifying a chain takes. */
struct chain {
	X509 *leaf;
	STACK_OF(X509) * untrusted;
	X509_STORE *roots;
	X509_STORE_CTX *ctx;
	int n_roots;
};

static void chain_done(struct chain *c)
{
	X509_STORE_CTX_free(c->ctx);
	X509_STORE_free(c->roots);
	sk_X509_pop_free(c->untrusted, X509_free);
	X509_free(c->leaf);
}

static int chain_add_roots(struct chain *c, struct view pem)
{
	BIO *bio;
	X509 *x;
	int r = 0;

	if (pem.len == 0)
		return 0;
	if (pem.len > INT_MAX)
		return -EMSGSIZE;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (!bio)
		return -ENOMEM;
	while (r == 0 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (X509_STORE_add_cert(c->roots, x) != 1)
			r = -ENOMEM;
		X509_free(x);
		c->n_roots++;
	}
	BIO_free(bio);
	ERR_clear_error();
	return r;
}

static int chain_add_untrusted(struct chain *c, struct view ders)
{
	struct reader r = reader_of(ders);
	X509 *x = NULL;
	int e;

	if (ders.len > EK_CHAIN_MAX)
		return -EBADMSG;
	while (r.left > 0) {
		if (sk_X509_num(c->untrusted) == EK_CHAIN_CERTS)
			return -EBADMSG;
		e = ek_certificate_read(&r, &x);
		if (e < 0)
			return e;
		if (sk_X509_push(c->untrusted, x) <= 0) {
			X509_free(x);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Everything but a lack of memory is a reason: 1, 0, -errno as in credential.h. */
static int chain_read(struct chain *c, struct view certificate, struct view chain,
		      struct view roots, struct appraisal *a)
{
	int r;

	c->untrusted = sk_X509_new_null();
	c->roots = X509_STORE_new();
	c->ctx = X509_STORE_CTX_new();
	if (!c->untrusted || !c->roots || !c->ctx)
		return -ENOMEM;
	r = chain_add_roots(c, roots);
	if (r < 0)
		return r;
	if (c->n_roots == 0) {
		appraisal_refuse(a, RULE, EXPECTED, "no certificate of an EK CA to check against");
		return 0;
	}
	r = certificate.len > EK_CERTIFICATE_MAX ? -EBADMSG
						 : ek_certificate_parse(certificate, &c->leaf);
	if (r == -EBADMSG) {
		appraisal_refuse(a, RULE, EXPECTED, "%s",
				 certificate.len == 0 ? "no EK certificate"
						      : "bytes that are not one certificate");
		return 0;
	}
	if (r < 0)
		return r;
	r = chain_add_untrusted(c, chain);
	if (r == -EBADMSG) {
		appraisal_refuse(a, RULE, EXPECTED,
				 "a chain that is not of at most %d certificates", EK_CHAIN_CERTS);
		return 0;
	}
	return r < 0 ? r : 1;
}

/*
 * X509_verify_cert also sees to it that nothing but a CA with basic constraints stands
 * between the leaf and the anchor; the anchor itself is the owner's choice.
 */
static int chain_verify(struct chain *c, int64_t now, struct appraisal *a)
{
	X509_VERIFY_PARAM *param;
	int error, depth;

	if (X509_STORE_CTX_init(c->ctx, c->roots, c->leaf, c->untrusted) != 1)
		return -ENOMEM;
	param = X509_STORE_CTX_get0_param(c->ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now);
	X509_VERIFY_PARAM_set_depth(param, PATH_MAX_CERTS);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	/* The owner's file may hold the maker's intermediate alone. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_CTX_set_verify_cb(c->ctx, on_verify);

	if (X509_verify_cert(c->ctx) != 1) {
		error = X509_STORE_CTX_get_error(c->ctx);
		depth = X509_STORE_CTX_get_error_depth(c->ctx);
		ERR_clear_error();
		appraisal_refuse(a, RULE, EXPECTED, "%s (certificate %d of the chain)",
				 X509_verify_cert_error_string(error), depth);
		return 0;
	}
	return 1;
}

int ek_certificate_judge(struct view certificate, struct view chain, struct view roots, int64_t now,
			 struct appraisal *a)
{
	CLEANUP(chain_done) struct chain c = { 0 };
	const char *fault;
	int r;

	r = chain_read(&c, certificate, chain, roots, a);
	if (r <= 0)
		return r;
	r = chain_verify(&c, now, a);
	if (r <= 0)
		return r;
	fault = leaf_fault(c.leaf);
	if (fault) {
		appraisal_refuse(a, RULE, EXPECTED, "%s", fault);
		return 0;
	}
	appraisal_pass(a);
	return 1;
}
