/* SPDX-License-Identifier: Apache-2.0 */
#include "cleanup.h"
#include "tpm.h"

/* TCG EK Credential Profile 2.3: persistent handle of the RSA-2048 EK. */
#define EK_PERSISTENT 0x81010001

/*
 * TCG EK Credential Profile 2.3, template L-1. Every byte decides which key the TPM derives.
 * The policy is PolicySecret(endorsement hierarchy).
 */
static const TPM2B_PUBLIC ek_template = {
	.publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN |
				    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED |
				    TPMA_OBJECT_DECRYPT,
		.authPolicy = {
			.size = 32,
			.buffer = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
				    0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
				    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
				    0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa },
		},
		.parameters.rsaDetail = {
			.symmetric = { TPM2_ALG_AES, { .aes = 128 }, { .aes = TPM2_ALG_CFB } },
			.scheme = { .scheme = TPM2_ALG_NULL },
			.keyBits = 2048,
		},
		.unique.rsa = { .size = 256 },
	},
};

/*
 * The SRK: TCG TPM v2.0 Provisioning Guidance, 7.5.1: template L-2 (ECC P-256) with the
 * changes it names (user authorisation in place of the policy, no dictionary attack protection).
 */
static const TPM2B_PUBLIC srk_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
				    TPMA_OBJECT_DECRYPT,
		.parameters.eccDetail = {
			.symmetric = { TPM2_ALG_AES, { .aes = 128 }, { .aes = TPM2_ALG_CFB } },
			.scheme = { .scheme = TPM2_ALG_NULL },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf = { .scheme = TPM2_ALG_NULL },
		},
		.unique.ecc = { .x = { .size = 32 }, .y = { .size = 32 } },
	},
};

static const TPM2B_PUBLIC ak_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
				    TPMA_OBJECT_SIGN_ENCRYPT,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_NULL },
			.scheme = { TPM2_ALG_ECDSA, { .ecdsa = { TPM2_ALG_SHA256 } } },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf = { .scheme = TPM2_ALG_NULL },
		},
	},
};

static const TPM2B_SENSITIVE_CREATE no_sensitive;
static const TPM2B_DATA no_data;
static const TPML_PCR_SELECTION no_pcrs;

static TSS2_RC create_primary(struct tpm *t, ESYS_TR hierarchy, const TPM2B_PUBLIC *template,
			      struct tpm_transient *ret)
{
	TSS2_RC rc;

	TPM_CALL(rc, Esys_CreatePrimary(t->esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					ESYS_TR_NONE, &no_sensitive, template, &no_data, &no_pcrs,
					&ret->handle, NULL, NULL, NULL, NULL));
	/* ESYS may leave something else there. */
	if (rc != TSS2_RC_SUCCESS)
		ret->handle = ESYS_TR_NONE;
	return rc;
}

