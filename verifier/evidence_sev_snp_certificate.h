/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_SEV_SNP_CERTIFICATE_H
#define ASSAY_VERIFIER_EVIDENCE_SEV_SNP_CERTIFICATE_H

#include <openssl/x509.h>

#include "evidence_sev_snp_product.h"

/*
 * The certificate of a key that signs reports: VCEK (of one chip at one TCB) or VLEK
 * (lent to a cloud provider, at one TCB): AMD 57230, "certificate extensions".
 */

#define SNP_SPLS_MAX	 10 /* arcs 1 to 9 under 1.3.6.1.4.1.3704.1.3 */
#define SNP_PRODUCT_NAME 32
#define SNP_CSP_MAX	 128

struct snp_certificate {
	const struct snp_product *product;
	bool vlek;
	char product_name[SNP_PRODUCT_NAME]; /* "Milan-B0" */
	uint16_t spls_there;		     /* bitmap of arcs */
	uint8_t spl[SNP_SPLS_MAX];	     /* by arc */
	uint8_t hwid[SNP_CHIP_ID_SIZE];
	size_t hwid_len;       /* 0: a VLEK, which is of no chip */
	char csp[SNP_CSP_MAX]; /* of a VLEK: whose it is; printable ASCII */
};

/* True if the certificate calls itself a VCEK or VLEK; nothing is believed yet. */
bool snp_certificate_claims_to_be_one(const X509 *x);

/*
 * -EBADMSG: not the certificate of a VCEK or VLEK of a product that is known, or its
 * extensions are not what AMD writes; *ret_why says why, in words that live for ever.
 */
MUST_CHECK int snp_certificate_parse(const X509 *x, struct snp_certificate *ret,
				     const char **ret_why);

#endif
