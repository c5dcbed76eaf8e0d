/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "claims.h"
#include "evidence_sev_snp_report.h"
#include "evidence_table.h"
#include "evidence_vtpm_check.h"

/*
 * The vTPM of an SVSM on SEV-SNP. The chip's report, at the SVSM's own privilege level, covers
 * the vTPM's endorsement key, and no attestation key. That an attestation key lives in that
 * vTPM shows at enrolment, where it opens a credential sealed to that EK (credential.h); so
 * evidence on its own, which nobody enrolled, cannot be found good.
 */

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

bool svsm_is(const Assay__ChipReport *report)
{
	return report->service_report.len > 0 || report->service_manifest.len > 0;
}

int svsm_check_sizes(struct vtpm_check *c)
{
	const Assay__ChipReport *r = c->in->report;

	if (r->service_manifest.len > SVSM_MANIFEST_MAX) {
		appraisal_refuse(c->a, "evidence.size", "manifest: at most 32768", "%zu",
				 r->service_manifest.len);
		return 0;
	}
	if (r->service_report.len != SNP_REPORT_SIZE) {
		appraisal_refuse(c->a, "evidence.size", "report of the chip: 1184", "%zu",
				 r->service_report.len);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

int svsm_check_manifest(struct vtpm_check *c)
{
	const char *why;
	int r;

	r = svsm_manifest_parse(field(c->in->report->service_manifest), &c->manifest, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.manifest",
				 "an SVSM's manifest with the EK of its vTPM", "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	appraisal_pass(c->a);
	return 1;
}

/*
 * What the SVSM was asked with: SHA-512 of the Claims; on its own what lies beside, or what is
 * expected. 1, and the nonce; 0: there is none.
 */
static int nonce_of(struct vtpm_check *c, uint8_t nonce[EVIDENCE_DATA])
{
	struct view own = field(c->in->report->service_nonce);
	struct view expected = c->in->report_data;
	struct digest d;
	int r;

	memset(nonce, 0, EVIDENCE_DATA);
	if (!c->in->alone) {
		r = claims_hash(c->in->claims, &d);
		if (r < 0)
			return r;
		memcpy(nonce, d.bytes, EVIDENCE_DATA);
		return 1;
	}
	if (own.len == EVIDENCE_DATA)
		memcpy(nonce, own.data, own.len);
	else if (own.len == 0 && expected.len > 0 && expected.len <= EVIDENCE_DATA)
		memcpy(nonce, expected.data, expected.len);
	else
		return 0;
	return evidence_judge_report_data(c->in, view_of(nonce, EVIDENCE_DATA), c->a) < 0 ? -ENOMEM
											  : 1;
}

/* Above VMPL 0 the guest itself may have the chip sign a manifest of its own making. */
static int check_level(struct vtpm_check *c, struct view raw)
{
	struct snp_report report;
	const char *why;

	if (snp_report_parse(raw, &report, &why) < 0 || report.vmpl == 0)
		return 1; /* the platform's own checks say what is wrong with its form */
	appraisal_refuse(c->a, "evidence.vmpl", "0: that of the SVSM", "%u", report.vmpl);
	return 0;
}

int svsm_check_hardware(struct vtpm_check *c)
{
	struct view raw = field(c->in->report->service_report);
	uint8_t nonce[EVIDENCE_DATA];
	struct digest d;
	int r;

	r = check_level(c, raw);
	if (r <= 0)
		return r;
	r = nonce_of(c, nonce);
	if (r == 0)
		appraisal_refuse(c->a, "evidence.nonce",
				 "the 64 bytes that the SVSM was asked with, or those expected",
				 "%zu bytes", c->in->report->service_nonce.len);
	if (r <= 0)
		return r;
	r = digest_of_parts(HASH_SHA512,
			    (struct view[]){ view_of(nonce, sizeof(nonce)),
					     field(c->in->report->service_manifest) },
			    2, &d);
	if (r < 0)
		return r;
	memcpy(c->binding, d.bytes, sizeof(c->binding));
	r = vtpm_judge_chip(c, &evidence_sev_snp, raw, "nonce and manifest of the SVSM");
	if (r == 1 && c->in->alone) {
		c->result.has_report_data = true;
		c->result.report_data_len = sizeof(nonce);
		memcpy(c->result.report_data, nonce, sizeof(nonce));
	}
	return r;
}

/*
 * The AK's credential was sealed to one EK, and the name of an AK alone does not say which: a
 * machine may have been enrolled in another way.
 */
int svsm_check_ek(struct vtpm_check *c)
{
	if (c->in->alone) {
		appraisal_refuse(c->a, "evidence.ek",
				 "an attestation key that was enrolled under this EK",
				 "evidence on its own, where that could not be checked");
		return 0;
	}
	if (!view_equal(c->in->ek_public, c->manifest.vtpm)) {
		appraisal_refuse(c->a, "evidence.ek",
				 "the EK that the machine's attestation key was enrolled under",
				 "%s", c->in->ek_public.len > 0 ? "another" : "none was");
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

int svsm_check_ak(struct vtpm_check *c)
{
	struct view name, enrolled = c->in->key_name;
	const char *why = NULL;
	int r;

	r = tpm_public_parse(field(c->in->report->key), &c->ak, &why);
	if (r == 0)
		why = tpm_public_ak_fault(&c->ak);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (why) {
		appraisal_refuse(c->a, "evidence.key", "a restricted signing key made in the vTPM",
				 "%s", why);
		return 0;
	}
	name = tpm_public_name(&c->ak);
	if (enrolled.len != name.len || CRYPTO_memcmp(enrolled.data, name.data, name.len) != 0) {
		appraisal_refuse(c->a, "evidence.key", "the key enrolled for this machine",
				 "another");
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

/* The chip's report and the vTPM's quote lie beside the manifest as parts of one evidence. */
static const char *const parts[] = { "sev-snp", "tpm", NULL };

const struct evidence_ops evidence_svsm = {
	.platform = "vtpm",
	.insecure = false,
	.verify = vtpm_verify,
	.detect = svsm_manifest_is,
	.gather = svsm_gather,
	.show = svsm_show,
	.parts = parts,
	.proves =
		"The chip signed, for the SVSM it launched, a report over the endorsement key of\n"
		"this vTPM.",
	.proves_not =
		"That the vTPM's attestation key is any of that vTPM's: that shows only where\n"
		"the key is enrolled; so evidence on its own is never found valid.",
};
