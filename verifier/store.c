/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "sql.h"

#define SCHEMA_VERSION 2

/* How long an operator's reader may hold the writer up. */
#define BUSY_MS 5000

CLEANUP_FUNCTION(struct store *, store_close)

static const char schema[] =
	"CREATE TABLE attesters (id INTEGER PRIMARY KEY, key_name BLOB NOT NULL UNIQUE,"
	" platform TEXT NOT NULL, insecure INTEGER NOT NULL, ak_public BLOB NOT NULL,"
	" ek_public BLOB NOT NULL, ek_certificate BLOB NOT NULL, ek_chain BLOB NOT NULL,"
	" enrolled_ns INTEGER NOT NULL, forgotten_ns INTEGER) STRICT;"
	"CREATE TABLE sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, attester INTEGER"
	" REFERENCES attesters, key_name BLOB NOT NULL, platform TEXT NOT NULL,"
	" insecure INTEGER NOT NULL, peer TEXT NOT NULL, software TEXT NOT NULL,"
	" boot_id BLOB NOT NULL, epoch BLOB NOT NULL, opened_ns INTEGER NOT NULL,"
	" closed_ns INTEGER, why TEXT) STRICT;"
	/* state: 0 issued, 1 used, 2 replaced */
	"CREATE TABLE nonces (nonce BLOB PRIMARY KEY, session INTEGER NOT NULL REFERENCES"
	" sessions, application TEXT NOT NULL, stage INTEGER NOT NULL, issued_ns INTEGER NOT NULL,"
	" issued_boottime_ns INTEGER NOT NULL, valid_ns INTEGER NOT NULL,"
	" state INTEGER NOT NULL DEFAULT 0, used_ns INTEGER) STRICT;"
	"CREATE INDEX nonces_outstanding ON nonces (session, application) WHERE state = 0;"
	"CREATE TABLE runs (id INTEGER PRIMARY KEY, attester INTEGER NOT NULL REFERENCES attesters,"
	" application TEXT NOT NULL, run_id BLOB NOT NULL, started_ns INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL, dropped INTEGER NOT NULL, missing INTEGER NOT NULL,"
	" head BLOB NOT NULL,"
	" passed INTEGER NOT NULL, delivered INTEGER NOT NULL, resync INTEGER NOT NULL,"
	" mi BLOB, UNIQUE (attester, application, run_id)) STRICT;"
	"CREATE TABLE boots (id INTEGER PRIMARY KEY, attester INTEGER NOT NULL REFERENCES"
	" attesters, reset_count INTEGER NOT NULL, boot_id BLOB NOT NULL,"
	" register INTEGER NOT NULL, alg INTEGER NOT NULL, entries INTEGER NOT NULL,"
	" value BLOB NOT NULL, UNIQUE (attester, reset_count)) STRICT;"
	"CREATE TABLE runtime_entries (boot INTEGER NOT NULL REFERENCES boots, number INTEGER NOT"
	" NULL, digest BLOB NOT NULL, PRIMARY KEY (boot, number)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX runtime_digests ON runtime_entries (boot, digest, number);"
	"CREATE TABLE runtime_used (boot INTEGER NOT NULL REFERENCES boots, application TEXT NOT"
	" NULL, number INTEGER NOT NULL, PRIMARY KEY (boot, application)) STRICT, WITHOUT ROWID;"
	/*
	 * One row a measurement, the signed one last; the others name it in `signed`. kind:
	 * static or dynamic; reasons: a JSON array, of the whole verdict.
	 */
	"CREATE TABLE evidence (id INTEGER PRIMARY KEY AUTOINCREMENT, signed INTEGER NOT NULL"
	" REFERENCES evidence DEFERRABLE INITIALLY DEFERRED, session INTEGER NOT NULL REFERENCES"
	" sessions, run INTEGER REFERENCES runs, application TEXT NOT NULL, run_id BLOB NOT NULL,"
	" kind TEXT NOT NULL, stage INTEGER NOT NULL, sequence INTEGER NOT NULL,"
	" node_kind INTEGER NOT NULL, node INTEGER NOT NULL, realtime_ns INTEGER NOT NULL,"
	" received_ns INTEGER NOT NULL, claims_hash BLOB NOT NULL, claims BLOB NOT NULL,"
	" mi BLOB NOT NULL, report BLOB NOT NULL, nonce BLOB NOT NULL, accepted INTEGER NOT NULL,"
	" latched INTEGER NOT NULL, reasons TEXT NOT NULL) STRICT;"
	"CREATE INDEX evidence_hash ON evidence (claims_hash);"
	"CREATE INDEX evidence_signed ON evidence (signed);"
	"CREATE INDEX evidence_session ON evidence (session, application);"
	/* A secret goes out once for a nonce, whatever else is wrong. */
	"CREATE TABLE releases (id INTEGER PRIMARY KEY, evidence_id INTEGER NOT NULL REFERENCES"
	" evidence, nonce BLOB NOT NULL REFERENCES nonces, stage INTEGER NOT NULL,"
	" name TEXT NOT NULL, UNIQUE (nonce, name)) STRICT;"
	"CREATE TABLE receipts (id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES"
	" sessions, evidence_id INTEGER NOT NULL REFERENCES evidence, stage INTEGER NOT NULL,"
	" name TEXT NOT NULL, pid INTEGER NOT NULL, how TEXT NOT NULL,"
	" received_ns INTEGER NOT NULL) STRICT;"
	"CREATE TABLE latches (attester INTEGER NOT NULL REFERENCES attesters, application TEXT"
	" NOT NULL, evidence INTEGER NOT NULL REFERENCES evidence, since_ns INTEGER NOT NULL,"
	" PRIMARY KEY (attester, application)) STRICT;"
	"CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL,"
	" kind TEXT NOT NULL, session INTEGER NOT NULL, key_name BLOB NOT NULL,"
	" application TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL) STRICT;";

