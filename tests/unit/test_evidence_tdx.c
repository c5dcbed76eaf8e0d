/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "eventlog.h"
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

/* The values that the evidence's own README lists for a file: "name   hex" lines behind its name.
 */
static const char *listed_value(const struct bytes *readme, const char *file, const char *name,
				char to[129])
{
	char heading[160], line[32];
	const char *at, *end, *value;

	snprintf(heading, sizeof(heading), "\n`%s`: sig data length", file);
	at = memmem(readme->data, readme->len, heading, strlen(heading));
	if (!at)
		fail_msg("the README lists no values of %s", file);
	end = memmem(at, (size_t)((const char *)readme->data + readme->len - at), "\n```\n", 5);
	assert_non_null(end);
	/* The block's end is its second fence. */
	end = memmem(end + 4, (size_t)((const char *)readme->data + readme->len - end - 4), "\n```",
		     4);
	assert_non_null(end);
	snprintf(line, sizeof(line), "\n%s ", name);
	value = memmem(at, (size_t)(end - at), line, strlen(line));
	if (!value)
		return NULL;
	value += strlen(line);
	value += strspn(value, " ");
	snprintf(to, 129, "%.*s", (int)strspn(value, "0123456789abcdef"), value);
	return to;
}

static json_t *shown(const struct bytes *quote)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	json_t *fields = NULL;

	report.report.data = quote->data;
	report.report.len = quote->len;
	assert_int_equal(evidence_find("tdx")->show(&report, &fields), 0);
	return fields;
}

/* Names in the README, and in the JSON of `assay evidence show`. */
static const struct {
	const char *listed, *shown;
	bool only_v5;
} values[] = {
	{ "tee_tcb_svn", "tee_tcb_svn", false },
	{ "mrseam", "mrseam", false },
	{ "td_attributes", "td_attributes", false },
	{ "xfam", "xfam", false },
	{ "mrtd", "mrtd", false },
	{ "rtmr0", "rtmr0", false },
	{ "rtmr1", "rtmr1", false },
	{ "rtmr2", "rtmr2", false },
	{ "rtmr3", "rtmr3", false },
	{ "report_data", "report_data", false },
	{ "tee_tcb_svn2", "tee_tcb_svn_2", true },
	{ "mrservicetd", "mrservicetd", true },
};

static void check_values(const struct bytes *readme, const char *folder, const char *name)
{
	struct bytes quote = shared_evidence(folder, name);
	json_t *fields = shown(&quote), *body = json_object_get(fields, "body");
	char file[96], hex[129];
	const char *expected, *seen;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (values[i].only_v5 && quote.data[0] != 5)
			continue;
		expected = listed_value(readme, file, values[i].listed, hex);
		seen = json_string_value(json_object_get(body, values[i].shown));
		if (!expected || !seen || strcmp(expected, seen) != 0)
			fail_msg("%s: %s is %s, not %s", file, values[i].listed,
				 seen ? seen : "absent", expected ? expected : "listed");
	}
	json_decref(fields);
	bytes_done(&quote);
}

static void the_values_are_those_listed(void **state)
{
	struct bytes readme;

	(void)state;
	shared_evidence_needed();
	readme = shared_evidence(".", "README.md");
	for (size_t i = 0; i < ARRAY_LEN(genuine); i++)
		check_values(&readme, genuine[i].folder, genuine[i].quote);
	bytes_done(&readme);
}

static const struct {
	const char *what, *quote, *set, *time, *folder, *log;
	bool matches;
} logs[] = {
	{ "the log of the same boot", "v4-gcp-cos113-00806f050000.quote", "2025-07_00806f050000",
	  "2025-07-15T00:00:00Z", "eventlog", "ccel-gcp-cos113.bin", true },
	{ "a log of another boot of the same image", "v4-gcp-cos113-00806f050000.quote",
	  "2025-07_00806f050000", "2025-07-15T00:00:00Z", "eventlog", "ccel-dupe-separator.bin",
	  false },
	{ "a log that ends before RTMR1 is what it is", "v4-b0c06f000000-uptodate.quote",
	  "2025-06_b0c06f000000", "2025-07-01T00:00:00Z", "eventlog", "ccel-dstack.bin", false },
	{ "a log of SM3 digests", "v4-gcp-cos113-00806f050000.quote", "2025-07_00806f050000",
	  "2025-07-15T00:00:00Z", "eventlog", "ccel-coco-ccel_data_csv.bin", false },
	{ "a TPM's log", "v4-gcp-cos113-00806f050000.quote", "2025-07_00806f050000",
	  "2025-07-15T00:00:00Z", "eventlog", "tcg2-rhel8-uefi.bin", false },
	{ "a list of events of all four RTMRs", "v4-dstack-rtmr-log.quote", "2026-03_90c06f000000",
	  "2026-03-20T00:00:00Z", QUOTES, "v4-dstack-rtmr-log.events.json", true },
	{ "that list with another quote", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z", QUOTES, "v4-dstack-rtmr-log.events.json",
	  false },
};

