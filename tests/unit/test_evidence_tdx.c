/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tdx_files.h"

/* What genuine quotes are worth at which time, and what is refused that was tampered with. */

#define QUOTES "tdx/quotes"
#define AZURE  "vtpm-on-tdx/azure-tdx-90c06f000000"

#define UP_TO_DATE(platform, module) "UpToDate", platform, module
#define NO_STATUS		     "", NULL, NULL
#define UNSUPPORTED		     "TCB not supported", NULL, NULL

static const struct {
	const char *folder, *quote, *set, *time;
	enum evidence_verdict verdict;
	const char *rules;
	const char *status, *platform, *module; /* NULL: not found out */
} genuine[] = {
	{ QUOTES, "v4-b0c06f000000-uptodate.quote", "2025-06_b0c06f000000", "2025-07-01T00:00:00Z",
	  EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v4-debug-td-50806f000000.quote", "2023-06_50806f000000", "2023-07-01T01:00:00Z",
	  EVIDENCE_POLICY, "platforms.tdx.debug", UP_TO_DATE("UpToDate", "n/a") },
	{ QUOTES, "v4-debug-td-50806f000000.quote", "2026-03_50806f000000", "2026-03-20T00:00:00Z",
	  EVIDENCE_POLICY, "platforms.tdx.tcb_status platforms.tdx.debug", "OutOfDate", "OutOfDate",
	  "n/a" },
	{ QUOTES, "v4-dstack-b0c06f000000.quote", "2025-06_b0c06f000000", "2025-07-01T00:00:00Z",
	  EVIDENCE_INVALID, "evidence.tcb", UNSUPPORTED },
	{ QUOTES, "v4-dstack-rtmr-log.quote", "2025-06_90c06f000000", "2025-06-25T00:00:00Z",
	  EVIDENCE_INVALID, "evidence.pck_chain", NO_STATUS },
	{ QUOTES, "v4-dstack-rtmr-log.quote", "2026-02_90c06f000000", "2026-02-25T00:00:00Z",
	  EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v4-dstack-rtmr-log.quote", "2026-03_90c06f000000", "2026-03-20T00:00:00Z",
	  EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v4-gcp-00806f050000-outofdate.quote", "2025-07_00806f050000",
	  "2025-07-15T00:00:00Z", EVIDENCE_POLICY, "platforms.tdx.tcb_status", "OutOfDate",
	  "OutOfDate", "UpToDate" },
	{ QUOTES, "v4-gcp-00806f050000-outofdate.quote", "2025-10_00806f050000",
	  "2025-11-01T00:00:00Z", EVIDENCE_POLICY, "platforms.tdx.tcb_status", "OutOfDate",
	  "OutOfDate", "UpToDate" },
	/* UpToDate only where components 0 and 1 are left to the module's identity. */
	{ QUOTES, "v4-gcp-cos113-00806f050000.quote", "2025-07_00806f050000",
	  "2025-07-15T00:00:00Z", EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v4-gcp-cos113-00806f050000.quote", "2025-10_00806f050000",
	  "2025-11-01T00:00:00Z", EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v4-spr-50806f000000-tcb-unsupported.quote", "2023-06_50806f000000",
	  "2023-07-01T01:00:00Z", EVIDENCE_INVALID, "evidence.tcb", UNSUPPORTED },
	{ QUOTES, "v4-spr-50806f000000-tcb-unsupported.quote", "2026-03_50806f000000",
	  "2026-03-20T00:00:00Z", EVIDENCE_INVALID, "evidence.tcb", UNSUPPORTED },
	{ QUOTES, "v5-td15-90c06f000000-2025.quote", "2025-06_90c06f000000", "2025-06-25T00:00:00Z",
	  EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v5-td15-90c06f000000-2025.quote", "2026-02_90c06f000000", "2026-02-25T00:00:00Z",
	  EVIDENCE_POLICY, "platforms.tdx.tcb_status", "OutOfDate", "OutOfDate", "OutOfDate" },
	{ QUOTES, "v5-td15-90c06f000000-2025.quote", "2026-03_90c06f000000", "2026-03-20T00:00:00Z",
	  EVIDENCE_POLICY, "platforms.tdx.tcb_status", "OutOfDate", "OutOfDate", "OutOfDate" },
	{ QUOTES, "v5-td15-90c06f000000-tcb-unsupported.quote", "2025-06_90c06f000000",
	  "2025-06-25T00:00:00Z", EVIDENCE_INVALID, "evidence.pck_chain", NO_STATUS },
	{ QUOTES, "v5-td15-90c06f000000-tcb-unsupported.quote", "2026-02_90c06f000000",
	  "2026-02-25T00:00:00Z", EVIDENCE_INVALID, "evidence.tcb", UNSUPPORTED },
	{ QUOTES, "v5-td15-90c06f000000-tcb-unsupported.quote", "2026-03_90c06f000000",
	  "2026-03-20T00:00:00Z", EVIDENCE_INVALID, "evidence.tcb", UNSUPPORTED },
	{ QUOTES, "v5-td15-90c06f000000-uptodate.quote", "2025-06_90c06f000000",
	  "2025-06-25T00:00:00Z", EVIDENCE_INVALID, "evidence.pck_chain", NO_STATUS },
	{ QUOTES, "v5-td15-90c06f000000-uptodate.quote", "2026-02_90c06f000000",
	  "2026-02-25T00:00:00Z", EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ QUOTES, "v5-td15-90c06f000000-uptodate.quote", "2026-03_90c06f000000",
	  "2026-03-20T00:00:00Z", EVIDENCE_VALID, "", UP_TO_DATE("UpToDate", "UpToDate") },
	{ AZURE, "td.quote", "2025-06_90c06f000000", "2025-06-25T00:00:00Z", EVIDENCE_INVALID,
	  "evidence.pck_chain", NO_STATUS },
	{ AZURE, "td.quote", "2026-02_90c06f000000", "2026-02-25T00:00:00Z", EVIDENCE_VALID, "",
	  UP_TO_DATE("UpToDate", "UpToDate") },
	{ AZURE, "td.quote", "2026-03_90c06f000000", "2026-03-20T00:00:00Z", EVIDENCE_VALID, "",
	  UP_TO_DATE("UpToDate", "UpToDate") },
};

