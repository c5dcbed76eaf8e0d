/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_EK_FIXTURE_H
#define ASSAY_TESTS_EK_FIXTURE_H

#include <openssl/x509.h>

#include "bytes.h"

/* Certificates as a TPM maker's CA issues them, and as it does not. */
struct ek_fixture_certificate {
	EVP_PKEY *key;
	const char *subject; /* common name; NULL: empty, as EK certificates may have it */
	const char *issuer;
	EVP_PKEY *issuer_key;
	int64_t not_before, not_after;
	const char *digest; /* of its signature */
	/* Extensions in OpenSSL's configuration syntax, name and value in turn; NULL-terminated. */
	const char *extensions[16];
};

/* The running test fails if it cannot be made. */
X509 *ek_fixture_issue(const struct ek_fixture_certificate *c);

/* Appends the certificate as DER or PEM. */
void ek_fixture_der(X509 *x, struct bytes *ret);
void ek_fixture_pem(X509 *x, struct bytes *ret);

#endif
