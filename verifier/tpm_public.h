/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TPM_PUBLIC_H
#define ASSAY_VERIFIER_TPM_PUBLIC_H

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "bytes.h"
#include "digest.h"

/* The public part of a key in a TPM: TPMT_PUBLIC (TPM 2.0 part 2, 12.2.4). */

#define TPM_PUBLIC_MAX sizeof(TPMT_PUBLIC)
#define TPM_NAME_MAX   (2 + DIGEST_MAX)

struct tpm_public {
	TPMT_PUBLIC area;
	uint8_t name[TPM_NAME_MAX]; /* nameAlg || H(TPMT_PUBLIC): part 1, 16 */
	size_t name_len;
};

/* -EBADMSG: not exactly one TPMT_PUBLIC; *ret_why says why, in words that live for ever. */
MUST_CHECK int tpm_public_parse(struct view raw, struct tpm_public *ret, const char **ret_why);

struct view tpm_public_name(const struct tpm_public *p);

/* The key for OpenSSL. -EBADMSG: no key of a kind and size we accept; -ENOMEM. */
MUST_CHECK int tpm_public_key(const struct tpm_public *p, EVP_PKEY **ret);

/* Why its quotes would mean nothing: it is not a restricted signing key that never left its TPM. */
const char *tpm_public_ak_fault(const struct tpm_public *p);

/* Why no credential can be sealed to it: it is not a storage key that never left its TPM. */
const char *tpm_public_ek_fault(const struct tpm_public *p);

/* For CLEANUP(). */
static inline void cleanup_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

#endif
