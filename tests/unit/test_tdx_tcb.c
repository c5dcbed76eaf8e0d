/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "cleanup.h"
#include "verifier/tdx_tcb.h"

/* Intel's rules on made-up TCB infos: no genuine evidence is needed. */

#define SVN(a, b, c)                                                                               \
	{                                                                                          \
		(a), (b), (c)                                                                      \
	}

/* A platform in one row: what it has, what the levels say. */
struct platform {
	uint8_t sgx, pcesvn, qe; /* all 16 SGX components alike */
	uint8_t launch[3];	 /* TEE_TCB_SVN, the rest zero */
	uint8_t now[3];		 /* TEE_TCB_SVN_2; has_now */
	bool has_now;
};

/*
 * Levels: platform high (sgx 5, pce 5, tdx {5,0,5}) and low (3, 3, {3,0,3}); module 1 high at
 * isvsvn 4, low at 2; QE high at 6, low at 4. The statuses are the row's.
 */
static const struct {
	const char *what;
	struct platform have;
	enum tdx_status high, low, module_high, module_low, qe_high, qe_low;
	enum tdx_status expected;
	size_t n_levels;
} cases[] = {
	{ "the highest level",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  2 },
	{ "above the highest",
	  { 9, 9, 9, SVN(9, 0, 9), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  2 },
	{ "SGX components too low for it",
	  { 4, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  2 },
	{ "PCESVN too low for it",
	  { 5, 4, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  2 },
	{ "a TDX component too low for it",
	  { 5, 5, 6, SVN(5, 0, 4), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  2 },
	{ "component 0 counts where there is no module version",
	  { 5, 5, 6, SVN(4, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  2 },
	{ "component 0 is the module's where there is one",
	  { 5, 5, 6, SVN(4, 1, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  3 },
	{ "a module that lags drags the platform down",
	  { 5, 5, 6, SVN(3, 1, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  3 },
	{ "so does a quoting enclave",
	  { 5, 5, 5, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_SW_HARDENING_NEEDED,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  2 },
	{ "and what needs configuration still needs it",
	  { 5, 5, 5, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE_CONFIGURATION_NEEDED,
	  2 },
	{ "an enclave in order changes nothing",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_SW_HARDENING_NEEDED,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_SW_HARDENING_NEEDED,
	  2 },
	{ "a revoked enclave revokes",
	  { 5, 5, 5, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_REVOKED,
	  TDX_REVOKED,
	  2 },
	{ "a revoked module revokes",
	  { 5, 5, 6, SVN(2, 1, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_REVOKED,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_REVOKED,
	  3 },
	{ "a revoked platform is revoked",
	  { 4, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_REVOKED,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_REVOKED,
	  2 },
	{ "below every level",
	  { 2, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "a module below every level",
	  { 5, 5, 6, SVN(1, 1, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "a module that is not listed",
	  { 5, 5, 6, SVN(5, 7, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "an enclave below every level",
	  { 5, 5, 3, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "a component's status that none has",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(0, 0, 0), false },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_CONFIGURATION_NEEDED,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "launched behind and mended since",
	  { 5, 5, 6, SVN(5, 0, 4), SVN(5, 0, 5), true },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_RELAUNCH_ADVISED,
	  3 },
	{ "its module mended since",
	  { 5, 5, 6, SVN(3, 1, 5), SVN(4, 1, 5), true },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_RELAUNCH_ADVISED,
	  5 },
	{ "mended, and configuration is needed",
	  { 5, 5, 6, SVN(5, 0, 4), SVN(5, 0, 5), true },
	  TDX_CONFIGURATION_NEEDED,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
	  3 },
	{ "launched behind and not mended",
	  { 5, 5, 6, SVN(5, 0, 4), SVN(5, 0, 4), true },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_OUT_OF_DATE,
	  3 },
	{ "launched in order",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(5, 0, 5), true },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  3 },
	{ "now below every level",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(1, 0, 1), true },
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_NOT_SUPPORTED,
	  0 },
	{ "revoked now",
	  { 5, 5, 6, SVN(5, 0, 5), SVN(5, 0, 4), true },
	  TDX_UP_TO_DATE,
	  TDX_REVOKED,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_UP_TO_DATE,
	  TDX_OUT_OF_DATE,
	  TDX_REVOKED,
	  3 },
};

static void status_is_found_by_intels_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tdx_level platform[2] = {
			{ .tdx = SVN(5, 0, 5), .svn = 5, .status = cases[i].high, .date = 500 },
			{ .tdx = SVN(3, 0, 3), .svn = 3, .status = cases[i].low, .date = 300 },
		};
		struct tdx_level module[2] = {
			{ .svn = 4, .status = cases[i].module_high, .date = 450 },
			{ .svn = 2, .status = cases[i].module_low, .date = 250 },
		};
		struct tdx_level qe[2] = {
			{ .svn = 6, .status = cases[i].qe_high, .date = 600 },
			{ .svn = 4, .status = cases[i].qe_low, .date = 400 },
		};
		CLEANUP(cleanup_mem) struct tdx_tcb_info *info = calloc(1, sizeof(*info));
		CLEANUP(cleanup_mem)
		struct tdx_qe_identity *identity = calloc(1, sizeof(*identity));
		uint8_t launch[TDX_SVNS] = { 0 }, now[TDX_SVNS] = { 0 };
		struct tdx_pck pck = { .pcesvn = cases[i].have.pcesvn };
		struct tdx_svns svns = { .pck = &pck,
					 .tee_tcb_svn = view_of(launch, sizeof(launch)),
					 .qe_isvsvn = cases[i].have.qe };
		int64_t oldest = INT64_MAX;
		struct tdx_tcb t;
		const char *why;

		assert_non_null(info);
		assert_non_null(identity);
		memset(platform[0].sgx, 5, TDX_SVNS);
		memset(platform[1].sgx, 3, TDX_SVNS);
		memset(pck.svn, cases[i].have.sgx, TDX_SVNS);
		memcpy(launch, cases[i].have.launch, 3);
		memcpy(now, cases[i].have.now, 3);
		info->levels = (struct tdx_levels){ 2, platform };
		info->n_modules = 1;
		strcpy(info->modules[0].id, "TDX_01");
		info->modules[0].levels = (struct tdx_levels){ 2, module };
		identity->levels = (struct tdx_levels){ 2, qe };

		why = tdx_tcb_evaluate(info, identity, &svns,
				       view_of(now, cases[i].have.has_now ? sizeof(now) : 0), &t);
		if (t.status != cases[i].expected || t.n_levels != cases[i].n_levels ||
		    !!why != (cases[i].expected == TDX_NOT_SUPPORTED))
			fail_msg("%s: %s of %zu levels (%s)", cases[i].what,
				 tdx_status_name(t.status), t.n_levels, why ? why : "no fault");
		for (size_t k = 0; k < t.n_levels; k++) {
			if (t.levels[k]->date < oldest)
				oldest = t.levels[k]->date;
		}
		if (t.n_levels > 0)
			assert_int_equal(t.date, oldest);
	}
}

static void only_some_statuses_may_be_accepted(void **state)
{
	enum tdx_status s;

	(void)state;
	for (s = TDX_NOT_SUPPORTED; s <= TDX_UP_TO_DATE; s++) {
		enum tdx_status again;
		int r = tdx_status_by_name(view_text(tdx_status_name(s)), &again);

		/* "Not supported" is ours to say: no document may. */
		assert_int_equal(r, s == TDX_NOT_SUPPORTED ? -EINVAL : 0);
		if (r == 0)
			assert_int_equal(again, s);
		assert_int_equal(tdx_status_acceptable(s),
				 s != TDX_NOT_SUPPORTED && s != TDX_REVOKED);
	}
	assert_int_equal(tdx_status_by_name(view_text("uptodate"), &s), -EINVAL);
	assert_int_equal(tdx_status_by_name(view_text(""), &s), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_found_by_intels_rules),
		cmocka_unit_test(only_some_statuses_may_be_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
