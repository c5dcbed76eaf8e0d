/* SPDX-License-Identifier: Apache-2.0 */
#include "sql.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "cleanup.h"

static const struct {
	int result, error;
} errors[] = {
	{ SQLITE_OK, 0 },
	{ SQLITE_NOMEM, -ENOMEM },
	{ SQLITE_CONSTRAINT, -EEXIST },
	{ SQLITE_BUSY, -EBUSY },
	{ SQLITE_LOCKED, -EBUSY },
	{ SQLITE_FULL, -ENOSPC },
	{ SQLITE_READONLY, -EROFS },
	{ SQLITE_CANTOPEN, -ENOENT },
	{ SQLITE_PERM, -EACCES },
	{ SQLITE_TOOBIG, -EMSGSIZE },
	{ SQLITE_NOTADB, -EBADMSG },
	{ SQLITE_CORRUPT, -EBADMSG },
};

int sql_error(int result)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		if ((result & 0xff) == errors[i].result)
			return errors[i].error;
	}
	return -EIO;
}

static int bind_all(sqlite3_stmt *q, const char *kinds, va_list args)
{
	int e = SQLITE_OK;

	for (int i = 1; e == SQLITE_OK && *kinds; i++, kinds++) {
		if (*kinds == 'i') {
			e = sqlite3_bind_int64(q, i, va_arg(args, int64_t));
		} else if (*kinds == 'u') {
			e = sqlite3_bind_int64(q, i, (int64_t)va_arg(args, uint64_t));
		} else if (*kinds == 't') {
			e = sqlite3_bind_text(q, i, va_arg(args, const char *), -1,
					      SQLITE_TRANSIENT);
		} else if (*kinds == 'b') {
			struct view v = va_arg(args, struct view);

			e = sqlite3_bind_blob64(q, i, v.len > 0 ? v.data : (const void *)"", v.len,
						SQLITE_TRANSIENT);
		} else {
			e = sqlite3_bind_null(q, i);
		}
	}
	return sql_error(e);
}

/*
 * Preparing a statement costs more than running it, and all of them are literals of this program: so
 * a connection keeps what was ended, for the next use of the same words. SQLite lists the
 * statements of a connection; one that is free has run and was reset, one that is in use runs
 * or has not run since it was handed out.
 */
static bool is_free(sqlite3_stmt *q)
{
	return !sqlite3_stmt_busy(q) && sqlite3_stmt_status(q, SQLITE_STMTSTATUS_RUN, 0) > 0;
}

static sqlite3_stmt *kept(sqlite3 *db, const char *sql)
{
	for (sqlite3_stmt *q = sqlite3_next_stmt(db, NULL); q; q = sqlite3_next_stmt(db, q)) {
		if (is_free(q) && strcmp(sqlite3_sql(q), sql) == 0) {
			sqlite3_stmt_status(q, SQLITE_STMTSTATUS_RUN, 1);
			return q;
		}
	}
	return NULL;
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	const char *rest = "";
	int e;

	*ret = kept(db, sql);
	if (*ret)
		return 0;
	e = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, &rest);
	assert(e != SQLITE_OK || *rest == '\0'); /* or it would not be found again by its words */
	return sql_error(e);
}

void sql_end(sqlite3_stmt *q)
{
	if (!q)
		return;
	/* One that failed, or never ran, is not worth keeping. */
	if (sqlite3_reset(q) != SQLITE_OK || !is_free(q)) {
		sqlite3_finalize(q);
		return;
	}
	sqlite3_clear_bindings(q);
}

void sql_close(sqlite3 *db)
{
	sqlite3_stmt *q;

	while ((q = sqlite3_next_stmt(db, NULL)))
		sqlite3_finalize(q);
	sqlite3_close(db);
}

static int query(sqlite3 *db, sqlite3_stmt **ret, const char *kinds, const char *sql, va_list args)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = prepare(db, sql, &q);
	if (r < 0)
		return r;
	r = bind_all(q, kinds, args);
	if (r < 0)
		return r;
	*ret = TAKE(q);
	return 0;
}

int sql_query(sqlite3 *db, sqlite3_stmt **ret, const char *kinds, const char *sql, ...)
{
	va_list args;
	int r;

	va_start(args, sql);
	r = query(db, ret, kinds, sql, args);
	va_end(args);
	return r;
}

int sql_step(sqlite3_stmt *q)
{
	int e = sqlite3_step(q);

	return e == SQLITE_ROW ? 1 : e == SQLITE_DONE ? 0 : sql_error(e);
}

int sql_run(sqlite3 *db, const char *kinds, const char *sql, ...)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	va_list args;
	int r;

	va_start(args, sql);
	r = query(db, &q, kinds, sql, args);
	va_end(args);
	while (r == 0) {
		r = sql_step(q);
		if (r <= 0)
			return r;
		r = 0;
	}
	return r;
}

int sql_number(sqlite3 *db, int64_t *ret, const char *kinds, const char *sql, ...)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	va_list args;
	int r;

	va_start(args, sql);
	r = query(db, &q, kinds, sql, args);
	va_end(args);
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*ret = sqlite3_column_int64(q, 0);
	return 0;
}

struct view sql_blob(sqlite3_stmt *q, int column)
{
	const void *data = sqlite3_column_blob(q, column);

	return view_of(data, (size_t)sqlite3_column_bytes(q, column));
}

const char *sql_text(sqlite3_stmt *q, int column)
{
	const unsigned char *text = sqlite3_column_text(q, column);

	return text ? (const char *)text : "";
}

int64_t sql_int(sqlite3_stmt *q, int column)
{
	return sqlite3_column_int64(q, column);
}

int sql_exact(sqlite3_stmt *q, int column, void *to, size_t size)
{
	struct view v = sql_blob(q, column);

	if (v.len != size)
		return -EBADMSG;
	memcpy(to, v.data, size);
	return 0;
}
