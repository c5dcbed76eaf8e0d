/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CSV_CHAIN_H
#define ASSAY_VERIFIER_CSV_CHAIN_H

#include "appraisal.h"
#include "csv_certificate.h"
#include "endorsements.h"
#include "x509_chain.h"

/* From a chip's PEK to the root key of Hygon: PEK, CEK, HSK, HRK. */

/* SHA-256 of the HRK's certificate, all 832 bytes, as Hygon publishes it. */
extern const struct x509_pin csv_root;

struct csv_chain {
	const struct endorsements *given; /* may be NULL */
	/* SHA-256 of the whole certificate of each root that is trusted. */
	const struct x509_pin *pins;
	size_t n_pins;
};

/*
 * 1: every signature verifies, up to a root that is pinned, and *ret_cek is the certificate of
 * the CEK, lent from c->given. 0: refused, a reason ("evidence.chain") in a. -ENOMEM.
 */
MUST_CHECK int csv_chain_verify(const struct csv_chain *c, const struct csv_certificate *pek,
				struct appraisal *a, struct view *ret_cek);

#endif
