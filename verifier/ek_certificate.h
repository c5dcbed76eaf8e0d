/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EK_CERTIFICATE_H
#define ASSAY_VERIFIER_EK_CERTIFICATE_H

#include <openssl/x509.h>

#include "credential.h"

/* One DER certificate at the start of r. -EBADMSG: there is none. -ENOMEM. */
MUST_CHECK int ek_certificate_read(struct reader *r, X509 **ret);

/* The same of bytes that may have zero padding behind, and nothing else. */
MUST_CHECK int ek_certificate_parse(struct view der, X509 **ret);

/* For CLEANUP(). */
static inline void cleanup_x509(X509 **x)
{
	X509_free(*x);
}

#endif
