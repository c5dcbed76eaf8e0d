/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TDX_FILES_H
#define ASSAY_TESTS_TDX_FILES_H

#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "evidence.h"
#include "tests/support/cached_try.h"
#include "tests/support/shared_evidence.h"

/* Genuine quotes with the collateral of their time, and one verdict over them. */

#define COLLATERAL_FILES 5

struct tdx_files {
	struct bytes quote, event_log;
	struct bytes collateral[COLLATERAL_FILES]; /* in the order of collateral_names */
	size_t n_collateral;			   /* of them given */
	int64_t now;
	const struct policy *policy;
	const char *platform;
	struct view report_data;
};

enum { TCB_INFO, QE_IDENTITY, PCK_CRL, ROOT_CRL, SIGNERS };

static const char *const collateral_names[] = { "tcbinfo.json", "qe_identity.json",
						"pck_platform_crl.der", "root_crl.der" };

static inline int64_t at(const char *time)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(time, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return timegm(&tm);
}

/* The set's folder, the certificates that go with its time. */
static inline void tdx_collateral(struct tdx_files *f, const char *set)
{
	char folder[64];

	snprintf(folder, sizeof(folder), "tdx/collateral/%s", set);
	for (size_t i = 0; i < ARRAY_LEN(collateral_names); i++)
		f->collateral[i] = shared_evidence(folder, collateral_names[i]);
	f->collateral[SIGNERS] = shared_evidence(
		"tdx/certs", strncmp(set, "2023", 4) == 0 ? "tcb-signing-chain-2018.pem"
							  : "tcb-signing-chain-2025.pem");
	f->n_collateral = COLLATERAL_FILES;
}

static inline struct tdx_files tdx_files(const char *folder, const char *quote, const char *set,
					 const char *time)
{
	struct tdx_files f = { .now = at(time) };

	f.quote = shared_evidence(folder, quote);
	tdx_collateral(&f, set);
	return f;
}

static inline void tdx_files_done(struct tdx_files *f)
{
	bytes_done(&f->quote);
	bytes_done(&f->event_log);
	for (size_t i = 0; i < COLLATERAL_FILES; i++)
		bytes_done(&f->collateral[i]);
}

struct tdx_outcome {
	enum evidence_verdict verdict;
	struct evidence_result result;
	size_t checks;
	char rules[1024]; /* of all refusals, a space between */
	char first[APPRAISAL_TEXT_MAX];
};

static inline struct endorsements *tdx_endorsements(const struct tdx_files *f)
{
	struct endorsements *e;
	const char *why;

	assert_int_equal(endorsements_new(&e), 0);
	/* What cannot be recognised is not there. */
	for (size_t i = 0; i < f->n_collateral; i++) {
		if (f->collateral[i].len > 0 &&
		    endorsements_add(e, bytes_view(&f->collateral[i]), &why) == -ENOMEM)
			fail();
	}
	return e;
}

static inline struct tdx_outcome tdx_judge_with(const struct tdx_files *f,
						const struct endorsements *e)
{
	struct evidence_file files[2] = { { "quote", bytes_view(&f->quote) },
					  { "log", bytes_view(&f->event_log) } };
	struct evidence_alone in = {
		.platform = f->platform,
		.files = files,
		.n_files = f->event_log.len > 0 ? 2 : 1,
		.endorsements = e,
		.now = f->now,
		.policy = f->policy,
		.report_data = f->report_data,
	};
	struct tdx_outcome o = { 0 };
	struct evidence_found found;
	struct arena *arena;
	struct appraisal a;

	appraisal_init(&a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	cached_try(&in, arena, &a, &found, &o.result);
	o.verdict = evidence_verdict(&a);
	o.checks = a.checks;
	for (size_t i = 0; i < a.n; i++) {
		if (i == 0)
			snprintf(o.first, sizeof(o.first), "%s", a.reasons[i].seen);
		snprintf(o.rules + strlen(o.rules), sizeof(o.rules) - strlen(o.rules), "%s%s",
			 i ? " " : "", a.reasons[i].rule);
	}
	appraisal_done(&a);
	arena_free(arena);
	return o;
}

static inline struct tdx_outcome tdx_judge(const struct tdx_files *f)
{
	struct endorsements *e = tdx_endorsements(f);
	struct tdx_outcome o = tdx_judge_with(f, e);

	endorsements_free(e);
	return o;
}

#endif
