/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/keeper_lab.h"

/* What the keeper decides, and what it holds against the appraiser. */

static void stages_are_released_in_order(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 2, &g);
	keeper_lab_expect(f, &g, true, 2, NULL);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM releases"), 3);
	keeper_lab_assert_whole(f);
}

/* The secret opens with the private key, for these Claims, stage and name; with none other. */
static void a_released_secret_opens(void **state)
{
	struct bytes aad = BYTES_INIT(256);
	struct keeper_lab *f = *state;
	struct keeper_sealed s;
	struct judgement g;
	struct secret out;
	struct reader in;
	struct view content;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	in = reader_of(f->blobs[1]);
	assert_int_equal(keeper_next_sealed(&in, &s, &content), 0);
	assert_int_equal(bytes_append(&aad, g.m.claims_hash, sizeof(g.m.claims_hash)), 0);
	assert_int_equal(bytes_append_be32(&aad, 1), 0);
	assert_int_equal(bytes_append_text(&aad, "one"), 0);
	assert_int_equal(hpke_open(&f->private_key, s.enc, view_text("assay stage secret v1"),
				   bytes_view(&aad), content, &out),
			 0);
	assert_true(view_is(secret_view(&out), "one"));
	secret_done(&out);
	aad.data[0] ^= 1;
	assert_int_equal(hpke_open(&f->private_key, s.enc, view_text("assay stage secret v1"),
				   bytes_view(&aad), content, &out),
			 -EBADMSG);
	bytes_done(&aad);
}

static void a_refusal_latches_until_readmission(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;
	size_t n;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	g.j.measurement_good = 0;
	appraisal_refuse(&g.reasons, "dynamic.code", "", "%s", "");
	keeper_lab_expect(f, &g, false, 0, "dynamic.code");
	assert_true(f->fixed.judge_answer.latched);
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 2, &g);
	keeper_lab_expect(f, &g, false, 0, "release.latched");

	/* It outlives a restart. */
	store_close(f->keeper.store);
	keeper_lab_open_store(f);
	keeper_lab_hello(f, "machine");
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 2, &g);
	keeper_lab_expect(f, &g, false, 0, "release.latched");

	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_readmit(f->keeper.store, "other", view_of(NULL, 0), f->now, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
		store_readmit(f->keeper.store, "demo", view_text("another machine"), f->now, &n),
		0);
	assert_int_equal(n, 0);
	assert_int_equal(store_readmit(f->keeper.store, "demo", view_of(NULL, 0), f->now, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_commit(f->keeper.store), 0);
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 2, &g);
	keeper_lab_expect(f, &g, true, 2, NULL);
	keeper_lab_assert_whole(f);
}

static const struct keeper_prepare_answer *known_up_to(struct keeper_lab *f, uint8_t run,
							uint64_t runtime_end)
{
	struct keeper_prepare p;

	memset(&p, 0, sizeof(p));
	p.session = f->session;
	p.runtime_end = runtime_end;
	strcpy(p.application, "demo");
	memset(p.run_id, run, RUN_ID_SIZE);
	assert_int_equal(keeper_lab_ask(f, KEEPER_PREPARE, &p, (struct view[]){ { 0 } }), 0);
	assert_int_equal(f->type, KEEPER_PREPARE_ANSWER);
	return &f->fixed.prepare_answer;
}

static const struct keeper_prepare_answer *known(struct keeper_lab *f, uint8_t run)
{
	return known_up_to(f, run, UINT64_MAX);
}

/* It is the run's, and outlives a restart; what readmission forgives it forgives in a session. */
static void what_is_missing_of_a_run_is_kept(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;
	size_t n;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	g.j.missing = 3;
	g.j.dropped = 3;
	keeper_lab_expect(f, &g, true, 0, NULL);
	store_close(f->keeper.store);
	keeper_lab_open_store(f);
	keeper_lab_hello(f, "machine");
	assert_int_equal(known(f, 1)->missing, 3);
	assert_int_equal(known(f, 2)->missing, 0);

	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_latch(f->keeper.store, 1, "demo", 1, f->now), 0);
	assert_int_equal(store_readmit(f->keeper.store, "demo", view_of(NULL, 0), f->now, &n), 0);
	assert_int_equal(store_commit(f->keeper.store), 0);
	assert_true(known(f, 1)->resync);
	keeper_lab_prepare(f, 1, 0, &g);
	g.j.has_nonce = 0;
	keeper_lab_expect(f, &g, true, 0, NULL);
	assert_true(known(f, 1)->resync);
	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	keeper_lab_expect(f, &g, true, 0, NULL);
	assert_false(known(f, 1)->resync);
}

