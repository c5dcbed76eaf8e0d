/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_tpm_files.h"

#include <string.h>

#include <tss2/tss2_mu.h>

#include "eventlog.h"
#include "evidence_json.h"
#include "ima_log.h"
#include "tpm_public.h"
#include "tpm_quote.h"

#define LINE_MAX_LEN (4 + 2 * DIGEST_MAX)
#define VALUES_MAX   (TPM2_NUM_PCR_BANKS * EVIDENCE_PCRS)

bool tpm_detect(struct view report)
{
	static const uint8_t head[] = { 0xff, 'T', 'C', 'G', 0x80, 0x18 };

	return report.len > sizeof(head) && report.len <= sizeof(TPMS_ATTEST) &&
	       memcmp(report.data, head, sizeof(head)) == 0;
}

static bool is_signature(struct view v)
{
	TPMT_SIGNATURE s = { 0 };
	size_t at = 0;

	return v.len > 0 && v.len <= sizeof(s) &&
	       Tss2_MU_TPMT_SIGNATURE_Unmarshal(v.data, v.len, &at, &s) == TSS2_RC_SUCCESS &&
	       at == v.len;
}

static bool is_key(struct view v)
{
	struct tpm_public key;
	const char *why;

	return tpm_public_parse(v, &key, &why) == 0;
}

static bool is_event_log(struct view v)
{
	struct eventlog log;
	const char *why;

	return v.len <= EVENT_LOG_MAX && eventlog_open(v, &log, &why) == 0;
}

/* A number of one or two digits. */
static int read_index(struct view text, uint32_t *ret)
{
	uint32_t n = 0;

	if (text.len == 0 || text.len > 2)
		return -EBADMSG;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -EBADMSG;
		n = 10 * n + (text.data[i] - '0');
	}
	*ret = n;
	return n < EVIDENCE_PCRS ? 0 : -EBADMSG;
}

/* The bank is told by the length: no two that a TPM has in use are alike in it. */
static enum hash_alg bank_of(size_t hex_len)
{
	static const enum hash_alg banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		if (hex_len == 2 * hash_size(banks[i]))
			return banks[i];
	}
	return HASH_NONE;
}

/* "INDEX HEX"; -EBADMSG: the line is something else. */
static int read_line(struct view line, struct arena *arena, Assay__PcrValue **ret)
{
	struct reader r = reader_of(line);
	char hex[2 * DIGEST_MAX + 1];
	Assay__PcrValue *v;
	struct view index;
	uint32_t n;

	if (line.len > LINE_MAX_LEN || read_until(&r, ' ', &index) < 0 ||
	    read_index(index, &n) < 0 || bank_of(r.left) == HASH_NONE)
		return -EBADMSG;
	memcpy(hex, r.at, r.left);
	hex[r.left] = '\0';
	v = arena_alloc(arena, sizeof(*v));
	if (!v)
		return -ENOMEM;
	assay__pcr_value__init(v);
	v->alg = bank_of(r.left);
	v->index = n;
	v->value.len = r.left / 2;
	v->value.data = arena_alloc(arena, v->value.len);
	if (!v->value.data)
		return -ENOMEM;
	if (hex_decode_exact(hex, v->value.data, v->value.len) < 0)
		return -EBADMSG;
	*ret = v;
	return 0;
}

int tpm_take_pcrs(struct view text, struct arena *arena, Assay__ChipReport *report)
{
	struct reader lines = reader_of(text);
	Assay__PcrValue **values;
	size_t n = report->n_pcrs;
	struct view line;
	int r;

	values = arena_alloc(arena, VALUES_MAX * sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		values[i] = report->pcrs[i];
	while (lines.left > 0) {
		if (n == VALUES_MAX || read_until(&lines, '\n', &line) < 0)
			return 0;
		r = read_line(line, arena, &values[n]);
		if (r == -EBADMSG)
			return 0;
		if (r < 0)
			return r;
		n++;
	}
	if (n == report->n_pcrs)
		return 0;
	report->pcrs = values;
	report->n_pcrs = n;
	return 1;
}

/*
 * Of several signatures the one that goes with the quote and the key. Where none does, the
 * first: it is then refused by its name.
 */
static void choose_signature(const struct evidence_file *files, size_t n, Assay__ChipReport *report)
{
	struct view attest = view_of(report->report.data, report->report.len);
	struct tpm_public key;
	struct tpm_quote q;
	struct appraisal a;
	const char *why;
	bool good;

	if (tpm_public_parse(view_of(report->key.data, report->key.len), &key, &why) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!is_signature(files[i].bytes))
			continue;
		appraisal_init(&a);
		/* The qualifying data may be any here: that the signature holds is one check
		 * passed. */
		good = tpm_quote_judge(&key, attest, files[i].bytes, view_of(NULL, 0), &a, &q) >=
			       0 &&
		       a.checks > 1;
		appraisal_done(&a);
		if (!good)
			continue;
		report->signature.data = (uint8_t *)files[i].bytes.data;
		report->signature.len = files[i].bytes.len;
		return;
	}
}

