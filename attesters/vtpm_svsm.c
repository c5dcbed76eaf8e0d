/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "arena.h"
#include "cleanup.h"
#include "vtpm.h"

/*
 * The vTPM of an SVSM (AMD 58019, "Secure VM Service Module for SEV-SNP Guests", 8: attestation
 * protocol). For a nonce of ours the chip reports, at VMPL 0, over SHA-512(nonce || manifest), and
 * the vTPM service's manifest is the public part of its endorsement key.
 */

#define PROVIDER  "sev_guest"
#define SERVICE	  "svsm"
#define VTPM_GUID "c476f1eb-0123-45a5-9641-b4e7dde5bfe3"

static const struct tsm_request vtpm_service = {
	.provider = PROVIDER,
	.service_provider = SERVICE,
	.service_guid = VTPM_GUID,
};

int svsm_probe(char *ret_why, size_t size)
{
	struct tsm_request request = vtpm_service;
	struct tsm_answer answer;
	char why[ATTESTER_WHY_MAX];
	int r;

	tsm_answer_init(&answer);
	r = tee_find_tsm(PROVIDER, why, sizeof(why));
	if (r == 0)
		r = tsm_ask(&request, &answer, why, sizeof(why));
	tsm_answer_done(&answer);
	if (r < 0)
		snprintf(ret_why, size, "no vTPM of an SVSM: %.200s", why);
	else
		snprintf(ret_why, size, "configfs-tsm has an SVSM with a vTPM");
	return r < 0 ? -ENODEV : 0;
}

/* The answer covers nonce and manifest, and the manifest names the EK of the TPM that is open. */
static int check_answer(struct vtpm *v, const struct tsm_answer *answer, const uint8_t *nonce)
{
	CLEANUP(bytes_cleanup) struct bytes ek = BYTES_INIT(sizeof(TPMT_PUBLIC));
	struct view manifest = bytes_view(&answer->manifestblob);
	const char *fault = NULL;
	char *why = v->tpm.base.why;
	struct digest d;
	int r;

	r = digest_of_parts(HASH_SHA512,
			    (struct view[]){ view_of(nonce, TSM_INBLOB_SIZE), manifest }, 2, &d);
	if (r == 0)
		r = tpm_append_public(&v->tpm.ek_public, &ek);
	if (r < 0)
		return r;
	r = snp_covers(bytes_view(&answer->outblob), d.bytes, &fault);
	if (r < 0) {
		snprintf(why, ATTESTER_WHY_MAX, "the SVSM gave %zu bytes: %s", answer->outblob.len,
			 fault);
		return r;
	}
	if (!view_equal(manifest, bytes_view(&ek))) {
		snprintf(why, ATTESTER_WHY_MAX,
			 "the TPM that is open is not the SVSM's: its endorsement key is another");
		return -ENODEV;
	}
	return 0;
}

/* *ret is ended with tsm_answer_done. */
static int ask(struct vtpm *v, const uint8_t *nonce, struct tsm_answer *ret)
{
	struct tsm_request request = vtpm_service;
	struct tsm_answer answer;
	int r;

	memcpy(request.inblob, nonce, sizeof(request.inblob));
	r = tee_request((struct tee *)v->chip, &request, &answer);
	if (r < 0) {
		snprintf(v->tpm.base.why, ATTESTER_WHY_MAX, "%s", v->chip->why);
		return r;
	}
	r = check_answer(v, &answer, nonce);
	if (r < 0) {
		tsm_answer_done(&answer);
		return r;
	}
	*ret = answer;
	return 0;
}

int svsm_open(struct vtpm *v)
{
	uint8_t nonce[TSM_INBLOB_SIZE];
	struct tsm_answer answer;
	int r;

	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return -EIO;
	r = ask(v, nonce, &answer);
	if (r == 0)
		tsm_answer_done(&answer);
	return r;
}

static int fill(struct arena *arena, const struct bytes *from, ProtobufCBinaryData *ret)
{
	uint8_t *p = arena_copy(arena, from->data, from->len);

	if (!p)
		return -ENOMEM;
	*ret = (ProtobufCBinaryData){ .len = from->len, .data = p };
	return 0;
}

int svsm_report(struct vtpm *v, struct view claims, struct arena *arena, Assay__ChipReport *report)
{
	struct tsm_answer answer;
	struct digest nonce;
	int r;

	r = claims_hash(claims, &nonce);
	if (r == 0)
		r = ask(v, nonce.bytes, &answer);
	if (r < 0)
		return r;
	r = fill(arena, &answer.outblob, &report->service_report);
	if (r == 0)
		r = fill(arena, &answer.manifestblob, &report->service_manifest);
	if (r == 0)
		r = tee_endorse((struct tee *)v->chip, bytes_view(&answer.auxblob), arena, report);
	tsm_answer_done(&answer);
	return r;
}
