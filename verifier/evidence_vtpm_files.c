/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_vtpm.h"

#include <string.h>

#include "eventlog.h"
#include "hcl_report.h"

/* The parts of a vTPM's evidence in files, each known by its content. */

#define SIGNATURE_HEAD 6 /* algorithm, hash, size of a TPMT_SIGNATURE of RSA */
#define PCR_LINE_MAX   (4 + 2 * DIGEST_MAX)

bool vtpm_is_quote(struct view v)
{
	static const uint8_t head[] = { 0xff, 'T', 'C', 'G', 0x80, 0x18 };

	return v.len > sizeof(head) && v.len <= sizeof(TPMS_ATTEST) &&
	       memcmp(v.data, head, sizeof(head)) == 0;
}

struct view vtpm_signature(struct view given, const struct tpm_public *ak, uint8_t *room,
			   size_t size)
{
	static const uint8_t rsassa_sha256[] = { 0x00, 0x14, 0x00, 0x0b };
	size_t len = ak->area.unique.rsa.size;

	/* A bare signature is as long as the modulus, one in its structure longer by its head. */
	if (given.len != len || size < len + SIGNATURE_HEAD)
		return given;
	memcpy(room, rsassa_sha256, sizeof(rsassa_sha256));
	room[4] = (uint8_t)(len >> 8);
	room[5] = (uint8_t)len;
	memcpy(room + SIGNATURE_HEAD, given.data, len);
	return view_of(room, len + SIGNATURE_HEAD);
}

static bool is_signature(struct view v)
{
	struct reader in = reader_of(v);
	uint16_t scheme, hash, len;

	if (v.len == 256 || v.len == 384 || v.len == VTPM_RSA_MAX)
		return true;
	return read_be16(&in, &scheme) == 0 && read_be16(&in, &hash) == 0 &&
	       read_be16(&in, &len) == 0 && (scheme == 0x0014 || scheme == 0x0016) &&
	       in.left == len;
}

/* "INDEX HEX": 1, or 0 where the line is something else; -ENOMEM. */
static int read_pcr_line(struct view line, struct arena *arena, Assay__PcrValue **ret)
{
	static const struct {
		size_t size;
		enum hash_alg alg;
	} banks[] = {
		{ 20, HASH_SHA1 }, { 32, HASH_SHA256 }, { 48, HASH_SHA384 }, { 64, HASH_SHA512 }
	};
	struct reader in = reader_of(line);
	char hex[2 * DIGEST_MAX + 1];
	uint8_t bytes[DIGEST_MAX];
	Assay__PcrValue *v;
	struct view index;
	unsigned int n = 0;

	if (line.len > PCR_LINE_MAX || read_until(&in, ' ', &index) < 0 || index.len == 0 ||
	    index.len > 2 || in.left == 0 || in.left > 2 * DIGEST_MAX)
		return 0;
	for (size_t i = 0; i < index.len; i++) {
		if (index.data[i] < '0' || index.data[i] > '9')
			return 0;
		n = 10 * n + (index.data[i] - '0');
	}
	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		if (in.left != 2 * banks[i].size)
			continue;
		memcpy(hex, in.at, in.left);
		hex[in.left] = '\0';
		if (n >= EVIDENCE_PCRS || hex_decode_exact(hex, bytes, banks[i].size) < 0)
			return 0;
		v = arena_alloc(arena, sizeof(*v));
		if (!v)
			return -ENOMEM;
		assay__pcr_value__init(v);
		v->alg = banks[i].alg;
		v->index = n;
		v->value.len = banks[i].size;
		v->value.data = arena_copy(arena, bytes, banks[i].size);
		if (!v->value.data)
			return -ENOMEM;
		*ret = v;
		return 1;
	}
	return 0;
}