/* What is refused without a nonce, in one thing each. */
static const struct {
	const char *what;
	bool signature, channel, seen_before, latched;
} unbound[] = {
	{ "tampering while the verifier was away", true, true, false, true },
	{ "a signature that does not verify", false, true, false, false },
	{ "Claims that were judged before", true, false, true, false },
	{ "MI that did not come", true, false, false, false },
};

static void evidence_of_no_session_latches_where_the_chip_signed_it(void **state)
{
	struct keeper_lab *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(unbound); i++) {
		char machine[] = "machine 0";
		struct judgement g;

		print_message("%s\n", unbound[i].what);
		machine[8] = (char)('0' + i);
		keeper_lab_hello(f, machine);
		keeper_lab_enrol(f);
		f->sequence = 0;
		keeper_lab_prepare(f, 1, 0, &g);
		g.j.has_nonce = 0;
		g.j.measurement_good = 0;
		g.j.signature_good = unbound[i].signature;
		g.j.chain_good = unbound[i].signature;
		g.j.channel_good = unbound[i].channel;
		g.j.seen_before = unbound[i].seen_before;
		appraisal_refuse(&g.reasons, "dynamic.code", "", "%s", "");
		keeper_lab_expect(f, &g, false, 0, "dynamic.code");
		assert_int_equal(f->fixed.judge_answer.latched, unbound[i].latched);
	}
}

/* Latches are one machine's: another one of the fleet goes on. */
static void a_latch_is_of_one_machine(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	g.j.measurement_good = 0;
	appraisal_refuse(&g.reasons, "static.manifest", "", "%s", "");
	keeper_lab_expect(f, &g, false, 0, "static.manifest");
	keeper_lab_hello(f, "second");
	keeper_lab_enrol(f);
	f->sequence = 0;
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 2, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
}

/* The appraiser's word against its own reasons: the worse one counts. */
static void a_verdict_that_contradicts_its_reasons_releases_nothing(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	appraisal_refuse(&g.reasons, "dynamic.code", "", "%s", "");
	keeper_lab_expect(f, &g, false, 0, "dynamic.code");
}