/* A byte of a digest in the log: of a list a hex digit. */
static uint8_t *a_digest(const struct bytes *log)
{
	uint8_t *at = memmem(log->data, log->len, "digest\":\"", 9);
	struct eventlog_event event = { 0 };
	struct eventlog l;
	const char *why;

	if (at)
		return at + 9;
	assert_int_equal(eventlog_open(bytes_view(log), &l, &why), 0);
	do {
		assert_int_equal(eventlog_next(&l, &event, &why), 1);
	} while (event.type == EVENTLOG_NO_ACTION);
	return (uint8_t *)event.digests[0].data;
}

static void an_event_log_must_replay_to_the_registers(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		struct tdx_files f = tdx_files(QUOTES, logs[i].quote, logs[i].set, logs[i].time);
		struct tdx_outcome o;
		uint8_t *at;

		f.event_log = shared_evidence(logs[i].folder, logs[i].log);
		o = tdx_judge(&f);
		if (o.result.event_log_replayed != logs[i].matches ||
		    (o.verdict == EVIDENCE_VALID) != logs[i].matches ||
		    (!logs[i].matches && !strstr(o.rules, "evidence.event_log")))
			fail_msg("%s: %s by \"%s\": %s", logs[i].what,
				 evidence_verdict_name(o.verdict), o.rules, o.first);
		if (logs[i].matches) {
			at = a_digest(&f.event_log);
			*at = *at == '0' ? '1' : '0';
			o = tdx_judge(&f);
			if (o.verdict != EVIDENCE_INVALID || o.result.event_log_replayed)
				fail_msg("%s, changed: %s", logs[i].what,
					 evidence_verdict_name(o.verdict));
		}
		tdx_files_done(&f);
	}
}

#define MRTD                                                                                       \
	"7348651a34b2d2d3462822e3a750ec6110125f36757c78480bbfc69cc0d21fb001a1ced3ee19747dda8f750c" \
	"3bc8f876"
#define RTMR2                                                                                      \
	"6369b9c9a3b791ebcbdc5a0bb9536cfb57f50df2b393b33c8b29616d3568baa61f4b59dc6092e31ea8764bcb" \
	"dfc69f20"
#define ZERO                                                                                       \
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
	"00000000"

static const struct {
	const char *what, *quote, *set, *time, *rules; /* of `platforms:` */
	enum evidence_verdict verdict;
	const char *refused_by;
} policies[] = {
	{ "the MRTD and registers it has", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z",
	  "tdx: {mrtd: [" ZERO ", " MRTD "], rtmr2: [" RTMR2 "], rtmr3: [" ZERO "]}",
	  EVIDENCE_VALID, "" },
	{ "another MRTD", "v5-td15-90c06f000000-uptodate.quote", "2026-03_90c06f000000",
	  "2026-03-20T00:00:00Z", "tdx: {mrtd: [" RTMR2 "]}", EVIDENCE_POLICY,
	  "platforms.tdx.mrtd" },
	{ "other registers, each of which is named", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z",
	  "tdx: {rtmr0: [" ZERO "], rtmr1: [" ZERO "], rtmr2: [" ZERO "], rtmr3: [" MRTD "]}",
	  EVIDENCE_POLICY,
	  "platforms.tdx.rtmr0 platforms.tdx.rtmr1 platforms.tdx.rtmr2 platforms.tdx.rtmr3" },
	{ "a platform that it does not name", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z", "tpm: {}", EVIDENCE_POLICY, "platforms" },
	{ "an event log that is not there", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z", "tdx: {event_log: require}",
	  EVIDENCE_POLICY, "platforms.tdx.event_log" },
	{ "a TCB out of date, which it accepts", "v5-td15-90c06f000000-2025.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z",
	  "tdx: {tcb_status: [UpToDate, OutOfDate]}", EVIDENCE_VALID, "" },
	{ "a TCB that is good, which it does not accept", "v5-td15-90c06f000000-uptodate.quote",
	  "2026-03_90c06f000000", "2026-03-20T00:00:00Z", "tdx: {tcb_status: [OutOfDate]}",
	  EVIDENCE_POLICY, "platforms.tdx.tcb_status" },
	{ "a TCB that Intel does not support, whatever it accepts",
	  "v5-td15-90c06f000000-tcb-unsupported.quote", "2026-03_90c06f000000",
	  "2026-03-20T00:00:00Z", "tdx: {tcb_status: [UpToDate, OutOfDate]}", EVIDENCE_INVALID,
	  "evidence.tcb" },
	{ "a TD under debug, which it allows", "v4-debug-td-50806f000000.quote",
	  "2023-06_50806f000000", "2023-07-01T01:00:00Z", "tdx: {debug: allow}", EVIDENCE_VALID,
	  "" },
	{ "a TD under debug, which it denies", "v4-debug-td-50806f000000.quote",
	  "2023-06_50806f000000", "2023-07-01T01:00:00Z", "tdx: {debug: deny}", EVIDENCE_POLICY,
	  "platforms.tdx.debug" },
	{ "a TD under debug, of which it does not speak", "v4-debug-td-50806f000000.quote",
	  "2023-06_50806f000000", "2023-07-01T01:00:00Z", "tdx: {tcb_status: [UpToDate]}",
	  EVIDENCE_POLICY, "platforms.tdx.debug" },
};

static struct policy *policy_of(const char *platforms)
{
	struct policy *p = NULL;
	char *error = NULL, *text;

	assert_true(asprintf(&text, "application: a\nplatforms:\n  %s\n", platforms) > 0);
	if (policy_parse(view_text(text), "p", &p, &error) != 0)
		fail_msg("%s", error);
	free(text);
	return p;
}

static void what_is_genuine_is_held_against_the_policy(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct tdx_files f =
			tdx_files(QUOTES, policies[i].quote, policies[i].set, policies[i].time);
		struct policy *p = policy_of(policies[i].rules);
		struct tdx_outcome o;

		f.policy = p;
		o = tdx_judge(&f);
		if (o.verdict != policies[i].verdict ||
		    strcmp(o.rules, policies[i].refused_by) != 0)
			fail_msg("%s: %s by \"%s\"", policies[i].what,
				 evidence_verdict_name(o.verdict), o.rules);
		policy_free(p);
		tdx_files_done(&f);
	}
}

