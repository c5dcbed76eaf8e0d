/* SPDX-License-Identifier: Apache-2.0 */
#include "cleanup.h"
#include "tpm.h"

/* TCG EK Credential Profile 2.3, 2.2.1.4 and 2.2.1.5. */
#define NV_EK_CERTIFICATE 0x01c00002
#define NV_CHAIN_FIRST	  0x01c00100
#define NV_CHAIN_LAST	  0x01c001ff

#define NV_MAX	 4096 /* of one index */
#define NV_CHUNK 512  /* every TPM reads that much at once */

size_t tpm_nv_der_size(struct view v)
{
	struct reader r = reader_of(v);
	uint8_t tag, form, b;
	size_t len = 0;

	if (read_u8(&r, &tag) < 0 || tag != 0x30 || read_u8(&r, &form) < 0)
		return 0;
	if (form < 0x80)
		len = form;
	else if (form < 0x81 || form > 0x83)
		return 0;
	for (unsigned int i = 0x80; form > 0x80 && i < form; i++) {
		if (read_u8(&r, &b) < 0)
			return 0;
		len = len << 8 | b;
	}
	return len > r.left ? 0 : v.len - r.left + len;
}

static TSS2_RC read_chunks(struct tpm *t, ESYS_TR index, ESYS_TR auth, uint16_t size,
			   struct bytes *ret, int *ret_error)
{
	TPM2B_MAX_NV_BUFFER *chunk = NULL;
	TSS2_RC rc;

	for (uint16_t at = 0; at < size && *ret_error == 0; at += chunk->size, Esys_Free(chunk)) {
		uint16_t want = size - at < NV_CHUNK ? (uint16_t)(size - at) : NV_CHUNK;

		TPM_CALL(rc, Esys_NV_Read(t->esys, auth, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					  ESYS_TR_NONE, want, at, &chunk));
		if (rc != TSS2_RC_SUCCESS)
			return rc;
		*ret_error =
			chunk->size == 0 ? -EIO : bytes_append(ret, chunk->buffer, chunk->size);
	}
	return TSS2_RC_SUCCESS;
}

int tpm_nv_read(struct tpm *t, TPM2_HANDLE handle, struct bytes *ret)
{
	ESYS_TR index = ESYS_TR_NONE, auth;
	TPM2B_NV_PUBLIC *public = NULL;
	TPMA_NV attributes;
	uint16_t size;
	TSS2_RC rc;
	int r = 0;

	TPM_CALL(rc, Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, &index));
	if (tpm_code(rc) == TPM2_RC_HANDLE)
		return -ENOENT;
	if (rc != TSS2_RC_SUCCESS)
		return tpm_errno(rc);
	TPM_CALL(rc, Esys_NV_ReadPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					&public, NULL));
	if (rc == TSS2_RC_SUCCESS) {
		attributes = public->nvPublic.attributes;
		size = public->nvPublic.dataSize;
		Esys_Free(public);
		/* By the index' own empty password where it may be: the owner may have one. */
		auth = attributes & TPMA_NV_AUTHREAD ? index : ESYS_TR_RH_OWNER;
		if (!(attributes & TPMA_NV_WRITTEN))
			r = -ENOENT;
		else if (size > NV_MAX)
			r = -EMSGSIZE;
		else
			rc = read_chunks(t, index, auth, size, ret, &r);
	}
	Esys_TR_Close(t->esys, &index);
	return r < 0 ? r : tpm_errno(rc);
}

int tpm_nv_ek_certificate(struct tpm *t, struct bytes *ret)
{
	size_t size;
	int r;

	r = tpm_nv_read(t, NV_EK_CERTIFICATE, ret);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* Makers define the index larger than their certificate. */
	size = tpm_nv_der_size(bytes_view(ret));
	if (size == 0)
		return -EBADMSG;
	ret->len = size;
	return 0;
}

/* The indices that there are, from first on, into ret. */
static int chain_indices(struct tpm *t, TPML_HANDLE *ret)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	TSS2_RC rc;

	TPM_CALL(rc, Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					TPM2_CAP_HANDLES, NV_CHAIN_FIRST, TPM2_MAX_CAP_HANDLES,
					&more, &data));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_errno(rc);
	*ret = data->data.handles;
	Esys_Free(data);
	return 0;
}

/* Keeps the certificates at the start of the bytes, and drops the padding behind them. */
static void trim_chain(struct bytes *b)
{
	size_t end = 0, size;
	struct reader r = reader_of(bytes_view(b));
	struct view certificate;

	while ((size = tpm_nv_der_size(view_of(r.at, r.left))) > 0 &&
	       read_view(&r, size, &certificate) == 0)
		end += size;
	b->len = end;
}

int tpm_nv_ek_chain(struct tpm *t, struct bytes *ret)
{
	TPML_HANDLE indices = { 0 };
	int r;

	r = chain_indices(t, &indices);
	if (r < 0)
		return r;
	/* One certificate may go on in the next index. */
	for (uint32_t i = 0; i < indices.count && indices.handle[i] <= NV_CHAIN_LAST; i++) {
		r = tpm_nv_read(t, indices.handle[i], ret);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	trim_chain(ret);
	return 0;
}
