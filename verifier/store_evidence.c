/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <string.h>

#include "cleanup.h"
#include "store_log.h"

/* Runs, boots with their runtime logs, evidence, and what was released on it. */

int store_run_find(struct store *s, int64_t attester, const char *application,
		   const uint8_t run_id[RUN_ID_SIZE], struct store_run *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	struct store_run run = { .current = true };
	int64_t latest;
	int r;

	r = sql_query(s->db, &q, "itb",
		      "SELECT id, sequence, dropped, head, passed, delivered, resync, missing"
		      " FROM runs WHERE attester = ? AND application = ? AND run_id = ?",
		      attester, application, view_of(run_id, RUN_ID_SIZE));
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 1) {
		run.id = sql_int(q, 0);
		run.sequence = (uint64_t)sql_int(q, 1);
		run.dropped = (uint64_t)sql_int(q, 2);
		r = sql_exact(q, 3, run.head, sizeof(run.head));
		if (r < 0)
			return r;
		run.passed = (uint32_t)sql_int(q, 4);
		run.delivered = sql_int(q, 5) != 0;
		run.resync = sql_int(q, 6) != 0;
		run.missing = (uint64_t)sql_int(q, 7);
		r = sql_number(s->db, &latest, "it",
			       "SELECT max(id) FROM runs WHERE attester = ? AND application = ?",
			       attester, application);
		if (r < 0)
			return r;
		run.current = latest == run.id;
	}
	*ret = run;
	return 0;
}

int store_run_put(struct store *s, int64_t attester, const char *application,
		  const uint8_t run_id[RUN_ID_SIZE], struct store_time now, struct store_run *run)
{
	int r;

	if (run->id == 0) {
		r = sql_run(s->db, "itbib",
			    "INSERT INTO runs (attester, application, run_id, started_ns, sequence,"
			    " dropped, missing, head, passed, delivered, resync)"
			    " VALUES (?, ?, ?, ?, 0, 0, 0, ?, 0, 0, 0)",
			    attester, application, view_of(run_id, RUN_ID_SIZE), now.at_ns,
			    view_of(run->head, sizeof(run->head)));
		if (r < 0)
			return r;
		run->id = sqlite3_last_insert_rowid(s->db);
	}
	return sql_run(s->db, "uuubiiii",
		       "UPDATE runs SET sequence = ?, dropped = ?, missing = ?, head = ?,"
		       " passed = ?, delivered = ?, resync = ? WHERE id = ?",
		       run->sequence, run->dropped, run->missing,
		       view_of(run->head, sizeof(run->head)), (int64_t)run->passed,
		       (int64_t)run->delivered, (int64_t)run->resync, run->id);
}

int store_run_mi(struct store *s, int64_t run, struct bytes *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	r = sql_query(s->db, &q, "i", "SELECT mi FROM runs WHERE id = ?", run);
	if (r == 0)
		r = sql_step(q);
	if (r == 1)
		r = bytes_append_view(ret, sql_blob(q, 0));
	return r;
}

int store_run_set_mi(struct store *s, int64_t run, struct view mi)
{
	return sql_run(s->db, "bi", "UPDATE runs SET mi = ? WHERE id = ?", mi, run);
}

int store_boot_latest(struct store *s, int64_t attester, struct store_boot *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	struct store_boot b = { 0 };
	struct view value;
	int r;

	r = sql_query(s->db, &q, "i",
		      "SELECT id, reset_count, register, alg, entries, value, boot_id FROM boots"
		      " WHERE attester = ? ORDER BY reset_count DESC LIMIT 1",
		      attester);
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 1) {
		b.id = sql_int(q, 0);
		b.reset_count = (uint32_t)sql_int(q, 1);
		b.runtime_register = (uint32_t)sql_int(q, 2);
		b.runtime_alg = (uint32_t)sql_int(q, 3);
		b.count = (uint64_t)sql_int(q, 4);
		value = sql_blob(q, 5);
		if (value.len > sizeof(b.value))
			return -EBADMSG;
		if (value.len > 0)
			memcpy(b.value, value.data, value.len);
		r = sql_exact(q, 6, b.boot_id, sizeof(b.boot_id));
		if (r < 0)
			return r;
	}
	*ret = b;
	return 0;
}

