/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tpm.h"

TPML_PCR_SELECTION tpm_pcr_selection(const struct tpm *t, uint32_t pcrs)
{
	TPML_PCR_SELECTION l = { .count = 1 };
	TPMS_PCR_SELECTION *s = &l.pcrSelections[0];

	s->hash = (TPMI_ALG_HASH)t->bank;
	s->sizeofSelect = TPM_PCRS / 8;
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		if (pcrs >> i & 1)
			s->pcrSelect[i / 8] |= (BYTE)(1u << (i % 8));
	}
	return l;
}

static uint32_t pcrs_of(const TPMS_PCR_SELECTION *s)
{
	uint32_t pcrs = 0;

	for (unsigned int i = 0; i < TPM_PCRS && i / 8 < s->sizeofSelect; i++) {
		if (s->pcrSelect[i / 8] >> (i % 8) & 1)
			pcrs |= 1u << i;
	}
	return pcrs;
}

/* " sha256 sha1": the banks that the TPM has. */
static void list_banks(const TPML_PCR_SELECTION *l, char *to, size_t size)
{
	const char *name;
	size_t len = 0;

	to[0] = '\0';
	for (uint32_t i = 0; i < l->count; i++) {
		name = hash_name((enum hash_alg)l->pcrSelections[i].hash);
		if (name && pcrs_of(&l->pcrSelections[i]) && len < size)
			len += (size_t)snprintf(to + len, size - len, " %s", name);
	}
}

int tpm_pcr_check_bank(struct tpm *t, char *ret_why, size_t size)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	uint32_t there = 0;
	TPMI_YES_NO more;
	char banks[128];
	TSS2_RC rc;

	TPM_CALL(rc, Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					TPM2_CAP_PCRS, 0, 1, &more, &data));
	if (rc != TSS2_RC_SUCCESS) {
		tpm_explain(rc, "cannot ask the TPM for its PCR banks", ret_why, size);
		return tpm_errno(rc);
	}
	for (uint32_t i = 0; i < data->data.assignedPCR.count; i++) {
		const TPMS_PCR_SELECTION *s = &data->data.assignedPCR.pcrSelections[i];

		if (s->hash == t->bank)
			there = pcrs_of(s);
	}
	list_banks(&data->data.assignedPCR, banks, sizeof(banks));
	Esys_Free(data);
	if ((t->pcrs & ~there) == 0)
		return 0;
	snprintf(ret_why, size,
		 "the TPM's %s bank has the PCRs 0x%06x, not all of 0x%06x; its banks:%s. Choose "
		 "one of them, or have the firmware (or tpm2_pcrallocate) switch the bank on",
		 hash_name(t->bank), there, t->pcrs, *banks ? banks : " none");
	return -EOPNOTSUPP;
}

/* Takes the values of one answer; the PCRs that were in it. */
static uint32_t take_values(const struct tpm *t, const TPML_PCR_SELECTION *l,
			    const TPML_DIGEST *digests, struct digest values[TPM_PCRS])
{
	uint32_t there = l->count == 1 ? pcrs_of(&l->pcrSelections[0]) : 0, taken = 0;
	uint32_t n = 0;

	for (unsigned int i = 0; i < TPM_PCRS && n < digests->count; i++) {
		if (!(there >> i & 1))
			continue;
		if (digest_from(t->bank,
				view_of(digests->digests[n].buffer, digests->digests[n].size),
				&values[i]) == 0)
			taken |= 1u << i;
		n++;
	}
	return taken;
}

int tpm_pcr_read(struct tpm *t, uint32_t pcrs, struct digest ret_values[TPM_PCRS])
{
	struct digest values[TPM_PCRS] = { 0 };
	TPML_PCR_SELECTION *there = NULL;
	TPML_DIGEST *digests = NULL;
	TSS2_RC rc;

	/* A TPM answers with at most eight values at a time. */
	for (uint32_t left = pcrs, taken; left; left &= ~taken) {
		TPML_PCR_SELECTION want = tpm_pcr_selection(t, left);

		TPM_CALL(rc, Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &want,
					   NULL, &there, &digests));
		if (rc != TSS2_RC_SUCCESS)
			return tpm_errno(rc);
		taken = take_values(t, there, digests, values) & left;
		Esys_Free(there);
		Esys_Free(digests);
		if (!taken)
			return -EIO;
	}
	memcpy(ret_values, values, sizeof(values));
	return 0;
}
