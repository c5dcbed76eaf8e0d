/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_X509_CHAIN_H
#define ASSAY_X509_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "appraisal.h"
#include "appraisal_cache.h"
#include "bytes.h"

/*
 * Certificates up to a root that is pinned, at a time that the caller names, with the
 * revocation lists that the caller has. Pure. ECDSA, RSA and RSA-PSS alike.
 */

#define X509_DER_MAX	    (16 * 1024)
#define X509_CRL_DER_MAX    (1024 * 1024)
#define X509_CHAIN_MAX	    8 /* certificates from leaf to root */
#define X509_CHAIN_GIVEN    256 /* certificates to choose from */
#define X509_TEXT_MAX	    160

/* A root by the SHA-256 of its DER: whoever hands the certificate in, it is this one or none. */
struct x509_pin {
	const char *name;
	uint8_t sha256[32];
};

struct x509_chain {
	const char *rule; /* of the reasons: "evidence.pck_chain" */
	const char *what; /* of the leaf, for people: "PCK certificate" */
	X509 *leaf;
	/* Lent. The rest of the chain, the root with it, among whatever else; may be NULL. */
	STACK_OF(X509) * given;
	const struct x509_pin *pins;
	size_t n_pins;
	/* Lent; may be NULL. A list that the issuer of a certificate signed is heeded in any case. */
	STACK_OF(X509_CRL) * crls;
	/*
	 * Bit d: the issuer of the certificate at depth d (the leaf is 0) must have a list that is
	 * in force at the time. Missing or stale: refused.
	 */
	unsigned int crls_needed;
	/*
	 * A list that is needed and ran out no more than so many seconds ago will do, with a warning
	 * under grace_rule. 0: it must be in force. One that is absent never will do.
	 */
	int64_t crl_grace;
	const char *grace_rule;
	int64_t now;
};

/*
 * 1: the chain holds, and *ret_path, where asked for, has it from leaf to root (end it with
 * sk_X509_pop_free(path, X509_free)). 0: refused, with a reason in a that names the certificate
 * and when it was valid. A negative errno: not judged (-ENOMEM).
 */
MUST_CHECK int x509_chain_verify(const struct x509_chain *c, struct appraisal *a,
				 STACK_OF(X509) * *ret_path);

/* One certificate, one list, in strict DER and nothing behind it. -EBADMSG. -ENOMEM. */
MUST_CHECK int x509_read(struct view der, X509 **ret);
MUST_CHECK int x509_read_crl(struct view der, X509_CRL **ret);

/* Cuts the span where any of the certificates and lists begins or ceases to be in force. */
void x509_cut_span(const STACK_OF(X509) * certificates, const STACK_OF(X509_CRL) * crls,
		   int64_t now, struct cache_span *span);

/* True if the certificate is that root. */
bool x509_is_pinned(const X509 *x, const struct x509_pin *pin);

/* "CN=... (valid 2018-05-21T10:45:10Z to ...)", whatever the certificate says, in one line. */
const char *x509_describe(const X509 *x, char to[X509_TEXT_MAX]);

/* Seconds since 1970. -EBADMSG: not a time. */
MUST_CHECK int x509_time(const ASN1_TIME *t, int64_t *ret);

/* "2018-05-21T10:45:10Z". */
#define TIME_TEXT_MAX 32
const char *time_text(int64_t t, char to[TIME_TEXT_MAX]);

/* For CLEANUP(). */
static inline void cleanup_x509_path(STACK_OF(X509) * *path)
{
	sk_X509_pop_free(*path, X509_free);
}

#endif