static void genuine_quotes_get_the_verdict_of_their_time(void **state)
{
	char parts[128];

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(genuine); i++) {
		struct tdx_files f = tdx_files(genuine[i].folder, genuine[i].quote, genuine[i].set,
					       genuine[i].time);
		struct tdx_outcome o = tdx_judge(&f);

		if (o.verdict != genuine[i].verdict || strcmp(o.rules, genuine[i].rules) != 0 ||
		    strcmp(o.result.status, genuine[i].status) != 0)
			fail_msg("%s at %s: %s, status \"%s\", refused by \"%s\": %s",
				 genuine[i].quote, genuine[i].time,
				 evidence_verdict_name(o.verdict), o.result.status, o.rules,
				 o.first);
		snprintf(parts, sizeof(parts), ": platform %s, module %s, QE UpToDate",
			 genuine[i].platform, genuine[i].module);
		if (genuine[i].platform && !strstr(o.result.tcb, parts))
			fail_msg("%s at %s: %s", genuine[i].quote, genuine[i].time, o.result.tcb);
		tdx_files_done(&f);
	}
}

static const struct {
	const char *what, *folder, *quote, *set, *time;
	const char *says;
} wrong_times[] = {
	{ "a TCB info that has run out", QUOTES, "v4-debug-td-50806f000000.quote",
	  "2023-06_50806f000000", "2023-09-01T00:00:00Z", "2023-06-" },
	{ "collateral of tomorrow", QUOTES, "v4-debug-td-50806f000000.quote",
	  "2023-06_50806f000000", "2023-06-01T00:00:00Z", "2023-06-" },
	{ "a second past the window", QUOTES, "v4-b0c06f000000-uptodate.quote",
	  "2025-06_b0c06f000000", "2025-07-19T10:00:36Z", "to 2025-07-19T10:00:35Z" },
	{ "a second before the window", QUOTES, "v4-b0c06f000000-uptodate.quote",
	  "2025-06_b0c06f000000", "2025-06-19T10:32:26Z", "in force 2025-06-19T10:32:27Z" },
	{ "a PCK certificate that was not issued yet", QUOTES, "v4-dstack-rtmr-log.quote",
	  "2025-06_90c06f000000", "2025-06-25T00:00:00Z", "valid 2025-09-16" },
	{ "a time before all of it", QUOTES, "v4-b0c06f000000-uptodate.quote",
	  "2025-06_b0c06f000000", "1970-01-01T00:00:00Z", "valid 20" },
};

static void a_wrong_time_is_refused_with_the_right_one(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(wrong_times); i++) {
		struct tdx_files f = tdx_files(wrong_times[i].folder, wrong_times[i].quote,
					       wrong_times[i].set, wrong_times[i].time);
		struct tdx_outcome o = tdx_judge(&f);

		if (o.verdict != EVIDENCE_INVALID || !strstr(o.first, wrong_times[i].says) ||
		    o.result.status[0])
			fail_msg("%s: %s (%s): %s", wrong_times[i].what,
				 evidence_verdict_name(o.verdict), o.rules, o.first);
		tdx_files_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_quotes_get_the_verdict_of_their_time),
		cmocka_unit_test(a_wrong_time_is_refused_with_the_right_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
