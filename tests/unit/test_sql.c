/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "verifier/sql.h"

/* What a connection keeps: statements that ended, for the next use of the same words. */

static const char numbers[] = "SELECT n FROM t WHERE n >= ? ORDER BY n";

static int open_database(void **state)
{
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		return -1;
	*state = db;
	return sqlite3_exec(db,
			    "CREATE TABLE t (n INTEGER UNIQUE NOT NULL, s TEXT);"
			    " INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
			    NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : -1;
}

static int close_database(void **state)
{
	sql_close(*state);
	return 0;
}

static size_t statements(sqlite3 *db)
{
	size_t n = 0;

	for (sqlite3_stmt *q = sqlite3_next_stmt(db, NULL); q; q = sqlite3_next_stmt(db, q))
		n++;
	return n;
}

static void assert_next(sqlite3_stmt *q, int64_t n)
{
	assert_int_equal(sql_step(q), 1);
	assert_int_equal(sql_int(q, 0), n);
}

static void the_same_words_are_prepared_once(void **state)
{
	sqlite3 *db = *state;
	int64_t n;

	for (int64_t i = 1; i <= 3; i++) {
		assert_int_equal(
			sql_number(db, &n, "i", "SELECT count(*) FROM t WHERE n >= ?", i), 0);
		assert_int_equal(n, 4 - i);
	}
	assert_int_equal(statements(db), 1);
	assert_int_equal(sql_number(db, &n, "", "SELECT max(n) FROM t"), 0);
	assert_int_equal(statements(db), 2);
}

/* One that is in use is nobody else's, whether it was stepped or not. */
static void one_in_use_is_not_handed_out(void **state)
{
	sqlite3 *db = *state;
	sqlite3_stmt *a, *b, *c;

	for (int round = 0; round < 2; round++) {
		assert_int_equal(sql_query(db, &a, "i", numbers, (int64_t)1), 0);
		assert_int_equal(sql_query(db, &b, "i", numbers, (int64_t)2), 0);
		assert_ptr_not_equal(a, b);
		assert_next(a, 1);
		assert_int_equal(sql_query(db, &c, "i", numbers, (int64_t)3), 0);
		assert_ptr_not_equal(a, c);
		assert_ptr_not_equal(b, c);
		assert_next(b, 2);
		assert_next(c, 3);
		assert_next(a, 2);
		sql_end(b);
		assert_next(a, 3);
		sql_end(a);
		assert_int_equal(sql_step(c), 0);
		sql_end(c);
	}
	assert_int_equal(statements(db), 3);
}

/* What was bound, and how far it had come, is gone. */
static void nothing_is_left_of_the_last_use(void **state)
{
	sqlite3 *db = *state;
	sqlite3_stmt *a, *b;

	assert_int_equal(sql_query(db, &a, "i", numbers, (int64_t)1), 0);
	assert_next(a, 1);
	sql_end(a);
	/* Nothing is bound: n >= NULL is true of no row. */
	assert_int_equal(sql_query(db, &b, "", numbers), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(sql_step(b), 0);
	sql_end(b);
	assert_int_equal(statements(db), 1);
}

/* An open read would keep a transaction, and the WAL, from ending. */
static void one_that_ended_holds_nothing_open(void **state)
{
	sqlite3 *db = *state;
	sqlite3_stmt *q;

	assert_int_equal(sql_run(db, "", "BEGIN"), 0);
	assert_int_equal(sql_query(db, &q, "i", numbers, (int64_t)1), 0);
	assert_next(q, 1);
	assert_int_equal(sqlite3_stmt_busy(q), 1);
	sql_end(q);
	assert_int_equal(sqlite3_stmt_busy(q), 0);
	assert_int_equal(sql_run(db, "", "COMMIT"), 0);
	assert_int_equal(sql_run(db, "", "DROP TABLE t"), 0); /* fails where it is still read */
}

static void one_that_failed_is_not_kept(void **state)
{
	sqlite3 *db = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(sql_run(db, "i", "INSERT INTO t VALUES (?, 'x')", (int64_t)1),
				 -EEXIST);
	assert_int_equal(statements(db), 0);
	assert_int_equal(sql_run(db, "i", "INSERT INTO t VALUES (?, 'x')", (int64_t)4), 0);
	assert_int_equal(statements(db), 1);
}

/* A statement that is kept goes on after the tables were changed. */
static void the_schema_may_change(void **state)
{
	sqlite3 *db = *state;
	int64_t n;

	assert_int_equal(sql_number(db, &n, "", "SELECT count(*) FROM t"), 0);
	assert_int_equal(sql_run(db, "", "ALTER TABLE t ADD COLUMN more INTEGER"), 0);
	assert_int_equal(sql_run(db, "", "DELETE FROM t WHERE n = 1"), 0);
	assert_int_equal(sql_number(db, &n, "", "SELECT count(*) FROM t"), 0);
	assert_int_equal(n, 2);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_database, close_database)
	const struct CMUnitTest tests[] = {
		CASE(the_same_words_are_prepared_once),
		CASE(one_in_use_is_not_handed_out),
		CASE(nothing_is_left_of_the_last_use),
		CASE(one_that_ended_holds_nothing_open),
		CASE(one_that_failed_is_not_kept),
		CASE(the_schema_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
