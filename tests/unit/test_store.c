/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/keeper_lab.h"

/* The record as a whole: changed behind the keeper's back, and after a kill. */

#define CRASH_ROUNDS 12

/* Each of these changes behind the keeper's back is found. */
static const struct {
	const char *what, *sql;
} tampering[] = {
	{ "a verdict", "UPDATE evidence SET accepted = 1 - accepted" },
	{ "Claims", "UPDATE evidence SET claims = x'00'" },
	{ "MI", "UPDATE evidence SET mi = x'00'" },
	{ "a report", "UPDATE evidence SET report = x'00'" },
	{ "reasons", "UPDATE evidence SET reasons = '[{}]'" },
	{ "evidence removed", "PRAGMA foreign_keys = OFF; DELETE FROM evidence" },
	{ "a release removed", "DELETE FROM releases" },
	{ "a nonce made good again", "UPDATE nonces SET state = 0" },
	{ "a row of the log", "UPDATE log SET detail = '{}' WHERE id = 2" },
	{ "the time of a row", "UPDATE log SET at_ns = at_ns + 1 WHERE id = 2" },
	{ "a row of the log removed", "DELETE FROM log WHERE id = 2" },
	{ "a release made up", "INSERT INTO releases (evidence_id, nonce, stage, name) SELECT"
			       " evidence_id, nonce, 4, 'four' FROM releases" },
};

static void tampering_is_found(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;
	json_t *result;
	bool good;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	keeper_lab_assert_whole(f);
	for (size_t i = 0; i < ARRAY_LEN(tampering); i++) {
		sqlite3 *db = f->keeper.store->db;

		/* foreign_keys cannot change inside a transaction. */
		sqlite3_exec(db, "PRAGMA foreign_keys = OFF; SAVEPOINT before", NULL, NULL, NULL);
		if (sqlite3_exec(db, tampering[i].sql, NULL, NULL, NULL) != SQLITE_OK)
			fail_msg("%s: %s", tampering[i].what, sqlite3_errmsg(db));
		sqlite3_exec(db, "RELEASE before", NULL, NULL, NULL);
		assert_int_equal(store_verify(f->keeper.store, &good, &result), 0);
		if (good)
			fail_msg("not found: %s", tampering[i].what);
		json_decref(result);
		/* Each on a store of its own. */
		store_close(f->keeper.store);
		unlink(f->path);
		keeper_lab_open_store(f);
		f->sequence = 0;
		keeper_lab_start(f);
		keeper_lab_nonce(f, 1);
		keeper_lab_prepare(f, 1, 1, &g);
		keeper_lab_expect(f, &g, true, 1, NULL);
	}
}

struct taken {
	size_t n;
	int answer;
};

static int on_mi(void *arg, int64_t row, struct view mi)
{
	struct taken *t = arg;

	assert_true(row > 0);
	assert_true(view_equal(mi, view_of("\1\2", 2)));
	t->n++;
	return t->answer;
}

/* For learning: what of the one measurement makes it one to learn from. */
static const struct {
	const char *what, *sql, *application;
	int answer, result;
	size_t n;
} learnt[] = {
	{ "an accepted one", "accepted = 1", "a", 0, 0, 1 },
	{ "of another application", "accepted = 1", "b", 0, 0, 0 },
	{ "a refused one", "accepted = 0", "a", 0, 0, 0 },
	{ "a static one", "accepted = 1, kind = 'static'", "a", 0, 0, 0 },
	{ "without its MI", "accepted = 1, mi = x''", "a", 0, 0, 0 },
	{ "whose reader fails", "accepted = 1", "a", -ENOSPC, -ENOSPC, 1 },
};

