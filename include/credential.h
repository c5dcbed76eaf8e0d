/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CREDENTIAL_H
#define ASSAY_CREDENTIAL_H

#include "appraisal.h"
#include "bytes.h"

/*
 * Enrolment of a TPM's attestation key (TPM 2.0 part 1, 24): the EK certificate says which
 * chip it is, and a credential sealed to that EK for the AK's name can only be had
 * back where both keys are in one TPM. Pure, but for the random seed of
 * credential_make.
 *
 * The judging functions return 1: it holds; 0: refused, and the reason is in a; a
 * negative errno: it could not be judged.
 */

#define EK_CERTIFICATE_MAX  (8 * 1024)
#define EK_CHAIN_MAX	    (32 * 1024)
#define EK_CHAIN_CERTS	    8
#define CREDENTIAL_SIZE	    32 /* of what is sealed; no EK's name algorithm is shorter */
#define CREDENTIAL_BLOB_MAX 512
#define CREDENTIAL_SEED_MAX 1024
#define AK_NAME_MAX	    66

/* An EnrolRequest's fields. */
struct credential_request {
	struct view ek_certificate; /* DER; zero padding behind it is not part of it */
	struct view ek_chain;	    /* DER certificates, one after the other; may be empty */
	struct view ek_public;	    /* TPMT_PUBLIC */
	struct view ak_public;	    /* TPMT_PUBLIC */
};

/*
 * "platforms.tpm.ek_ca": the certificate is one of an EK and chains, at the time now, to one
 * of the certificates in roots (PEM), over those in chain. Without roots it is refused.
 */
MUST_CHECK int ek_certificate_judge(struct view certificate, struct view chain, struct view roots,
				    int64_t now, struct appraisal *a);

/*
 * The above; "enrolment.ek": ek_public is a storage key and the certificate's; "enrolment.ak":
 * ak_public is a restricted signing key. On 1 the AK's name is appended to ret_ak_name.
 */
MUST_CHECK int credential_judge(const struct credential_request *request, struct view roots,
				int64_t now, struct appraisal *a, struct bytes *ret_ak_name);

/*
 * TPM2_MakeCredential (part 3, 12.6): seals credential, for the object of this name, to the
 * EK. Appends a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET. -EBADMSG: ek_public is not a
 * key that a credential can be sealed to. -EINVAL: the credential is empty or longer than
 * the digest of the EK's name algorithm.
 */
MUST_CHECK int credential_make(struct view ek_public, struct view ak_name, struct view credential,
			       struct bytes *ret_blob, struct bytes *ret_seed);

#endif