/* 1: the file is register values, and they are in the report; 0: it is something else. */
static int take_pcrs(struct view text, struct arena *arena, Assay__ChipReport *report)
{
	struct reader in = reader_of(text);
	Assay__PcrValue *values[EVIDENCE_PCRS], **all;
	size_t n = 0;
	struct view line;
	int r;

	while (in.left > 0) {
		if (read_until(&in, '\n', &line) < 0)
			return 0;
		if (n == EVIDENCE_PCRS)
			return 0;
		r = read_pcr_line(line, arena, &values[n]);
		if (r <= 0)
			return r;
		n++;
	}
	if (n == 0)
		return 0;
	all = arena_alloc(arena, (report->n_pcrs + n) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (report->n_pcrs > 0)
		memcpy(all, report->pcrs, report->n_pcrs * sizeof(*all));
	memcpy(all + report->n_pcrs, values, n * sizeof(*all));
	report->pcrs = all;
	report->n_pcrs += n;
	return 1;
}

static bool is_event_log(struct view v)
{
	struct eventlog log;
	const char *why;

	return v.len <= EVENT_LOG_MAX && eventlog_open(v, &log, &why) == 0;
}

/* A part of which there is one; 1: taken; 0: the file is something else; -EINVAL: a second one. */
static int take_one(bool is_it, const struct evidence_file *file, ProtobufCBinaryData *to,
		    const char *twice, const char **ret_why)
{
	if (!is_it)
		return 0;
	if (to->data) {
		*ret_why = twice;
		return -EINVAL;
	}
	*to = (ProtobufCBinaryData){ file->bytes.len, (uint8_t *)file->bytes.data };
	return 1;
}

int vtpm_take_quote(const struct evidence_file *file, struct arena *arena,
		    Assay__ChipReport *report, const char **ret_why)
{
	int r;

	r = take_one(vtpm_is_quote(file->bytes), file, &report->report,
		     "two quotes of a vTPM: one at a time", ret_why);
	if (r == 0)
		r = take_one(is_signature(file->bytes), file, &report->signature,
			     "two signatures of a vTPM: one at a time", ret_why);
	if (r == 0)
		r = take_pcrs(file->bytes, arena, report);
	if (r == 0)
		r = take_one(is_event_log(file->bytes), file, &report->event_log,
			     "two event logs: one at a time", ret_why);
	return r;
}

int vtpm_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		Assay__ChipReport *report, const char **ret_why)
{
	ProtobufCBinaryData *others = arena_alloc(arena, (n + 1) * sizeof(*others));
	int r;

	if (!others)
		return -ENOMEM;
	report->endorsements = others;
	report->key = (ProtobufCBinaryData){ files[at].bytes.len, (uint8_t *)files[at].bytes.data };
	for (size_t i = 0; i < n; i++) {
		if (i == at)
			continue;
		r = vtpm_take_quote(&files[i], arena, report, ret_why);
		if (r < 0)
			return r;
		if (r == 0)
			others[report->n_endorsements++] =
				(ProtobufCBinaryData){ files[i].bytes.len,
						       (uint8_t *)files[i].bytes.data };
	}
	return 0;
}

int vtpm_show(const Assay__ChipReport *report, json_t **ret)
{
	struct view raw = view_of(report->key.data, report->key.len);
	char user_data[2 * HCL_USER_DATA + 1] = "";
	struct hcl_report h;
	json_t *data, *o;
	const char *why;
	int r;

	r = hcl_report_parse(raw, &h, &why);
	if (r < 0)
		return r;
	data = json_loadb((const char *)h.variable.data, h.variable.len, JSON_REJECT_DUPLICATES,
			  NULL);
	if (!data)
		return -ENOMEM;
	if (h.has_user_data)
		hex_encode(h.user_data, sizeof(h.user_data), user_data);
	o = json_pack("{s:s, s:s, s:s, s:o}", "hardware", h.kind == HCL_SNP ? "sev-snp" : "tdx",
		      "hash", hash_name(h.hash), "user_data", user_data, "variable_data", data);
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}
