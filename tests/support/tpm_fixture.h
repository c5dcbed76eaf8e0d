/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TPM_FIXTURE_H
#define ASSAY_TESTS_TPM_FIXTURE_H

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "bytes.h"
#include "digest.h"
#include "session.pb-c.h"

/*
 * What a TPM says, made without one: so that a test can be wrong in one place and
 * right, signature and all, in every other. It starts as good evidence over the
 * Claims it is given; a test changes fields, then packs.
 */

#define TPM_FIXTURE_PCRS   24
#define TPM_FIXTURE_VALUES 512

struct tpm_fixture {
	EVP_PKEY *key; /* the AK; lent */
	TPMT_PUBLIC public;
	TPMS_ATTEST attest;
	TPMI_ALG_SIG_SCHEME scheme;
	enum hash_alg hash;   /* of the signature */
	bool keep_pcr_digest; /* the test has set it */
	/* Edits the marshalled TPMS_ATTEST before it is signed; its new length. */
	size_t (*edit_attest)(uint8_t *attest, size_t len);
	Assay__PcrValue values[TPM_FIXTURE_VALUES];
	uint8_t value_bytes[TPM_FIXTURE_VALUES][DIGEST_MAX];
	size_t n_values;

	/* By tpm_fixture_pack. */
	Assay__ChipReport report;
	Assay__PcrValue *value_pointers[TPM_FIXTURE_VALUES];
	uint8_t report_bytes[4096], signature_bytes[4096], key_bytes[4096];
	uint8_t name[2 + DIGEST_MAX];
	size_t name_len;
};

/* A key that stands for one in a TPM: "P-256", "P-384" or "RSA". The running test fails if it
 * cannot. */
EVP_PKEY *tpm_fixture_key(const char *kind);

/* TPMT_PUBLIC of the key, with these attributes; signing keys get a scheme, others AES-128-CFB. */
TPMT_PUBLIC tpm_fixture_public(EVP_PKEY *key, TPMA_OBJECT attributes);
#define TPM_FIXTURE_AK                                                                             \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
	 TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT)
#define TPM_FIXTURE_EK                                                                             \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
	 TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/* Its bytes. */
size_t tpm_fixture_marshal_public(const TPMT_PUBLIC *public, uint8_t *to, size_t size);

/* Good evidence of PCRs 0, 4 and 9 of the SHA-256 bank: PCR n is 32 times the byte n. */
void tpm_fixture_init(struct tpm_fixture *f, EVP_PKEY *key, struct view claims);

/* Ships one more value. */
void tpm_fixture_add_value(struct tpm_fixture *f, unsigned int alg, unsigned int index,
			   uint8_t fill, size_t size);

/* Computes the PCR digest, marshals, signs: f->report is then what travels. */
void tpm_fixture_pack(struct tpm_fixture *f);

#endif
