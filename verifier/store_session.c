/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <string.h>

#include "cleanup.h"
#include "store_log.h"

#define KEY_MAX	  16384
#define CHAIN_MAX (64 * 1024)

/* Machines, their sessions, and the nonces of these. */

void store_attester_done(struct store_attester *a)
{
	bytes_done(&a->key_name);
	bytes_done(&a->ak_public);
	bytes_done(&a->ek_public);
	bytes_done(&a->ek_certificate);
	bytes_done(&a->ek_chain);
}

int store_attester_find(struct store *s, struct view key_name, struct store_attester *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	struct store_attester a = {
		.key_name = BYTES_INIT(KEEPER_KEY_NAME_MAX),
		.ak_public = BYTES_INIT(KEY_MAX),
		.ek_public = BYTES_INIT(KEY_MAX),
		.ek_certificate = BYTES_INIT(KEY_MAX),
		.ek_chain = BYTES_INIT(CHAIN_MAX),
	};
	int r;

	r = sql_query(s->db, &q, "b",
		      "SELECT id, insecure, ak_public, ek_public, ek_certificate, ek_chain"
		      " FROM attesters WHERE key_name = ? AND forgotten_ns IS NULL",
		      key_name);
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	a.id = sql_int(q, 0);
	a.insecure = sql_int(q, 1) != 0;
	r = bytes_append_view(&a.key_name, key_name);
	if (r == 0)
		r = bytes_append_view(&a.ak_public, sql_blob(q, 2));
	if (r == 0)
		r = bytes_append_view(&a.ek_public, sql_blob(q, 3));
	if (r == 0)
		r = bytes_append_view(&a.ek_certificate, sql_blob(q, 4));
	if (r == 0)
		r = bytes_append_view(&a.ek_chain, sql_blob(q, 5));
	if (r < 0) {
		store_attester_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

/* Id of the machine, 0 where it is not enrolled. */
static int attester_id(struct store *s, struct view key_name, int64_t *ret)
{
	int r;

	r = sql_number(s->db, ret, "b",
		       "SELECT id FROM attesters WHERE key_name = ? AND forgotten_ns IS NULL",
		       key_name);
	if (r == -ENOENT) {
		*ret = 0;
		return 0;
	}
	return r;
}

int store_session_open(struct store *s, const struct keeper_hello *h, struct store_time now,
		       uint64_t *ret)
{
	struct view key_name = view_of(h->key_name, h->key_name_len);
	json_t *applications, *detail;
	uint64_t id;
	int r;

	r = sql_run(s->db, "btittbbi",
		    "INSERT INTO sessions (key_name, platform, insecure, peer, software, boot_id,"
		    " epoch, opened_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		    key_name, h->platform, (int64_t)h->insecure, h->peer, h->software,
		    view_of(h->boot_id, sizeof(h->boot_id)), view_of(h->epoch, sizeof(h->epoch)),
		    now.at_ns);
	if (r < 0)
		return r;
	id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	/* The machine is taken from what is enrolled, never from Hello. */
	r = sql_run(s->db, "bu",
		    "UPDATE sessions SET attester = (SELECT id FROM attesters WHERE key_name = ?"
		    " AND forgotten_ns IS NULL) WHERE id = ?",
		    key_name, id);
	if (r < 0)
		return r;
	applications = json_array();
	for (uint32_t i = 0; i < h->n_applications; i++)
		json_array_append_new(applications, store_json_text(h->applications[i]));
	detail = json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:i}", "peer", h->peer, "platform",
			   h->platform, "software", h->software, "insecure", h->insecure,
			   "applications", applications, "boot_id",
			   store_json_hex(view_of(h->boot_id, sizeof(h->boot_id))), "survivors",
			   (int)h->n_survivors);
	r = store_log(s, now.at_ns, "session", id, key_name, NULL, detail);
	if (r == 0)
		*ret = id;
	return r;
}

