/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/keeper_lab.h"

/* What a nonce is good for: docs/protocol.md, Nonces. */

static void a_nonce_is_good_once(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	/* A new run, which may begin at stage 1, with the nonce of the old one. */
	f->sequence = 0;
	keeper_lab_prepare(f, 2, 1, &g);
	keeper_lab_expect(f, &g, false, 0, "release.nonce");
	assert_false(f->fixed.judge_answer.latched);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM releases"), 1);
}

static void a_refused_nonce_is_used_up_too(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	g.j.channel_good = 0;
	appraisal_refuse(&g.reasons, "evidence.exporter", "", "%s", "");
	keeper_lab_expect(f, &g, false, 0, "evidence.exporter");
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, false, 0, "release.nonce");
}

static void a_nonce_expires(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	f->now.boottime_ns += 61 * SECOND;
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, false, 0, "release.nonce");
}

static void a_later_nonce_replaces_one(void **state)
{
	struct keeper_lab *f = *state;
	uint8_t first[NONCE_SIZE];
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	memcpy(first, f->nonce, sizeof(first));
	keeper_lab_nonce(f, 1);
	memcpy(f->nonce, first, sizeof(first));
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, false, 0, "release.nonce");
}

/* What waited while there was no session is judged between a stage's nonce and its evidence. */
static void evidence_without_a_nonce_replaces_none(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	assert_true(f->fixed.judge_answer.next_valid_ms > 0);
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 0, &g);
	g.j.has_nonce = 0;
	keeper_lab_expect(f, &g, true, 0, NULL);
	assert_int_equal(f->fixed.judge_answer.next_valid_ms, 0);
	keeper_lab_prepare(f, 1, 2, &g);
	keeper_lab_expect(f, &g, true, 2, NULL);
}

static void a_nonce_of_another_session_is_refused_and_kept(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;
	uint64_t first;

	keeper_lab_start(f);
	first = f->session;
	keeper_lab_nonce(f, 1);
	keeper_lab_hello(f, "machine");
	keeper_lab_prepare(f, 1, 1, &g);
	g.j.chain_good = 0;
	keeper_lab_expect(f, &g, false, 0, "release.nonce");
	/* Its owner may still use it. */
	f->session = first;
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, keeper_lab_set_up, keeper_lab_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_nonce_is_good_once),
		TEST(a_refused_nonce_is_used_up_too),
		TEST(a_nonce_expires),
		TEST(a_later_nonce_replaces_one),
		TEST(evidence_without_a_nonce_replaces_none),
		TEST(a_nonce_of_another_session_is_refused_and_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
