/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SQL_H
#define ASSAY_VERIFIER_SQL_H

#include <stdint.h>

#include <sqlite3.h>

#include "bytes.h"

/*
 * SQLite's calls in our conventions. kinds says what the arguments are, one letter
 * each: i (int64_t), u (uint64_t, kept in the same 64 bits), t (const char *, NULL is null),
 * b (struct view; empty is an empty blob), n (no argument: null).
 */

/* A negative errno for a result of SQLite: -EEXIST for a broken constraint, -EIO for most. */
int sql_error(int result);

/* Runs a statement that yields no rows. */
MUST_CHECK int sql_run(sqlite3 *db, const char *kinds, const char *sql, ...);

/* Prepares and binds; the rows come with sql_step. End *ret with sql_end, before another function
 * may run the same words. */
MUST_CHECK int sql_query(sqlite3 *db, sqlite3_stmt **ret, const char *kinds, const char *sql, ...);

/* 1: a row is there; 0: no more. */
MUST_CHECK int sql_step(sqlite3_stmt *q);

/* One number of one row; -ENOENT: no row. */
MUST_CHECK int sql_number(sqlite3 *db, int64_t *ret, const char *kinds, const char *sql, ...);

/* Column of the row at hand, good until the next step. Text is never NULL. */
struct view sql_blob(sqlite3_stmt *q, int column);
const char *sql_text(sqlite3_stmt *q, int column);
int64_t sql_int(sqlite3_stmt *q, int column);

/* Copies a blob of exactly size bytes. -EBADMSG: another size. */
MUST_CHECK int sql_exact(sqlite3_stmt *q, int column, void *to, size_t size);

/* The rows are done with: the statement is kept for the next sql_query of the same words. */
void sql_end(sqlite3_stmt *q);

static inline void sql_finalizep(sqlite3_stmt **q)
{
	sql_end(*q);
}

/* Closes the connection with what it kept. Accepts NULL. */
void sql_close(sqlite3 *db);

#endif