int tpm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
	       Assay__ChipReport *report, const char **ret_why)
{
	const struct {
		bool (*is)(struct view v);
		ProtobufCBinaryData *to;
	} parts[] = {
		{ is_key, &report->key },
		{ is_signature, &report->signature },
		/* Before the firmware's, whose first form has nothing to know it by. */
		{ ima_log_detect, &report->ima_log },
		{ is_event_log, &report->event_log },
	};
	int r;

	report->report.data = (uint8_t *)files[at].bytes.data;
	report->report.len = files[at].bytes.len;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(parts) && !parts[k].is(files[i].bytes))
			k++;
		if (k < ARRAY_LEN(parts) && !parts[k].to->data) {
			parts[k].to->data = (uint8_t *)files[i].bytes.data;
			parts[k].to->len = files[i].bytes.len;
		}
		r = k < ARRAY_LEN(parts) ? 0 : tpm_take_pcrs(files[i].bytes, arena, report);
		if (r < 0)
			return r;
	}
	if (!report->key.data || !report->signature.data) {
		*ret_why = "a TPM's quote needs its signature (TPMT_SIGNATURE) and the attestation "
			   "key (TPMT_PUBLIC) beside it";
		return -EINVAL;
	}
	choose_signature(files, n, report);
	return 0;
}

static json_t *selection_json(const TPML_PCR_SELECTION *l)
{
	json_t *banks = json_object(), *indexes;
	const char *name;

	for (uint32_t i = 0; banks && i < l->count; i++) {
		const TPMS_PCR_SELECTION *s = &l->pcrSelections[i];

		name = hash_name((enum hash_alg)s->hash);
		indexes = json_array();
		for (int index = 0; index < 8 * s->sizeofSelect; index++) {
			if (s->pcrSelect[index / 8] >> (index % 8) & 1)
				json_array_append_new(indexes, json_integer(index));
		}
		json_object_set_new(banks, name ? name : "unknown", indexes);
	}
	return banks;
}

int tpm_show(const Assay__ChipReport *report, json_t **ret)
{
	TPMS_ATTEST t = { 0 };
	size_t at = 0;
	json_t *o;

	if (Tss2_MU_TPMS_ATTEST_Unmarshal(report->report.data, report->report.len, &at, &t) !=
		    TSS2_RC_SUCCESS ||
	    at != report->report.len || t.type != TPM2_ST_ATTEST_QUOTE)
		return -EBADMSG;
	o = json_pack("{s:o, s:o, s:I, s:I, s:I, s:b, s:I, s:o, s:o}", "qualified_signer",
		      evidence_json_hex(view_of(t.qualifiedSigner.name, t.qualifiedSigner.size)),
		      "extra_data",
		      evidence_json_hex(view_of(t.extraData.buffer, t.extraData.size)), "clock",
		      (json_int_t)t.clockInfo.clock, "reset_count",
		      (json_int_t)t.clockInfo.resetCount, "restart_count",
		      (json_int_t)t.clockInfo.restartCount, "safe", t.clockInfo.safe == TPM2_YES,
		      "firmware_version", (json_int_t)t.firmwareVersion, "pcr_selection",
		      selection_json(&t.attested.quote.pcrSelect), "pcr_digest",
		      evidence_json_hex(view_of(t.attested.quote.pcrDigest.buffer,
						t.attested.quote.pcrDigest.size)));
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}