int store_session_find(struct store *s, uint64_t id, struct store_session *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	struct store_session found = { .id = id };
	struct view key_name;
	int r;

	r = sql_query(s->db, &q, "u",
		      "SELECT attester, key_name, platform, insecure, boot_id FROM sessions"
		      " WHERE id = ? AND closed_ns IS NULL",
		      id);
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	found.attester = sql_int(q, 0);
	key_name = sql_blob(q, 1);
	if (key_name.len > sizeof(found.key_name))
		return -EBADMSG;
	if (key_name.len > 0)
		memcpy(found.key_name, key_name.data, key_name.len);
	found.key_name_len = key_name.len;
	keeper_text(found.platform, sizeof(found.platform), sql_text(q, 2));
	found.insecure = sql_int(q, 3) != 0;
	r = sql_exact(q, 4, found.boot_id, sizeof(found.boot_id));
	if (r < 0)
		return r;
	*ret = found;
	return 0;
}

int store_session_close(struct store *s, uint64_t id, const char *why, struct store_time now)
{
	int r;

	r = sql_run(s->db, "u", "DELETE FROM nonces WHERE session = ? AND state <> 1", id);
	if (r == 0)
		r = sql_run(s->db, "itu",
			    "UPDATE sessions SET closed_ns = ?, why = ? WHERE id = ? AND closed_ns"
			    " IS NULL",
			    now.at_ns, why, id);
	return r;
}

int store_enrol(struct store *s, const struct store_session *session, const struct view blobs[4],
		struct store_time now)
{
	struct view key_name = view_of(session->key_name, session->key_name_len);
	json_t *detail;
	int64_t others;
	int r;

	/* A chip is one machine: under a second key it would have neither latch nor history. */
	r = sql_number(s->db, &others, "bbb",
		       "SELECT count(*) FROM attesters WHERE ek_certificate = ? AND length(?) > 0"
		       " AND key_name <> ? AND forgotten_ns IS NULL",
		       blobs[2], blobs[2], key_name);
	if (r == 0 && others > 0)
		r = -EEXIST;
	if (r < 0)
		return r;
	/* A machine that was forgotten comes back under its old number, its history with it. */
	r = sql_run(s->db, "btibbbbi",
		    "INSERT INTO attesters (key_name, platform, insecure, ak_public, ek_public,"
		    " ek_certificate, ek_chain, enrolled_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
		    " ON CONFLICT (key_name) DO UPDATE SET platform = excluded.platform,"
		    " insecure = excluded.insecure, ak_public = excluded.ak_public,"
		    " ek_public = excluded.ek_public, ek_certificate = excluded.ek_certificate,"
		    " ek_chain = excluded.ek_chain, enrolled_ns = excluded.enrolled_ns,"
		    " forgotten_ns = NULL",
		    key_name, session->platform, (int64_t)session->insecure, blobs[0], blobs[1],
		    blobs[2], blobs[3], now.at_ns);
	if (r < 0)
		return r;
	r = sql_run(s->db, "bu",
		    "UPDATE sessions SET attester = (SELECT id FROM attesters WHERE key_name = ?)"
		    " WHERE id = ?",
		    key_name, session->id);
	if (r < 0)
		return r;
	detail = json_pack("{s:s, s:b, s:o, s:o}", "platform", session->platform, "insecure",
			   session->insecure, "ak_public_sha256", store_json_sha256(blobs[0]),
			   "ek_certificate_sha256", store_json_sha256(blobs[2]));
	return store_log(s, now.at_ns, "enrolled", session->id, key_name, NULL, detail);
}

