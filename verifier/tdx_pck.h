/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TDX_PCK_H
#define ASSAY_VERIFIER_TDX_PCK_H

#include <openssl/x509.h>

#include "bytes.h"

/*
 * What a PCK certificate says of the platform: its SGX extension, 1.2.840.113741.1.13.1
 * (Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
 */

#define TDX_SVNS 16

struct tdx_pck {
	uint8_t svn[TDX_SVNS];
	uint16_t pcesvn;
	uint8_t ppid[16];
	uint8_t fmspc[6], pceid[2];
};

/* -EBADMSG: the certificate has no such extension, or not all of this, or one thing twice. */
MUST_CHECK int tdx_pck_read(const X509 *x, struct tdx_pck *ret);

/* The certificate calls itself a PCK certificate. The chain says whether it is one. */
bool tdx_pck_named(const X509 *x);

#endif