int store_runtime_known(struct store *s, const struct store_session *session, uint64_t *ret)
{
	struct store_boot boot;
	int r;

	r = store_boot_latest(s, session->attester, &boot);
	if (r < 0)
		return r;
	/* Another boot id: the register has started again, the reset count will say so. */
	*ret = memcmp(boot.boot_id, session->boot_id, BOOT_ID_SIZE) == 0 ? boot.count : 0;
	return 0;
}

int store_runtime_value(struct store *s, const struct store_boot *boot, uint64_t count,
			uint8_t ret[KEEPER_HASH_SIZE])
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	struct digest value = digest_zero((enum hash_alg)boot->runtime_alg);
	uint64_t n = 0;
	int r;

	r = sql_query(s->db, &q, "iu",
		      "SELECT digest FROM runtime_entries WHERE boot = ? AND number <= ?"
		      " ORDER BY number",
		      boot->id, count);
	while (r == 0 && (r = sql_step(q)) == 1) {
		r = claims_runtime_extend(&value, sql_blob(q, 0));
		n++;
	}
	if (r < 0)
		return r;
	if (n != count)
		return -ENOENT;
	memset(ret, 0, KEEPER_HASH_SIZE);
	memcpy(ret, value.bytes, value.size);
	return 0;
}

int store_runtime_find(struct store *s, int64_t boot, const char *application, struct view digests,
		       struct bytes *ret_entries)
{
	int64_t after = 0, found;
	int r;

	r = sql_number(s->db, &after, "it",
		       "SELECT number FROM runtime_used WHERE boot = ? AND application = ?", boot,
		       application);
	if (r < 0 && r != -ENOENT)
		return r;
	for (size_t at = 0; at + KEEPER_DIGEST_SIZE <= digests.len; at += KEEPER_DIGEST_SIZE) {
		uint64_t entry = 0;

		r = sql_number(s->db, &found, "ibi",
			       "SELECT number FROM runtime_entries WHERE boot = ? AND digest = ?"
			       " AND number > ? ORDER BY number LIMIT 1",
			       boot, view_of(digests.data + at, KEEPER_DIGEST_SIZE), after);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0) {
			entry = (uint64_t)found;
			after = found;
		}
		r = bytes_append(ret_entries, &entry, sizeof(entry));
		if (r < 0)
			return r;
	}
	return 0;
}

int store_runtime_add(struct store *s, int64_t attester, const struct store_session *session,
		      const struct keeper_judge *j, struct view entries, uint64_t last_used)
{
	size_t n = entries.len / KEEPER_DIGEST_SIZE;
	struct view value = view_of(j->runtime_value, hash_size((enum hash_alg)j->runtime_alg));
	int64_t boot;
	int r;

	r = sql_run(s->db, "iibiiub",
		    "INSERT INTO boots (attester, reset_count, boot_id, register, alg, entries,"
		    " value) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (attester, reset_count)"
		    " DO UPDATE SET entries = excluded.entries, value = excluded.value,"
		    " boot_id = excluded.boot_id WHERE excluded.entries >= entries",
		    attester, (int64_t)j->reset_count,
		    view_of(session->boot_id, sizeof(session->boot_id)),
		    (int64_t)j->runtime_register, (int64_t)j->runtime_alg, j->runtime_before + n,
		    value);
	if (r == 0)
		r = sql_number(s->db, &boot, "ii",
			       "SELECT id FROM boots WHERE attester = ? AND reset_count = ?",
			       attester, (int64_t)j->reset_count);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = sql_run(s->db, "iub",
			    "INSERT INTO runtime_entries (boot, number, digest) VALUES (?, ?, ?)",
			    boot, j->runtime_before + i + 1,
			    view_of(entries.data + i * KEEPER_DIGEST_SIZE, KEEPER_DIGEST_SIZE));
	if (r == 0 && last_used > 0)
		r = sql_run(s->db, "itu",
			    "INSERT INTO runtime_used (boot, application, number) VALUES (?, ?, ?)"
			    " ON CONFLICT (boot, application) DO UPDATE SET number ="
			    " max(number, excluded.number)",
			    boot, j->application, last_used);
	return r;
}

int store_seen(struct store *s, struct view claims_hash, bool *ret)
{
	int64_t n;
	int r;

	r = sql_number(s->db, &n, "b",
		       "SELECT EXISTS (SELECT 1 FROM evidence WHERE claims_hash = ?)", claims_hash);
	if (r == 0)
		*ret = n != 0;
	return r;
}

