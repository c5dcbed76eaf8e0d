/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <inttypes.h>
#include <string.h>

#include "cleanup.h"
#include "store_log.h"

/* Problems that are listed; past it they are only counted. */
#define PROBLEMS_MAX 100

struct verifying {
	struct store *s;
	json_t *problems;
	size_t n;
	int64_t evidence, releases, receipts; /* as the log has them */
};

static void problem(struct verifying *v, const char *what, int64_t row)
{
	if (v->n++ < PROBLEMS_MAX)
		json_array_append_new(
			v->problems, json_pack("{s:s, s:I}", "what", what, "row", (json_int_t)row));
}

static void same(struct verifying *v, json_t *seen, json_t *logged, const char *what, int64_t row)
{
	if (!json_equal(seen, logged))
		problem(v, what, row);
	json_decref(seen);
}

static int check_measurements(struct verifying *v, int64_t signed_id, json_t *logged)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	size_t i = 0;
	int r;

	r = sql_query(
		v->s->db, &q, "i",
		"SELECT id, claims_hash, claims, mi, sequence, stage, kind, node FROM evidence"
		" WHERE signed = ? ORDER BY id",
		signed_id);
	while (r == 0 && (r = sql_step(q)) == 1) {
		json_t *l = json_array_get(logged, i++);
		bool fixed = strcmp(sql_text(q, 6), "static") == 0;
		int64_t id = sql_int(q, 0);

		v->evidence++;
		same(v, json_integer(id), json_object_get(l, "evidence"),
		     "evidence differs from the log", id);
		same(v, store_json_hex(sql_blob(q, 1)), json_object_get(l, "claims_sha512"),
		     "the hash of Claims differs from the log", id);
		same(v, store_json_sha256(sql_blob(q, 2)), json_object_get(l, "claims_sha256"),
		     "Claims differ from the log", id);
		same(v, store_json_sha256(sql_blob(q, 3)), json_object_get(l, "mi_sha256"),
		     "MI differs from the log", id);
		same(v, json_integer(sql_int(q, 4)), json_object_get(l, "sequence"),
		     "a sequence differs from the log", id);
		same(v, json_integer(sql_int(q, 5)), json_object_get(l, "stage"),
		     "a stage differs from the log", id);
		same(v, json_integer(fixed ? 1 : 2), json_object_get(l, "kind"),
		     "a kind differs from the log", id);
		same(v, json_integer(sql_int(q, 7)), json_object_get(l, "node"),
		     "a time node differs from the log", id);
		r = 0;
	}
	if (r == 0 && i != json_array_size(logged))
		problem(v, "evidence is missing", signed_id);
	return r;
}

static int check_evidence(struct verifying *v, json_t *detail)
{
	int64_t id = json_integer_value(json_object_get(detail, "evidence"));
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = sql_query(v->s->db, &q, "i",
		      "SELECT accepted, latched, report, nonce, reasons FROM evidence WHERE id = ?",
		      id);
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 0) {
		problem(v, "evidence is missing", id);
		return 0;
	}
	same(v, json_boolean(sql_int(q, 0)), json_object_get(detail, "accepted"),
	     "a verdict differs from the log", id);
	same(v, json_boolean(sql_int(q, 1)), json_object_get(detail, "latched"),
	     "a latch differs from the log", id);
	same(v, store_json_sha256(sql_blob(q, 2)), json_object_get(detail, "report_sha256"),
	     "a report differs from the log", id);
	same(v, store_json_hex(sql_blob(q, 3)), json_object_get(detail, "nonce"),
	     "a nonce differs from the log", id);
	same(v, json_loads(sql_text(q, 4), 0, NULL), json_object_get(detail, "reasons"),
	     "reasons differ from the log", id);
	return check_measurements(v, id, json_object_get(detail, "measurements"));
}

static int check_release(struct verifying *v, json_t *detail)
{
	json_t *names = json_object_get(detail, "secrets");
	int64_t id = json_integer_value(json_object_get(detail, "evidence")), n;
	json_t *name;
	size_t i;
	int r;

	json_array_foreach(names, i, name)
	{
		v->releases++;
		r = sql_number(
			v->s->db, &n, "it",
			"SELECT count(*) FROM releases r JOIN evidence e ON e.id ="
			" r.evidence_id WHERE e.id = ? AND r.name = ? AND e.accepted = 1",
			id, json_string_value(name));
		if (r < 0)
			return r;
		if (n != 1)
			problem(v, "a release is missing, or its evidence was refused", id);
	}
	return 0;
}

