/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EAR_H
#define ASSAY_VERIFIER_EAR_H

#include <jansson.h>

#include "errors.h"

/*
 * Verdicts as EAT Attestation Results (draft-ietf-rats-ear-04), with the trustworthiness vector of
 * AR4SI (draft-ietf-rats-ar4si), for relying parties that do not speak our protocol. Pure.
 * docs/attestation-results.md says which rule touches which claim.
 */

#define EAR_NONCE_MIN 8 /* RFC 9711, 4.1, in JSON */
#define EAR_NONCE_MAX 88

struct ear_context {
	const char *build; /* of the verifier: its version */
	int64_t now;	   /* seconds since 1970: iat */
	int64_t valid;	   /* seconds until exp */
	const char *nonce; /* the relying party's, 8 to 88 characters; NULL: none */
};

/*
 * The claims set of one attester, with a submodule for each of its applications: attester is a row
 * as store_fleet gives it. -EINVAL: the nonce is of another length. -ENOMEM.
 */
MUST_CHECK int ear_claims(const json_t *attester, const struct ear_context *context, json_t **ret);

#endif
