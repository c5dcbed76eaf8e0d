/* SPDX-License-Identifier: Apache-2.0 */
#include "vtpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cleanup.h"
#include "table.h"

/*
 * A vTPM that runs inside the confidential VM, below the guest, and for which the chip vouches.
 * Azure's paravisor leaves the chip's report over the vTPM's attestation key in an NV index, and
 * makes that key; an SVSM is asked through configfs-tsm for a report over its vTPM's
 * endorsement key, and the attestation key is ours. All else is as of a TPM (tpm.c).
 */

#define NV_HCL	  "HCLA"
#define NV_REPORT 0x01400001
#define AK_AZURE  0x81000003
#define HCL_MAX	  4096 /* of the NV index */

static struct tee *tee_of(struct vtpm *v)
{
	return (struct tee *)v->chip;
}

static void vtpm_close(struct attester *a)
{
	struct vtpm *v = (struct vtpm *)a;

	if (!v)
		return;
	tee_close(v->chip);
	bytes_done(&v->hcl);
	tpm_done(&v->tpm);
	free(v);
}

static void vtpm_closep(struct vtpm **v)
{
	vtpm_close(*v ? &(*v)->tpm.base : NULL);
}

/* Connected; the paravisor's report, where there is one: v->hcl stays empty otherwise. */
static int vtpm_connect(const struct attester_config *config, struct vtpm **ret, char *ret_why,
			size_t size)
{
	CLEANUP(vtpm_closep) struct vtpm *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->hcl = BYTES_INIT(HCL_MAX);
	r = tpm_connect(&v->tpm, &attester_vtpm, config, ret_why, size);
	if (r < 0)
		return r;
	r = tpm_nv_read(&v->tpm, NV_REPORT, &v->hcl);
	if (r < 0 && r != -ENOENT && r != -EMSGSIZE) {
		snprintf(ret_why, size, "NV index 0x%08x of the TPM: %s", NV_REPORT, strerror(-r));
		return r;
	}
	/* What is there may be anybody's. */
	if (r < 0 || v->hcl.len < strlen(NV_HCL) ||
	    memcmp(v->hcl.data, NV_HCL, strlen(NV_HCL)) != 0)
		bytes_reset(&v->hcl);
	*ret = TAKE(v);
	return 0;
}

static int vtpm_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	CLEANUP(vtpm_closep) struct vtpm *v = NULL;
	char why[ATTESTER_WHY_MAX];
	int r;

	r = vtpm_connect(config, &v, ret_why, size);
	if (r < 0)
		return r;
	if (v->hcl.len > 0) {
		snprintf(ret_why, size,
			 "the TPM's NV index 0x%08x has a chip's report of Azure's paravisor",
			 NV_REPORT);
		return 0;
	}
	r = svsm_probe(why, sizeof(why));
	if (r == 0)
		snprintf(ret_why, size, "%s", why);
	else
		snprintf(ret_why, size, "no chip's report in NV index 0x%08x; %.180s", NV_REPORT,
			 why);
	return r;
}

static int open_azure(struct vtpm *v, char *ret_why, size_t size)
{
	TSS2_RC rc = tpm_ak_find(&v->tpm, AK_AZURE);
	char tried[96];

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	snprintf(tried, sizeof(tried), "cannot have the paravisor's attestation key at 0x%08x",
		 AK_AZURE);
	tpm_explain(rc, tried, ret_why, size);
	return tpm_errno(rc);
}

static int open_svsm(struct vtpm *v, char *ret_why, size_t size)
{
	int r = tpm_own_keys(&v->tpm, ret_why, size);

	if (r == 0) {
		r = svsm_open(v);
		if (r < 0)
			snprintf(ret_why, size, "%s",
				 v->tpm.base.why[0] ? v->tpm.base.why : strerror(-r));
	}
	return r;
}

static int vtpm_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		     size_t size)
{
	struct attester_config of_chip = *config;
	CLEANUP(vtpm_closep) struct vtpm *v = NULL;
	int r;

	ret_why[0] = '\0';
	/* The firmware's log is that of the TPM. */
	of_chip.tee_event_log = NULL;
	r = vtpm_connect(config, &v, ret_why, size);
	if (r == 0)
		r = tpm_registers(&v->tpm, config, ret_why, size);
	if (r == 0)
		r = tee_open(&attester_vtpm, &of_chip, tee_ask_tsm, NULL, &v->chip, ret_why, size);
	if (r == 0)
		r = v->hcl.len > 0 ? open_azure(v, ret_why, size) : open_svsm(v, ret_why, size);
	if (r < 0)
		return r;
	*ret = &TAKE(v)->tpm.base;
	return 0;
}

/*
 * An SVSM's: the AK's name, for which a credential can be opened. Azure's AK is the chip's word;
 * what it names is the vTPM, not the machine's record, so that has a name of its own (tee.h).
 */
static int vtpm_identity(struct attester *a, struct attester_identity *ret)
{
	struct vtpm *v = (struct vtpm *)a;

	return v->hcl.len > 0 ? tee_identity(v->chip, ret) : tpm_identity(a, ret);
}

static int azure_report(struct vtpm *v, struct arena *arena, Assay__ChipReport *report)
{
	struct view hcl = bytes_view(&v->hcl);
	uint8_t *p = arena_copy(arena, hcl.data, hcl.len);

	if (!p)
		return -ENOMEM;
	report->key = (ProtobufCBinaryData){ .len = hcl.len, .data = p };
	return tee_endorse(tee_of(v), view_of(NULL, 0), arena, report);
}

static int vtpm_report(struct attester *a, struct view claims, struct arena *arena,
		       Assay__ChipReport *report)
{
	struct vtpm *v = (struct vtpm *)a;
	int r;

	a->why[0] = '\0';
	r = tpm_report(a, claims, arena, report);
	if (r < 0)
		return r;
	return v->hcl.len > 0 ? azure_report(v, arena, report)
			      : svsm_report(v, claims, arena, report);
}

const struct attester_ops attester_vtpm = {
	.platform = "vtpm",
	.insecure = false,
	.enrols_by_report = true,
	.quotes_ima = true,
	.probe = vtpm_probe,
	.open = vtpm_open,
	.identity = vtpm_identity,
	.extend = tpm_extend,
	.runtime = tpm_runtime,
	.report = vtpm_report,
	.activate = tpm_activate,
	.close = vtpm_close,
};