int store_forget(struct store *s, struct view key_name, struct store_time now)
{
	int64_t id;
	int r;

	r = attester_id(s, key_name, &id);
	if (r < 0)
		return r;
	if (id == 0)
		return -ENOENT;
	r = sql_run(s->db, "ii", "UPDATE attesters SET forgotten_ns = ? WHERE id = ?", now.at_ns,
		    id);
	if (r == 0)
		r = sql_run(s->db, "i",
			    "DELETE FROM nonces WHERE state <> 1 AND session IN (SELECT id FROM"
			    " sessions WHERE attester = ?)",
			    id);
	if (r == 0)
		r = sql_run(
			s->db, "ii",
			"UPDATE sessions SET closed_ns = ?, why = 'forgotten' WHERE attester = ?"
			" AND closed_ns IS NULL",
			now.at_ns, id);
	if (r == 0)
		r = store_log(s, now.at_ns, "forgotten", 0, key_name, NULL, NULL);
	return r;
}

int store_nonce_new(struct store *s, uint64_t session, const char *application, uint32_t stage,
		    uint64_t valid_ns, struct store_time now, const uint8_t nonce[NONCE_SIZE])
{
	int r;

	r = sql_run(s->db, "ut",
		    "DELETE FROM nonces WHERE session = ? AND application = ? AND state = 2",
		    session, application);
	if (r == 0)
		r = sql_run(s->db, "ut",
			    "UPDATE nonces SET state = 2 WHERE session = ? AND application = ? AND"
			    " state = 0",
			    session, application);
	if (r == 0)
		r = sql_run(s->db, "butiiuu",
			    "INSERT INTO nonces (nonce, session, application, stage, issued_ns,"
			    " issued_boottime_ns, valid_ns) VALUES (?, ?, ?, ?, ?, ?, ?)",
			    view_of(nonce, NONCE_SIZE), session, application, (int64_t)stage,
			    now.at_ns, now.boottime_ns, valid_ns);
	return r;
}

int store_nonce_use(struct store *s, const uint8_t nonce[NONCE_SIZE], uint64_t session,
		    const char *application, uint32_t stage, struct store_time now,
		    enum release_nonce *ret, uint64_t *ret_age_ns)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	static const enum release_nonce by_state[] = { RELEASE_NONCE_GOOD, RELEASE_NONCE_USED,
						       RELEASE_NONCE_REPLACED };
	enum release_nonce what = RELEASE_NONCE_UNKNOWN;
	uint64_t issued, age = 0;
	size_t state;
	int r;

	r = sql_query(s->db, &q, "b",
		      "SELECT session, application, stage, issued_boottime_ns, valid_ns, state"
		      " FROM nonces WHERE nonce = ?",
		      view_of(nonce, NONCE_SIZE));
	if (r == 0)
		r = sql_step(q);
	if (r < 0)
		return r;
	if (r == 1) {
		state = (size_t)sql_int(q, 5);
		issued = (uint64_t)sql_int(q, 3);
		age = now.boottime_ns > issued ? now.boottime_ns - issued : 0;
		if (state >= ARRAY_LEN(by_state))
			return -EBADMSG;
		what = by_state[state];
		if (what == RELEASE_NONCE_GOOD && (uint64_t)sql_int(q, 0) != session)
			what = RELEASE_NONCE_OTHER_SESSION;
		else if (what == RELEASE_NONCE_GOOD && strcmp(sql_text(q, 1), application) != 0)
			what = RELEASE_NONCE_OTHER_APPLICATION;
		else if (what == RELEASE_NONCE_GOOD && (uint32_t)sql_int(q, 2) != stage)
			what = RELEASE_NONCE_OTHER_STAGE;
		else if (what == RELEASE_NONCE_GOOD && age > (uint64_t)sql_int(q, 4))
			what = RELEASE_NONCE_EXPIRED;
		/*
		 * Used up whatever the verdict; but not by another session, which would let
		 * anybody who saw it spoil it.
		 */
		if (what != RELEASE_NONCE_OTHER_SESSION && state != 1)
			r = sql_run(s->db, "ib",
				    "UPDATE nonces SET state = 1, used_ns = ? WHERE nonce = ?",
				    now.at_ns, view_of(nonce, NONCE_SIZE));
		else
			r = 0;
	}
	if (r < 0)
		return r;
	*ret = what;
	*ret_age_ns = age;
	return 0;
}