static int check_receipt(struct verifying *v, json_t *detail)
{
	v->receipts++;
	return 0;
}

/* What a row of the log must find in the tables. */
static const struct {
	const char *kind;
	int (*check)(struct verifying *v, json_t *detail);
} kinds[] = {
	{ "evidence", check_evidence },
	{ "release", check_release },
	{ "receipt", check_receipt },
};

static int check_row(struct verifying *v, sqlite3_stmt *q, struct digest *before)
{
	struct store_log_row row = {
		.id = sql_int(q, 0),
		.at_ns = sql_int(q, 1),
		.kind = sql_text(q, 2),
		.session = sql_int(q, 3),
		.key_name = sql_blob(q, 4),
		.application = sql_text(q, 5),
		.detail = sql_text(q, 6),
	};
	struct digest hash;
	json_t *detail;
	int r;

	r = store_log_hash(&row, before, &hash);
	if (r < 0)
		return r;
	if (!view_equal(sql_blob(q, 7), digest_view(&hash)))
		problem(v, "the hash of this row of the log is not that of its content", row.id);
	/* From what is stored, so that one changed row is one problem. */
	r = digest_from(HASH_SHA256, sql_blob(q, 7), before);
	if (r < 0) {
		problem(v, "a row of the log has no hash", row.id);
		*before = hash;
	}
	detail = json_loads(row.detail, 0, NULL);
	r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].kind, row.kind) == 0)
			r = kinds[i].check(v, detail);
	}
	json_decref(detail);
	return r;
}

static int check_count(struct verifying *v, const char *sql, int64_t logged, const char *what)
{
	int64_t n;
	int r;

	r = sql_number(v->s->db, &n, "", sql);
	if (r == 0 && n != logged)
		problem(v, what, n);
	return r;
}

static int check_all(struct verifying *v, struct digest *head, int64_t *rows)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = sql_query(
		v->s->db, &q, "",
		"SELECT id, at_ns, kind, session, key_name, application, detail, hash FROM log"
		" ORDER BY id");
	while (r == 0 && (r = sql_step(q)) == 1) {
		if (sql_int(q, 0) != ++*rows) {
			problem(v, "rows of the log are missing before this one", sql_int(q, 0));
			*rows = sql_int(q, 0);
		}
		r = check_row(v, q, head);
	}
	if (r == 0)
		r = check_count(v, "SELECT count(*) FROM evidence", v->evidence,
				"evidence that is not in the log");
	if (r == 0)
		r = check_count(v, "SELECT count(*) FROM releases", v->releases,
				"releases that are not in the log");
	if (r == 0)
		r = check_count(v, "SELECT count(*) FROM receipts", v->receipts,
				"receipts that are not in the log");
	if (r == 0)
		r = check_count(v,
				"SELECT count(*) FROM releases r LEFT JOIN nonces n ON n.nonce ="
				" r.nonce WHERE n.state IS NOT 1",
				0, "releases on a nonce that is not used up");
	return r;
}

int store_verify(struct store *s, bool *ret_good, json_t **ret)
{
	struct verifying v = { .s = s, .problems = json_array() };
	struct digest head = digest_zero(HASH_SHA256);
	int64_t rows = 0;
	int r;

	/* One snapshot, though the keeper goes on writing. */
	r = sql_run(s->db, "", "BEGIN");
	if (r == 0) {
		r = check_all(&v, &head, &rows);
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	}
	if (r < 0) {
		json_decref(v.problems);
		return r;
	}
	*ret_good = v.n == 0;
	*ret = json_pack("{s:I, s:o, s:I, s:I, s:I, s:o, s:I}", "rows", (json_int_t)rows, "head",
			 store_json_hex(digest_view(&head)), "evidence", (json_int_t)v.evidence,
			 "releases", (json_int_t)v.releases, "receipts", (json_int_t)v.receipts,
			 "problems", v.problems, "problems_count", (json_int_t)v.n);
	return *ret ? 0 : -ENOMEM;
}
