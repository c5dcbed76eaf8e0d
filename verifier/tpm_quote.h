/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TPM_QUOTE_H
#define ASSAY_VERIFIER_TPM_QUOTE_H

#include "appraisal.h"
#include "digest.h"
#include "session.pb-c.h"
#include "tpm_public.h"

/*
 * A TPM's quote: TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE and its TPMT_SIGNATURE.
 * The judging functions return 1: it holds; 0: refused, and the reason is in a;
 * a negative errno: it could not be judged.
 */

struct tpm_quote {
	TPMS_ATTEST attest;
	enum hash_alg hash; /* of the signature, and so of the PCR digest */
};

/*
 * "evidence.signature": key, which the caller trusts, made the signature over attest.
 * "evidence.quote": attest is a quote, made in a TPM. "evidence.claims": its extraData is
 * the qualifying data.
 */
MUST_CHECK int tpm_quote_judge(const struct tpm_public *key, struct view attest,
			       struct view signature, struct view qualifying, struct appraisal *a,
			       struct tpm_quote *ret);

/*
 * "evidence.pcrs": values are those that went into the quote's digest, and no others. Those
 * of bank land in ret_values, and the bitmap of their numbers in *ret_quoted.
 */
MUST_CHECK int tpm_quote_judge_pcrs(const struct tpm_quote *q, Assay__PcrValue *const *values,
				    size_t n, enum hash_alg bank, struct appraisal *a,
				    struct digest ret_values[24], uint32_t *ret_quoted);

#endif
