/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <tss2/tss2_mu.h>

#include "arena.h"
#include "cleanup.h"
#include "tpm.h"

#define QUOTE_TRIES 8 /* another process may extend a quoted PCR at any moment */

/* A quote and the register values that went into its digest. */
struct quote {
	TPM2B_ATTEST *attest;
	TPMT_SIGNATURE *signature;
	struct digest pcrs[TPM_PCRS];
};

static void quote_done(struct quote *q)
{
	Esys_Free(q->attest);
	Esys_Free(q->signature);
	*q = (struct quote){ 0 };
}

static TSS2_RC quote_once(struct tpm *t, const TPM2B_DATA *qualifying, struct quote *ret)
{
	TPML_PCR_SELECTION pcrs = tpm_pcr_selection(t, t->pcrs);
	TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL }; /* the key's own */
	TSS2_RC rc;

	TPM_CALL(rc, Esys_Quote(t->esys, t->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				qualifying, &scheme, &pcrs, &ret->attest, &ret->signature));
	return rc;
}

/* As above, with the AK loaded again where the TPM has forgotten it. */
static int quote_take(struct tpm *t, const TPM2B_DATA *qualifying, struct quote *ret)
{
	TPM2_RC code;
	TSS2_RC rc;

	rc = quote_once(t, qualifying, ret);
	code = tpm_code(rc);
	if (code == TPM2_RC_REFERENCE_H0 || code == TPM2_RC_HANDLE || rc == TSS2_ESYS_RC_BAD_TR) {
		rc = tpm_ak_reload(t);
		if (rc == TSS2_RC_SUCCESS)
			rc = quote_once(t, qualifying, ret);
	}
	return tpm_errno(rc);
}

/* True if the values are those that the quote's digest is over; the AK signs with SHA-256. */
static int quote_matches(const struct tpm *t, const struct quote *q, bool *ret)
{
	struct view parts[TPM_PCRS];
	TPMS_ATTEST attest;
	struct digest d;
	size_t n = 0, at = 0;
	int r;

	if (Tss2_MU_TPMS_ATTEST_Unmarshal(q->attest->attestationData, q->attest->size, &at,
					  &attest) != TSS2_RC_SUCCESS ||
	    attest.type != TPM2_ST_ATTEST_QUOTE)
		return -EIO;
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		if (t->pcrs >> i & 1)
			parts[n++] = digest_view(&q->pcrs[i]);
	}
	r = digest_of_parts(HASH_SHA256, parts, n, &d);
	if (r < 0)
		return r;
	*ret = view_equal(digest_view(&d), view_of(attest.attested.quote.pcrDigest.buffer,
						   attest.attested.quote.pcrDigest.size));
	return 0;
}

static int quote_try(struct tpm *t, const TPM2B_DATA *qualifying, struct quote *ret,
		     bool *ret_matches)
{
	int r;

	r = quote_take(t, qualifying, ret);
	if (r < 0)
		return r;
	r = tpm_pcr_read(t, t->pcrs, ret->pcrs);
	if (r < 0)
		return r;
	return quote_matches(t, ret, ret_matches);
}

/* -EBUSY: the registers did not stand still. */
static int quote_with_values(struct tpm *t, struct view claims, struct quote *ret)
{
	TPM2B_DATA qualifying = { 0 };
	bool matches = false;
	struct digest d;
	int r;

	r = claims_qualifying(claims, &d);
	if (r < 0)
		return r;
	qualifying.size = d.size;
	memcpy(qualifying.buffer, d.bytes, d.size);
	for (unsigned int tries = 0; tries < QUOTE_TRIES; tries++) {
		r = quote_try(t, &qualifying, ret, &matches);
		if (r < 0 || matches)
			return r;
		quote_done(ret);
	}
	snprintf(t->base.why, sizeof(t->base.why),
		 "quoted PCRs were extended during each of %d quotes", QUOTE_TRIES);
	return -EBUSY;
}