/* Reasons as a JSON array, the same for the row and for the log. */
static json_t *reasons_of(const struct appraisal *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->n; i++) {
		const struct reason *why = &a->reasons[i];

		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:b}", "rule", store_json_text(why->rule),
					"expected", store_json_text(why->expected), "seen",
					store_json_text(why->seen), "warning", why->warning));
	}
	return list;
}

/* One row; the signed one has report and nonce, and its number is the verdict's. */
static int add_row(struct store *s, const struct store_evidence *e, struct store_time now,
		   const struct keeper_measurement *m, struct view claims, struct view mi,
		   bool last, const char *reasons)
{
	struct view nothing = view_of(NULL, 0);

	return sql_run(
		s->db, "uitbtiuiuuibbbbbiit",
		"INSERT INTO evidence (signed, session, run, application, run_id, kind,"
		" stage, sequence, node_kind, node, realtime_ns, received_ns, claims_hash,"
		" claims, mi, report, nonce, accepted, latched, reasons)"
		" VALUES (0, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
		" ?)",
		e->session->id, e->run, e->application, view_of(e->run_id, RUN_ID_SIZE),
		m->kind == ASSAY__CLAIMS__KIND__STATIC ? "static" : "dynamic", (int64_t)m->stage,
		m->sequence, (int64_t)m->node_kind, m->node_number, m->realtime_ns, now.at_ns,
		view_of(m->claims_hash, sizeof(m->claims_hash)), claims, mi,
		last ? e->report : nothing,
		last && e->nonce ? view_of(e->nonce, NONCE_SIZE) : nothing, (int64_t)e->accepted,
		(int64_t)e->latched, reasons);
}

static int add_rows(struct store *s, const struct store_evidence *e, struct store_time now,
		    const char *reasons, json_t *list, uint64_t *ret)
{
	struct reader in = reader_of(e->measurements);
	struct keeper_measurement m;
	struct view claims, mi;
	uint64_t first = 0, id = 0;
	int r = 0;

	while (r == 0 && in.left > 0) {
		r = keeper_next_measurement(&in, &m, &claims, &mi);
		if (r == 0)
			r = add_row(s, e, now, &m, claims, mi, in.left == 0, reasons);
		if (r < 0)
			return r;
		id = (uint64_t)sqlite3_last_insert_rowid(s->db);
		first = first ? first : id;
		json_array_append_new(
			list,
			json_pack("{s:I, s:I, s:I, s:i, s:i, s:o, s:o, s:o}", "evidence",
				  (json_int_t)id, "sequence", (json_int_t)m.sequence, "node",
				  (json_int_t)m.node_number, "kind", (int)m.kind, "stage",
				  (int)m.stage, "claims_sha512",
				  store_json_hex(view_of(m.claims_hash, sizeof(m.claims_hash))),
				  "claims_sha256", store_json_sha256(claims), "mi_sha256",
				  store_json_sha256(mi)));
	}
	if (r == 0)
		r = sql_run(s->db, "uu", "UPDATE evidence SET signed = ? WHERE id >= ?", id, first);
	if (r == 0)
		*ret = id;
	return r;
}

int store_evidence_add(struct store *s, const struct store_evidence *e, struct store_time now,
		       uint64_t *ret)
{
	json_t *measurements = json_array(), *reasons = reasons_of(e->reasons), *detail;
	CLEANUP(cleanup_mem) char *text = json_dumps(reasons, JSON_COMPACT);
	struct view nonce = view_of(e->nonce, e->nonce ? NONCE_SIZE : 0);
	uint64_t id = 0;
	int r;

	r = text ? add_rows(s, e, now, text, measurements, &id) : -ENOMEM;
	if (r < 0) {
		json_decref(measurements);
		json_decref(reasons);
		return r;
	}
	detail = json_pack("{s:I, s:b, s:b, s:b, s:b, s:b, s:I, s:o, s:o, s:o, s:o}", "evidence",
			   (json_int_t)id, "accepted", e->accepted, "latched", e->latched,
			   "measurement_good", e->measurement_good, "channel_good", e->channel_good,
			   "insecure", e->session->insecure, "checks", (json_int_t)e->checks,
			   "report_sha256", store_json_sha256(e->report), "nonce",
			   store_json_hex(nonce), "measurements", measurements, "reasons", reasons);
	r = store_log(s, now.at_ns, "evidence", e->session->id,
		      view_of(e->session->key_name, e->session->key_name_len), e->application,
		      detail);
	if (r == 0)
		*ret = id;
	return r;
}