int store_begin(struct store *s)
{
	int r;

	r = sql_run(s->db, "", "BEGIN IMMEDIATE");
	if (r == 0)
		s->open_transaction = true;
	return r;
}

int store_commit(struct store *s)
{
	int r;

	r = sql_run(s->db, "", "COMMIT");
	if (r == 0)
		s->open_transaction = false;
	return r;
}

void store_rollback(struct store *s)
{
	if (!s->open_transaction)
		return;
	s->open_transaction = false;
	/* A transaction that SQLite gave up by itself is gone already. */
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int make_schema(struct store *s)
{
	char version[64];
	int r;

	r = store_begin(s);
	if (r < 0)
		return r;
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", SCHEMA_VERSION);
	r = sql_error(sqlite3_exec(s->db, schema, NULL, NULL, NULL));
	if (r == 0)
		r = sql_run(s->db, "", version);
	if (r == 0)
		r = store_commit(s);
	if (r < 0)
		store_rollback(s);
	return r;
}

/* What a process that was killed left: no session goes on, no nonce of one is good. */
static int settle(struct store *s)
{
	int r;

	r = store_begin(s);
	if (r == 0)
		r = sql_run(s->db, "",
			    "UPDATE sessions SET closed_ns = opened_ns, why = 'the verifier ended'"
			    " WHERE closed_ns IS NULL");
	if (r == 0)
		r = sql_run(s->db, "", "DELETE FROM nonces WHERE state <> 1");
	if (r == 0)
		r = store_commit(s);
	if (r < 0)
		store_rollback(s);
	return r;
}

static int check_version(struct store *s, char *why, size_t size)
{
	int64_t version;
	int r;

	r = sql_number(s->db, &version, "", "PRAGMA user_version");
	if (r < 0) {
		snprintf(why, size, "%s", sqlite3_errmsg(s->db));
		return r;
	}
	if (version == 0 && !s->read_only) {
		r = make_schema(s);
		if (r < 0)
			snprintf(why, size, "%s", sqlite3_errmsg(s->db));
		return r;
	}
	if (version != SCHEMA_VERSION) {
		snprintf(why, size, "its schema is version %lld, this program knows version %d",
			 (long long)version, SCHEMA_VERSION);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

int store_open(const char *path, bool read_only, struct store **ret, char *ret_why, size_t size)
{
	CLEANUP(store_closep) struct store *s = NULL;
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	mode_t mask;
	int e, r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->read_only = read_only;
	/* The log and WAL beside it take the file's mode. */
	mask = umask(0077);
	e = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_EXRESCODE, NULL);
	umask(mask);
	if (e != SQLITE_OK) {
		snprintf(ret_why, size, "%s", s->db ? sqlite3_errmsg(s->db) : "no memory");
		return sql_error(e);
	}
	sqlite3_busy_timeout(s->db, BUSY_MS);
	r = read_only
		    ? 0
		    : sql_error(sqlite3_exec(s->db,
					     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
					     " PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON",
					     NULL, NULL, NULL));
	if (r < 0) {
		snprintf(ret_why, size, "%s", sqlite3_errmsg(s->db));
		return r;
	}
	r = check_version(s, ret_why, size);
	if (r == 0 && !read_only) {
		r = settle(s);
		if (r < 0)
			snprintf(ret_why, size, "%s", sqlite3_errmsg(s->db));
	}
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	sql_close(s->db);
	free(s);
}