static int copy(struct arena *arena, struct view v, ProtobufCBinaryData *ret)
{
	uint8_t *p = arena_copy(arena, v.data, v.len);

	if (!p)
		return -ENOMEM;
	*ret = (ProtobufCBinaryData){ .len = v.len, .data = p };
	return 0;
}

static int fill_values(const struct tpm *t, const struct quote *q, struct arena *arena,
		       Assay__ChipReport *report)
{
	Assay__PcrValue *v;
	int r;

	report->pcrs = arena_alloc(arena, TPM_PCRS * sizeof(*report->pcrs));
	if (!report->pcrs)
		return -ENOMEM;
	report->n_pcrs = 0;
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		if (!(t->pcrs >> i & 1))
			continue;
		v = arena_alloc(arena, sizeof(*v));
		if (!v)
			return -ENOMEM;
		assay__pcr_value__init(v);
		v->alg = t->bank;
		v->index = i;
		r = copy(arena, digest_view(&q->pcrs[i]), &v->value);
		if (r < 0)
			return r;
		report->pcrs[report->n_pcrs++] = v;
	}
	return 0;
}

/* The EK certificate and its chain, one DER each. */
static int fill_endorsements(const struct tpm *t, struct arena *arena, Assay__ChipReport *report)
{
	struct reader chain = reader_of(bytes_view(&t->ek_chain));
	struct view certificate = bytes_view(&t->ek_certificate);
	size_t n = 0, size;
	int r;

	report->n_endorsements = 0;
	if (certificate.len == 0)
		return 0;
	for (struct reader c = chain; (size = tpm_nv_der_size(view_of(c.at, c.left))) > 0; n++) {
		struct view skipped;

		if (read_view(&c, size, &skipped) < 0)
			break;
	}
	report->endorsements = arena_alloc(arena, (n + 1) * sizeof(*report->endorsements));
	if (!report->endorsements)
		return -ENOMEM;
	for (size_t i = 0; i < n + 1; i++) {
		r = copy(arena, certificate, &report->endorsements[i]);
		if (r < 0)
			return r;
		report->n_endorsements++;
		size = tpm_nv_der_size(view_of(chain.at, chain.left));
		if (size == 0 || read_view(&chain, size, &certificate) < 0)
			break;
	}
	return 0;
}

static int fill_report(const struct tpm *t, const struct quote *q, struct arena *arena,
		       Assay__ChipReport *report)
{
	uint8_t signature[sizeof(TPMT_SIGNATURE)], key[sizeof(TPMT_PUBLIC)];
	size_t signature_len = 0, key_len = 0;
	int r;

	if (Tss2_MU_TPMT_SIGNATURE_Marshal(q->signature, signature, sizeof(signature),
					   &signature_len) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPMT_PUBLIC_Marshal(&t->ak_public.publicArea, key, sizeof(key), &key_len) !=
		    TSS2_RC_SUCCESS)
		return -EIO;
	report->platform = arena_text(arena, t->base.ops->platform);
	if (!report->platform)
		return -ENOMEM;
	r = copy(arena, view_of(q->attest->attestationData, q->attest->size), &report->report);
	if (r < 0)
		return r;
	r = copy(arena, view_of(signature, signature_len), &report->signature);
	if (r < 0)
		return r;
	r = copy(arena, view_of(key, key_len), &report->key);
	if (r < 0)
		return r;
	r = copy(arena, bytes_view(&t->event_log), &report->event_log);
	if (r < 0)
		return r;
	r = fill_values(t, q, arena, report);
	if (r < 0)
		return r;
	return fill_endorsements(t, arena, report);
}

int tpm_report(struct attester *a, struct view claims, struct arena *arena,
	       Assay__ChipReport *report)
{
	CLEANUP(quote_done) struct quote q = { 0 };
	struct tpm *t = (struct tpm *)a;
	int r;

	r = quote_with_values(t, claims, &q);
	if (r < 0)
		return r;
	return fill_report(t, &q, arena, report);
}
