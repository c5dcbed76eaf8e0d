/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "verifier/evidence_vtpm.h"
#include "verifier/svsm_manifest.h"

/* A manifest of an SVSM: read, shown, and judged in a session beside a report that nobody signed.
 */

static void show(struct view raw)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	json_t *shown;

	report.service_manifest = (ProtobufCBinaryData){ raw.len, (uint8_t *)raw.data };
	if (svsm_show(&report, &shown) != 0)
		abort();
	json_decref(shown);
}

static void judge(struct view raw)
{
	static uint8_t chip_report[1184] = { 2 };
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = { .report = &report, .claims = raw, .now = 1800000000 };
	struct evidence_result result;
	struct appraisal a;

	report.platform = (char *)"vtpm";
	report.key = report.service_manifest =
		(ProtobufCBinaryData){ raw.len, (uint8_t *)raw.data };
	report.service_report = (ProtobufCBinaryData){ sizeof(chip_report), chip_report };
	in.alone = raw.len % 2;
	in.ek_public = raw;
	appraisal_init(&a);
	if (evidence_find("vtpm")->verify(&in, &a, &result) == 0) {
		appraisal_finish(&a);
		if (appraisal_accepted(&a))
			abort();
	}
	appraisal_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view raw = view_of(data, size);
	struct svsm_manifest m;
	const char *why = NULL;
	int r;

	r = svsm_manifest_parse(raw, &m, &why);
	if (r < 0 && r != -ENOMEM && (r != -EBADMSG || !why))
		abort();
	if (r == 0) {
		if (m.vtpm.data < data || m.vtpm.data + m.vtpm.len > data + size ||
		    m.n_services == 0 || m.n_services > SVSM_SERVICES_MAX)
			abort();
		show(raw);
	}
	judge(raw);
	return 0;
}
