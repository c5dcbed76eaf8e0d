/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "verifier/evidence_vtpm.h"
#include "verifier/hcl_report.h"

/*
 * Files, a line of "--" between them: a paravisor's report, a quote, its signature, register
 * values ... Each is read as the report alone, and all are judged as one evidence.
 */

#define FILES 8

static const char separator[] = "\n--\n";

static size_t split(struct view all, struct evidence_file files[FILES])
{
	size_t n = 0, from = 0, len = strlen(separator);

	for (size_t i = 0; n < FILES - 1 && i + len <= all.len; i++) {
		if (memcmp(all.data + i, separator, len) != 0)
			continue;
		files[n++] = (struct evidence_file){ "part", view_of(all.data + from, i - from) };
		from = i + len;
		i = from - 1;
	}
	files[n++] = (struct evidence_file){ "part", view_of(all.data + from, all.len - from) };
	return n;
}

static void read_one(struct view raw)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	const char *why = NULL;
	struct hcl_report h;
	json_t *shown;
	int r;

	r = hcl_report_parse(raw, &h, &why);
	if (r < 0 && r != -ENOMEM && (r != -EBADMSG || !why))
		abort();
	if (r < 0)
		return;
	if (!hcl_report_begins(raw) || h.hash == HASH_NONE || h.variable.data < raw.data ||
	    h.variable.data + h.variable.len > raw.data + raw.len)
		abort();
	report.key = (ProtobufCBinaryData){ raw.len, (uint8_t *)raw.data };
	if (vtpm_show(&report, &shown) != 0)
		abort();
	json_decref(shown);
}

static void judge(const struct evidence_file *files, size_t n)
{
	struct evidence_alone in = {
		.platform = "vtpm", .files = files, .n_files = n, .now = 1800000000
	};
	struct evidence_found found;
	struct evidence_result result;
	struct appraisal a;
	struct arena *arena;

	if (arena_new(4 * 1024 * 1024, &arena) < 0)
		return;
	appraisal_init(&a);
	/* Nobody here can sign as the makers of chips do. */
	if (evidence_appraise(&in, arena, &a, &found, &result) == 0 &&
	    evidence_verdict(&a) != EVIDENCE_INVALID)
		abort();
	appraisal_done(&a);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evidence_file files[FILES];
	size_t n = split(view_of(data, size), files);

	for (size_t i = 0; i < n; i++)
		read_one(files[i].bytes);
	judge(files, n);
	return 0;
}
