/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "evidence_sev_snp_report.h"
#include "evidence_vtpm.h"
#include "svsm_manifest.h"

/* The parts of the evidence of an SVSM's vTPM in files, each known by its content. */

static ProtobufCBinaryData lend(struct view v)
{
	return (ProtobufCBinaryData){ v.len, (uint8_t *)v.data };
}

static bool is_ak(struct view v)
{
	struct tpm_public key;
	const char *why;

	return tpm_public_parse(v, &key, &why) == 0 && !tpm_public_ak_fault(&key);
}

/* 1: taken; 0: it is none of these; -EINVAL: a second one. */
static int take(struct view v, Assay__ChipReport *report, const char **ret_why)
{
	struct {
		bool is_it;
		ProtobufCBinaryData *to;
		const char *twice;
	} known[] = {
		{ v.len == SNP_REPORT_SIZE, &report->service_report,
		  "two reports of the chip: one at a time" },
		{ v.len == EVIDENCE_DATA, &report->service_nonce, "two nonces: one at a time" },
		{ is_ak(v), &report->key, "two attestation keys: one at a time" },
		{ svsm_manifest_is(v), &report->service_manifest, "two manifests: one at a time" },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!known[i].is_it)
			continue;
		if (known[i].to->data) {
			*ret_why = known[i].twice;
			return -EINVAL;
		}
		*known[i].to = lend(v);
		return 1;
	}
	return 0;
}

int svsm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		Assay__ChipReport *report, const char **ret_why)
{
	ProtobufCBinaryData *others = arena_alloc(arena, (n + 1) * sizeof(*others));
	int r;

	if (!others)
		return -ENOMEM;
	report->endorsements = others;
	for (size_t i = 0; i < n; i++) {
		r = take(files[i].bytes, report, ret_why);
		if (r == 0)
			r = vtpm_take_quote(&files[i], arena, report, ret_why);
		if (r < 0)
			return r;
		if (r == 0)
			others[report->n_endorsements++] = lend(files[i].bytes);
	}
	if (report->service_report.len == 0) {
		*ret_why = "an SVSM's manifest without the chip's report over it";
		return -EINVAL;
	}
	return 0;
}

int svsm_show(const Assay__ChipReport *report, json_t **ret)
{
	struct view raw = view_of(report->service_manifest.data, report->service_manifest.len);
	char name[2 * TPM_NAME_MAX + 1], attributes[2 * 4 + 1];
	struct svsm_manifest m;
	struct view ek_name;
	uint8_t bits[4];
	const char *why;
	json_t *o;
	int r;

	r = svsm_manifest_parse(raw, &m, &why);
	if (r < 0)
		return r;
	ek_name = tpm_public_name(&m.ek);
	hex_encode(ek_name.data, ek_name.len, name);
	for (size_t i = 0; i < sizeof(bits); i++)
		bits[i] = (uint8_t)(m.ek.area.objectAttributes >> (24 - 8 * i));
	hex_encode(bits, sizeof(bits), attributes);
	o = json_pack("{s:s, s:b, s:I, s:{s:s, s:s, s:s}}", "hardware", "sev-snp", "all_services",
		      m.all_services, "services", (json_int_t)m.n_services, "ek", "kind",
		      m.ek.area.type == TPM2_ALG_RSA ? "RSA" : "ECC", "name", name, "attributes",
		      attributes);
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}
