/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_SEV_SNP_PRODUCT_H
#define ASSAY_VERIFIER_EVIDENCE_SEV_SNP_PRODUCT_H

#include "bytes.h"
#include "evidence_sev_snp_report.h"
#include "x509_chain.h"

/*
 * What differs between AMD's families of chips: the root that their keys chain to,
 * the CPU models, and what each byte of a TCB_VERSION stands for.
 */

/* A byte of TCB_VERSION. */
struct snp_component {
	const char *name;
	uint8_t extension; /* N of the certificate's 1.3.6.1.4.1.3704.1.3.N that states it */
};

struct snp_product {
	const char *name;		 /* also what the certificate's product name begins with */
	const char *ask, *asvk;		 /* common names of the issuers of VCEKs, of VLEKs */
	struct x509_pin root;		 /* the ARK */
	const struct snp_component *tcb; /* SNP_TCB_SIZE of them */
	size_t hwid_size;		 /* bytes of the chip id that are in use */
};

extern const struct snp_product *const snp_products[]; /* NULL-terminated */

/* The product of a CPU; NULL: none that is known here. */
const struct snp_product *snp_product_of_cpu(uint8_t family, uint8_t model);

/* By the name in the certificate ("Milan-B0"); NULL: none. */
const struct snp_product *snp_product_named(const char *name);

/* By the issuer of a chip's or a provider's key; *ret_vlek: which of them it signs. */
const struct snp_product *snp_product_of_issuer(const char *common_name, bool *ret_vlek);

#endif
