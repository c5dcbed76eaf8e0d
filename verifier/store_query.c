/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <string.h>

#include "cleanup.h"
#include "store_log.h"

/* What the operator asks the store for. */

/* Runs a query, and hands each row to row() until one fails. */
static int each(sqlite3_stmt *q, json_t *list, json_t *(*row)(sqlite3_stmt *q))
{
	int r;

	while ((r = sql_step(q)) == 1) {
		if (json_array_append_new(list, row(q)) < 0)
			return -ENOMEM;
	}
	return r;
}

static json_t *application_row(sqlite3_stmt *q)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:b, s:b, s:b, s:I, s:I, s:o, s:o}", "application",
			 store_json_text(sql_text(q, 0)), "run", store_json_hex(sql_blob(q, 1)),
			 "stage", (json_int_t)sql_int(q, 2), "sequence", (json_int_t)sql_int(q, 3),
			 "latched", sql_int(q, 4) != 0, "delivered", sql_int(q, 5) != 0, "accepted",
			 sql_int(q, 6) != 0, "last_evidence", (json_int_t)sql_int(q, 7), "last_ns",
			 (json_int_t)sql_int(q, 8), "reasons", json_loads(sql_text(q, 9), 0, NULL),
			 "kind", store_json_text(sql_text(q, 10)));
}

static int applications_of(struct store *s, int64_t attester, const char *application, json_t *list)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = sql_query(
		s->db, &q, "itt",
		"WITH mine AS (SELECT e.* FROM evidence e JOIN sessions s ON s.id = e.session"
		" WHERE s.attester = ?1), names AS (SELECT application, max(id) AS id FROM"
		" mine GROUP BY application)"
		" SELECT n.application, coalesce(r.run_id, x''), coalesce(r.passed, 0),"
		" coalesce(r.sequence, 0), EXISTS (SELECT 1 FROM latches l WHERE l.attester ="
		" ?1 AND l.application = n.application), coalesce(r.delivered, 0), e.accepted,"
		" e.id, e.received_ns, e.reasons, e.kind"
		" FROM names n JOIN evidence e ON e.id = n.id LEFT JOIN runs r ON r.id ="
		" (SELECT max(r2.id) FROM runs r2 WHERE r2.attester = ?1 AND r2.application ="
		" n.application) WHERE ?2 IS NULL OR n.application = ?3"
		" ORDER BY n.application",
		attester, application, application);
	return r < 0 ? r : each(q, list, application_row);
}

int store_fleet(struct store *s, const char *application, json_t **ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	json_t *fleet = json_array(), *applications;
	int r;

	r = sql_query(s->db, &q, "",
		      "SELECT a.id, a.key_name, a.platform, a.insecure, a.enrolled_ns,"
		      " (SELECT count(*) FROM sessions s WHERE s.attester = a.id AND s.closed_ns IS"
		      " NULL), coalesce((SELECT s.peer FROM sessions s WHERE s.attester = a.id"
		      " ORDER BY s.id DESC LIMIT 1), '') FROM attesters a WHERE a.forgotten_ns IS"
		      " NULL ORDER BY a.id");
	while (r == 0 && (r = sql_step(q)) == 1) {
		applications = json_array();
		r = applications_of(s, sql_int(q, 0), application, applications);
		if (application && json_array_size(applications) == 0) {
			json_decref(applications);
			continue;
		}
		json_array_append_new(fleet, json_pack("{s:o, s:o, s:b, s:I, s:I, s:o, s:o}",
						       "attester", store_json_hex(sql_blob(q, 1)),
						       "platform", store_json_text(sql_text(q, 2)),
						       "insecure", sql_int(q, 3) != 0,
						       "enrolled_ns", (json_int_t)sql_int(q, 4),
						       "sessions", (json_int_t)sql_int(q, 5),
						       "peer", store_json_text(sql_text(q, 6)),
						       "applications", applications));
	}
	if (r < 0) {
		json_decref(fleet);
		return r;
	}
	*ret = fleet;
	return 0;
}

static json_t *log_row(sqlite3_stmt *q)
{
	json_t *detail = json_loads(sql_text(q, 6), 0, NULL);

	return json_pack("{s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "id",
			 (json_int_t)sql_int(q, 0), "at_ns", (json_int_t)sql_int(q, 1), "kind",
			 store_json_text(sql_text(q, 2)), "session", (json_int_t)sql_int(q, 3),
			 "attester", store_json_hex(sql_blob(q, 4)), "application",
			 store_json_text(sql_text(q, 5)), "detail",
			 detail ? detail : store_json_text(sql_text(q, 6)), "hash",
			 store_json_hex(sql_blob(q, 7)));
}

int store_log_rows(struct store *s, int64_t after, size_t limit, const char *application,
		   json_t **ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	json_t *rows = json_array();
	int r;

	r = sql_query(s->db, &q, "itti",
		      "SELECT id, at_ns, kind, session, key_name, application, detail, hash"
		      " FROM log WHERE id > ? AND (? IS NULL OR application = ?)"
		      " ORDER BY id LIMIT ?",
		      after, application, application, (int64_t)limit);
	if (r == 0)
		r = each(q, rows, log_row);
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	*ret = rows;
	return 0;
}

int store_accepted_mis(struct store *s, const char *application,
		       int (*on_mi)(void *arg, int64_t row, struct view mi), void *arg)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = sql_query(s->db, &q, "t",
		      "SELECT id, mi FROM evidence WHERE application = ? AND kind = 'dynamic'"
		      " AND accepted AND length(mi) > 0 ORDER BY id",
		      application);
	while (r == 0 && (r = sql_step(q)) == 1)
		r = on_mi(arg, sql_int(q, 0), sql_blob(q, 1));
	return r;
}