static void what_was_appraised_on_old_knowledge_is_not_judged(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	keeper_lab_nonce(f, 2);
	keeper_lab_prepare(f, 1, 2, &g);
	g.j.head_before = 0;
	assert_int_equal(keeper_lab_judge(f, &g), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM evidence"), 1);
}

/* Entries of a runtime log, and what the register is after n of them. */
static uint8_t log_entries[3][32] = { "first", "second", "third" };

static struct digest register_after(size_t n)
{
	struct digest value = digest_zero(HASH_SHA384);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(claims_runtime_extend(&value, view_of(log_entries[i], 32)), 0);
	return value;
}

static void judge_log(struct judgement *g, uint64_t before, size_t from, size_t n)
{
	struct digest value = register_after(from + n);

	g->j.runtime_good = 1;
	g->j.runtime_register = 3;
	g->j.runtime_alg = HASH_SHA384;
	g->j.runtime_before = before;
	memcpy(g->j.runtime_value, value.bytes, value.size);
	g->entries = view_of(log_entries[from], 32 * n);
}

/* A report that was made before another, and came after it: the register had less in it then. */
static void reports_may_come_in_another_order(void **state)
{
	const struct keeper_prepare_answer *answer;
	struct keeper_lab *f = *state;
	struct judgement g;
	struct digest two = register_after(2), three = register_after(3);

	keeper_lab_start(f);
	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	judge_log(&g, 0, 0, 3);
	keeper_lab_expect(f, &g, true, 0, NULL);

	answer = known_up_to(f, 1, 2);
	assert_int_equal(answer->runtime_count, 2);
	assert_memory_equal(answer->runtime_value, two.bytes, two.size);
	answer = known_up_to(f, 1, 9);
	assert_int_equal(answer->runtime_count, 3);
	assert_memory_equal(answer->runtime_value, three.bytes, three.size);

	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	judge_log(&g, 2, 2, 0);
	keeper_lab_expect(f, &g, true, 0, NULL);
	answer = known(f, 1);
	assert_int_equal(answer->runtime_count, 3);
	assert_memory_equal(answer->runtime_value, three.bytes, three.size);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM runtime_entries"), 3);

	/* But not with entries that are to stand where others do. */
	keeper_lab_nonce(f, 0);
	keeper_lab_prepare(f, 1, 0, &g);
	judge_log(&g, 2, 2, 1);
	assert_int_equal(keeper_lab_judge(f, &g), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	keeper_lab_assert_whole(f);
}

static void nothing_is_judged_before_enrolment(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;
	struct keeper_nonce n;

	keeper_lab_hello(f, "machine");
	memset(&n, 0, sizeof(n));
	n.session = f->session;
	strcpy(n.application, "demo");
	assert_int_equal(keeper_lab_ask(f, KEEPER_NONCE, &n, NULL), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	keeper_lab_prepare(f, 1, 1, &g);
	assert_int_equal(keeper_lab_judge(f, &g), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM evidence"), 0);
}

static void a_forgotten_machine_is_not_enrolled(void **state)
{
	struct keeper_lab *f = *state;

	keeper_lab_start(f);
	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_forget(f->keeper.store, view_text("machine"), f->now), 0);
	assert_int_equal(store_commit(f->keeper.store), 0);
	keeper_lab_hello(f, "machine");
	assert_false(f->fixed.hello_answer.known);
	keeper_lab_assert_whole(f);
}

/* A second key would come without the latch of the first. */
static void a_chip_is_enrolled_under_one_key(void **state)
{
	struct keeper_lab *f = *state;

	keeper_lab_hello(f, "machine");
	keeper_lab_enrol_chip(f, "certificate");
	assert_int_equal(f->type, KEEPER_DONE);
	keeper_lab_hello(f, "another key");
	keeper_lab_enrol_chip(f, "certificate");
	assert_int_equal(f->type, KEEPER_FAILED);
	keeper_lab_hello(f, "another key");
	assert_false(f->fixed.hello_answer.known);
	/* Another chip, the same key again, and what the owner has forgotten. */
	keeper_lab_enrol_chip(f, "another certificate");
	assert_int_equal(f->type, KEEPER_DONE);
	keeper_lab_hello(f, "machine");
	keeper_lab_enrol_chip(f, "certificate");
	assert_int_equal(f->type, KEEPER_DONE);
	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_forget(f->keeper.store, view_text("machine"), f->now), 0);
	assert_int_equal(store_commit(f->keeper.store), 0);
	keeper_lab_hello(f, "a third key");
	keeper_lab_enrol_chip(f, "certificate");
	assert_int_equal(f->type, KEEPER_DONE);
	keeper_lab_assert_whole(f);
}

static void a_receipt_is_for_a_release(void **state)
{
	struct keeper_lab *f = *state;
	struct keeper_receipt receipt;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	memset(&receipt, 0, sizeof(receipt));
	receipt.session = f->session;
	strcpy(receipt.application, "demo");
	memcpy(receipt.claims_hash, g.m.claims_hash, sizeof(receipt.claims_hash));
	receipt.stage = 1;
	strcpy(receipt.secret, "two");
	assert_int_equal(keeper_lab_ask(f, KEEPER_RECEIPT, &receipt, NULL), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	strcpy(receipt.secret, "one");
	assert_int_equal(keeper_lab_ask(f, KEEPER_RECEIPT, &receipt, NULL), 0);
	assert_int_equal(f->type, KEEPER_DONE);
	assert_int_equal(keeper_lab_count(f, "SELECT count(*) FROM receipts"), 1);
	keeper_lab_assert_whole(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, keeper_lab_set_up, keeper_lab_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stages_are_released_in_order),
		TEST(a_released_secret_opens),
		TEST(a_refusal_latches_until_readmission),
		TEST(what_is_missing_of_a_run_is_kept),
		TEST(evidence_of_no_session_latches_where_the_chip_signed_it),
		TEST(a_latch_is_of_one_machine),
		TEST(a_verdict_that_contradicts_its_reasons_releases_nothing),
		TEST(what_was_appraised_on_old_knowledge_is_not_judged),
		TEST(reports_may_come_in_another_order),
		TEST(nothing_is_judged_before_enrolment),
		TEST(a_forgotten_machine_is_not_enrolled),
		TEST(a_chip_is_enrolled_under_one_key),
		TEST(a_receipt_is_for_a_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