static void accepted_measurements_are_handed_out(void **state)
{
	struct keeper_lab *f = *state;
	struct judgement g;

	keeper_lab_start(f);
	keeper_lab_nonce(f, 1);
	keeper_lab_prepare(f, 1, 1, &g);
	keeper_lab_expect(f, &g, true, 1, NULL);
	for (size_t i = 0; i < ARRAY_LEN(learnt); i++) {
		struct taken t = { .answer = learnt[i].answer };
		char sql[256];

		snprintf(sql, sizeof(sql),
			 "UPDATE evidence SET application = 'a', kind = 'dynamic', mi = x'0102';"
			 "UPDATE evidence SET %s",
			 learnt[i].sql);
		assert_int_equal(sqlite3_exec(f->keeper.store->db, sql, NULL, NULL, NULL),
				 SQLITE_OK);
		assert_int_equal(
			store_accepted_mis(f->keeper.store, learnt[i].application, on_mi, &t),
			learnt[i].result);
		if (t.n != learnt[i].n)
			fail_msg("%s: %zu", learnt[i].what, t.n);
	}
}

/* What a child that is killed did, told through a pipe after it was told to it. */
static void work_until_killed(struct keeper_lab *f, int out, uint8_t round)
{
	struct judgement g;

	keeper_lab_hello(f, "machine");
	keeper_lab_enrol(f);
	for (uint8_t run = 0; run < 250; run++) {
		f->sequence = 0;
		for (uint32_t stage = 1; stage <= 2; stage++) {
			keeper_lab_nonce(f, stage);
			keeper_lab_prepare(f, run, stage, &g);
			g.j.run_id[0] = round;
			g.m.claims_hash[0] = round;
			if (keeper_lab_judge(f, &g) < 0 || keeper_lab_sealed(f) != stage)
				_exit(1);
			if (write(out, &stage, sizeof(stage)) < 0)
				_exit(1);
		}
	}
	_exit(0);
}

/*
 * Killed at any moment: afterwards everything that was answered is there, everything that is
 * there is whole, and no nonce released anything twice.
 */
static void kill_at_any_point_leaves_it_whole(void **state)
{
	struct keeper_lab *f = *state;
	int64_t told = 0;

	store_close(f->keeper.store);
	f->keeper.store = NULL;
	srand(7);
	for (uint8_t round = 0; round < CRASH_ROUNDS; round++) {
		int fds[2], status;
		uint32_t stage;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			keeper_lab_open_store(f);
			work_until_killed(f, fds[1], round);
		}
		close(fds[1]);
		usleep((useconds_t)(20000 + rand() % 80000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			fail_msg("the child failed by itself");
		while (read(fds[0], &stage, sizeof(stage)) == (ssize_t)sizeof(stage))
			told += stage;
		close(fds[0]);

		keeper_lab_open_store(f);
		keeper_lab_assert_whole(f);
		assert_int_equal(
			keeper_lab_count(f, "SELECT count(*) FROM pragma_integrity_check WHERE"
					    " integrity_check <> 'ok'"),
			0);
		assert_int_equal(
			keeper_lab_count(f, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
		assert_true(keeper_lab_count(f, "SELECT count(*) FROM releases") >= told);
		assert_int_equal(
			keeper_lab_count(f, "SELECT count(*) FROM (SELECT 1 FROM releases GROUP BY"
					    " nonce, name HAVING count(*) > 1)"),
			0);
		assert_int_equal(
			keeper_lab_count(f,
					 "SELECT count(*) FROM releases r LEFT JOIN evidence e ON"
					 " e.id = r.evidence_id AND e.accepted = 1 WHERE e.id IS"
					 " NULL"),
			0);
		assert_int_equal(
			keeper_lab_count(f, "SELECT count(*) FROM nonces WHERE state <> 1"), 0);
		assert_int_equal(
			keeper_lab_count(f,
					 "SELECT count(*) FROM sessions WHERE closed_ns IS NULL"),
			0);
		store_close(f->keeper.store);
		f->keeper.store = NULL;
	}
	assert_true(told > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, keeper_lab_set_up, keeper_lab_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(tampering_is_found),
		TEST(accepted_measurements_are_handed_out),
		TEST(kill_at_any_point_leaves_it_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