/* report_data of the quote below begins 1234 and is zero behind. */
static void the_report_data_are_those_expected(void **state)
{
	static const uint8_t whole[64] = { 0x12, 0x34 }, other[64] = { 0x12, 0x35 };
	const struct {
		const char *what;
		struct view data;
		bool held;
	} cases[] = {
		{ "all 64 bytes", view_of(whole, 64), true },
		{ "what is not zero", view_of(whole, 2), true },
		{ "less than what is not zero", view_of(whole, 1), false },
		{ "others", view_of(other, 64), false },
		{ "others, cut short", view_of(other, 2), false },
	};

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tdx_files f = tdx_files(QUOTES, "v4-dstack-rtmr-log.quote",
					       "2026-03_90c06f000000", "2026-03-20T00:00:00Z");
		struct tdx_outcome o;

		f.report_data = cases[i].data;
		o = tdx_judge(&f);
		if ((o.verdict == EVIDENCE_VALID) != cases[i].held ||
		    (!cases[i].held && strcmp(o.rules, "evidence.report_data") != 0))
			fail_msg("%s: %s by \"%s\"", cases[i].what,
				 evidence_verdict_name(o.verdict), o.rules);
		tdx_files_done(&f);
	}
}

/* In a session the report must be over the Claims, and a policy is needed. */
static void in_a_session_it_must_cover_the_claims(void **state)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = { .report = &report };
	struct policy *p;
	struct evidence_result result;
	struct endorsements *e;
	struct tdx_files f;
	struct appraisal a;

	(void)state;
	/* Skipping leaves the function: nothing is made before. */
	shared_evidence_needed();
	p = policy_of("tdx: {}");
	in.policy = p;
	f = tdx_files(QUOTES, "v5-td15-90c06f000000-uptodate.quote", "2026-03_90c06f000000",
		      "2026-03-20T00:00:00Z");
	e = tdx_endorsements(&f);
	report.report.data = f.quote.data;
	report.report.len = f.quote.len;
	in.claims = view_text("claims");
	in.now = f.now;
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(evidence_find("tdx")->verify(&in, &a, &result), 0);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.reasons[0].rule, "evidence.claims");
	assert_false(result.signature_good);
	appraisal_done(&a);

	appraisal_init(&a);
	in.policy = NULL;
	assert_int_equal(evidence_find("tdx")->verify(&in, &a, &result), 0);
	assert_true(a.refused);
	assert_string_equal(a.reasons[0].rule, "platforms");
	appraisal_done(&a);
	endorsements_free(e);
	policy_free(p);
	tdx_files_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_quotes_get_the_verdict_of_their_time),
		cmocka_unit_test(a_wrong_time_is_refused_with_the_right_one),
		cmocka_unit_test(the_values_are_those_listed),
		cmocka_unit_test(an_event_log_must_replay_to_the_registers),
		cmocka_unit_test(what_is_genuine_is_held_against_the_policy),
		cmocka_unit_test(the_report_data_are_those_expected),
		cmocka_unit_test(in_a_session_it_must_cover_the_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