int store_release_add(struct store *s, uint64_t evidence, const uint8_t nonce[NONCE_SIZE],
		      uint32_t stage, const char *secret)
{
	return sql_run(s->db, "ubit",
		       "INSERT INTO releases (evidence_id, nonce, stage, name) VALUES (?, ?, ?, ?)",
		       evidence, view_of(nonce, NONCE_SIZE), (int64_t)stage, secret);
}

int store_receipt_add(struct store *s, const struct store_session *session,
		      const struct keeper_receipt *receipt, struct store_time now)
{
	struct view key_name = view_of(session->key_name, session->key_name_len);
	json_t *detail;
	int64_t evidence;
	int r;

	/* A receipt counts for what really went out to this machine, and for nothing else. */
	r = sql_number(s->db, &evidence, "bitit",
		       "SELECT e.id FROM evidence e JOIN releases r ON r.evidence_id = e.id"
		       " JOIN sessions s ON s.id = e.session WHERE e.claims_hash = ? AND"
		       " s.attester = ? AND e.application = ? AND r.stage = ? AND r.name = ?"
		       " LIMIT 1",
		       view_of(receipt->claims_hash, sizeof(receipt->claims_hash)),
		       session->attester, receipt->application, (int64_t)receipt->stage,
		       receipt->secret);
	if (r < 0)
		return r;
	r = sql_run(
		s->db, "uiititi",
		"INSERT INTO receipts (session, evidence_id, stage, name, pid, how, received_ns)"
		" VALUES (?, ?, ?, ?, ?, ?, ?)",
		session->id, evidence, (int64_t)receipt->stage, receipt->secret,
		(int64_t)receipt->pid, receipt->how, now.at_ns);
	if (r == 0)
		r = sql_run(s->db, "ii",
			    "UPDATE runs SET delivered = 1 WHERE passed = ? AND id = (SELECT run"
			    " FROM evidence WHERE id = ?)",
			    (int64_t)receipt->stage, evidence);
	if (r < 0)
		return r;
	detail = json_pack("{s:I, s:i, s:s, s:I, s:s}", "evidence", (json_int_t)evidence, "stage",
			   (int)receipt->stage, "secret", receipt->secret, "pid",
			   (json_int_t)receipt->pid, "how", receipt->how);
	return store_log(s, now.at_ns, "receipt", session->id, key_name, receipt->application,
			 detail);
}

int store_latched(struct store *s, int64_t attester, const char *application, bool *ret)
{
	int64_t n;
	int r;

	r = sql_number(s->db, &n, "it",
		       "SELECT count(*) FROM latches WHERE attester = ? AND application = ?",
		       attester, application);
	if (r == 0)
		*ret = n > 0;
	return r;
}

int store_latch(struct store *s, int64_t attester, const char *application, uint64_t evidence,
		struct store_time now)
{
	return sql_run(s->db, "itui",
		       "INSERT INTO latches (attester, application, evidence, since_ns)"
		       " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		       attester, application, evidence, now.at_ns);
}

int store_readmit(struct store *s, const char *application, struct view key_name,
		  struct store_time now, size_t *ret)
{
	static const char of_machine[] =
		" application = ? AND attester IN (SELECT id FROM attesters WHERE key_name = ? OR"
		" length(?) = 0)";
	char sql[512];
	int r;

	snprintf(sql, sizeof(sql), "DELETE FROM latches WHERE%s", of_machine);
	r = sql_run(s->db, "tbb", sql, application, key_name, key_name);
	if (r < 0)
		return r;
	*ret = (size_t)sqlite3_changes(s->db);
	/* What a refused measurement broke in the chain is forgiven, once. */
	snprintf(sql, sizeof(sql), "UPDATE runs SET resync = 1 WHERE%s", of_machine);
	if (*ret > 0)
		r = sql_run(s->db, "tbb", sql, application, key_name, key_name);
	if (r == 0)
		r = store_log(s, now.at_ns, "readmitted", 0, key_name, application,
			      json_pack("{s:I}", "latches", (json_int_t)*ret));
	return r;
}