static TSS2_RC read_public(struct tpm *t, ESYS_TR handle, TPM2B_PUBLIC *ret)
{
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc;

	TPM_CALL(rc, Esys_ReadPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
				     &public, NULL, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	*ret = *public;
	Esys_Free(public);
	return TSS2_RC_SUCCESS;
}

/* The persistent EK, if there is one and it is of the template: *ret stays empty otherwise. */
static TSS2_RC ek_persistent(struct tpm *t, ESYS_TR *ret)
{
	ESYS_TR handle = ESYS_TR_NONE;
	TPM2B_PUBLIC public;
	TSS2_RC rc;

	TPM_CALL(rc, Esys_TR_FromTPMPublic(t->esys, EK_PERSISTENT, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, &handle));
	if (tpm_code(rc) == TPM2_RC_HANDLE)
		return TSS2_RC_SUCCESS;
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = read_public(t, handle, &public);
	if (rc == TSS2_RC_SUCCESS && public.publicArea.type == TPM2_ALG_RSA &&
	    public.publicArea.objectAttributes == ek_template.publicArea.objectAttributes) {
		*ret = handle;
		return TSS2_RC_SUCCESS;
	}
	Esys_TR_Close(t->esys, &handle);
	return rc;
}

TSS2_RC tpm_ek_open(struct tpm *t, struct tpm_transient *ret)
{
	ESYS_TR persistent = ESYS_TR_NONE;
	TSS2_RC rc;

	rc = ek_persistent(t, &persistent);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (persistent == ESYS_TR_NONE)
		return create_primary(t, ESYS_TR_RH_ENDORSEMENT, &ek_template, ret);
	ret->handle = persistent;
	ret->persistent = true;
	return TSS2_RC_SUCCESS;
}

TSS2_RC tpm_ek_find(struct tpm *t)
{
	CLEANUP(tpm_transient_done) struct tpm_transient ek = { .tpm = t, .handle = ESYS_TR_NONE };
	TSS2_RC rc;

	rc = tpm_ek_open(t, &ek);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	return read_public(t, ek.handle, &t->ek_public);
}

TSS2_RC tpm_srk_open(struct tpm *t, struct tpm_transient *ret)
{
	return create_primary(t, ESYS_TR_RH_OWNER, &srk_template, ret);
}

static TSS2_RC ak_load(struct tpm *t, ESYS_TR srk)
{
	TSS2_RC rc;

	TPM_CALL(rc, Esys_Load(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			       &t->ak_private, &t->ak_public, &t->ak));
	if (rc != TSS2_RC_SUCCESS)
		t->ak = ESYS_TR_NONE;
	return rc;
}

static TSS2_RC ak_create(struct tpm *t, ESYS_TR srk)
{
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc;

	TPM_CALL(rc, Esys_Create(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				 &no_sensitive, &ak_template, &no_data, &no_pcrs, &private, &public,
				 NULL, NULL, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	t->ak_private = *private;
	t->ak_public = *public;
	Esys_Free(private);
	Esys_Free(public);
	return ak_load(t, srk);
}

static TSS2_RC srk_name(struct tpm *t, ESYS_TR srk, TPM2B_NAME *ret)
{
	TPM2B_NAME *name = NULL;
	TSS2_RC rc;

	rc = Esys_TR_GetName(t->esys, srk, &name);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	*ret = *name;
	Esys_Free(name);
	return TSS2_RC_SUCCESS;
}

static bool same_name(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
	return view_equal(view_of(a->name, a->size), view_of(b->name, b->size));
}

TSS2_RC tpm_ak_open(struct tpm *t, const TPM2B_NAME *made_under, const char **ret_note,
		    TPM2B_NAME *ret_srk_name)
{
	CLEANUP(tpm_transient_done) struct tpm_transient srk = { .tpm = t, .handle = ESYS_TR_NONE };
	const char *note = NULL;
	TPM2B_NAME ours;
	TSS2_RC rc;

	rc = tpm_srk_open(t, &srk);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = srk_name(t, srk.handle, &ours);
	if (rc != TSS2_RC_SUCCESS)
		return rc;

	if (!made_under)
		note = "a new attestation key was made: there was none";
	else if (!same_name(&ours, made_under))
		note = "a new attestation key was made: the old one belongs to another TPM, or the "
		       "TPM was cleared";
	if (!note) {
		rc = ak_load(t, srk.handle);
		if (tpm_code(rc) == TPM2_RC_INTEGRITY || tpm_code(rc) == TPM2_RC_BINDING ||
		    tpm_code(rc) == TPM2_RC_SIZE || tpm_code(rc) == TPM2_RC_VALUE)
			note = "a new attestation key was made: the TPM does not take the old one";
	}
	if (note)
		rc = ak_create(t, srk.handle);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	*ret_note = note;
	*ret_srk_name = ours;
	return TSS2_RC_SUCCESS;
}

/* A primary key is computed from the hierarchy's seed and the template: the same at every boot. */
TSS2_RC tpm_ak_derive(struct tpm *t)
{
	struct tpm_transient ak = { .tpm = t, .handle = ESYS_TR_NONE };
	TSS2_RC rc;

	rc = create_primary(t, ESYS_TR_RH_OWNER, &ak_template, &ak);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	t->ak = ak.handle;
	rc = read_public(t, t->ak, &t->ak_public);
	if (rc != TSS2_RC_SUCCESS)
		tpm_flush(t, &t->ak);
	return rc;
}

TSS2_RC tpm_ak_find(struct tpm *t, TPM2_HANDLE handle)
{
	TSS2_RC rc;

	TPM_CALL(rc, Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, &t->ak));
	if (rc != TSS2_RC_SUCCESS) {
		t->ak = ESYS_TR_NONE;
		return rc;
	}
	t->ak_at = handle;
	return read_public(t, t->ak, &t->ak_public);
}

TSS2_RC tpm_ak_reload(struct tpm *t)
{
	CLEANUP(tpm_transient_done) struct tpm_transient srk = { .tpm = t, .handle = ESYS_TR_NONE };
	TSS2_RC rc;

	if (t->ak_at) {
		Esys_TR_Close(t->esys, &t->ak);
		return tpm_ak_find(t, t->ak_at);
	}
	tpm_flush(t, &t->ak);
	if (!t->state)
		return tpm_ak_derive(t);
	rc = tpm_srk_open(t, &srk);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	return ak_load(t, srk.handle);
}
