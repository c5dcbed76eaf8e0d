/* SPDX-License-Identifier: Apache-2.0 */
#include "store_log.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* One row is at most a verdict with every reason. */
#define ROW_MAX (256 * 1024)

static int append_sized(struct bytes *b, struct view v)
{
	int r;

	r = bytes_append_be64(b, v.len);
	if (r == 0)
		r = bytes_append_view(b, v);
	return r;
}

int store_log_hash(const struct store_log_row *row, const struct digest *before, struct digest *ret)
{
	CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(ROW_MAX);
	int r;

	r = bytes_append_view(&b, digest_view(before));
	if (r == 0)
		r = bytes_append_be64(&b, (uint64_t)row->id);
	if (r == 0)
		r = bytes_append_be64(&b, (uint64_t)row->at_ns);
	if (r == 0)
		r = bytes_append_be64(&b, (uint64_t)row->session);
	if (r == 0)
		r = append_sized(&b, view_text(row->kind));
	if (r == 0)
		r = append_sized(&b, row->key_name);
	if (r == 0)
		r = append_sized(&b, view_text(row->application));
	if (r == 0)
		r = append_sized(&b, view_text(row->detail));
	if (r == 0)
		r = digest_of(HASH_SHA256, bytes_view(&b), ret);
	return r;
}

/* The last row: its number and hash; zero before the first. */
static int log_head(struct store *s, int64_t *ret_id, struct digest *ret)
{
	CLEANUP(sql_finalizep) sqlite3_stmt *q = NULL;
	int r;

	*ret_id = 0;
	*ret = digest_zero(HASH_SHA256);
	r = sql_query(s->db, &q, "", "SELECT id, hash FROM log ORDER BY id DESC LIMIT 1");
	if (r == 0)
		r = sql_step(q);
	if (r <= 0)
		return r;
	*ret_id = sql_int(q, 0);
	return digest_from(HASH_SHA256, sql_blob(q, 1), ret);
}

int store_log(struct store *s, int64_t at_ns, const char *kind, uint64_t session,
	      struct view key_name, const char *application, json_t *detail)
{
	CLEANUP(cleanup_mem) char *text = NULL;
	struct store_log_row row = {
		.at_ns = at_ns,
		.kind = kind,
		.session = (int64_t)session,
		.key_name = key_name,
		.application = application ? application : "",
	};
	struct digest before, hash;
	int64_t last;
	int r;

	text = detail ? json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS) : strdup("{}");
	json_decref(detail);
	if (!text)
		return -ENOMEM;
	r = log_head(s, &last, &before);
	if (r < 0)
		return r;
	row.id = last + 1;
	row.detail = text;
	r = store_log_hash(&row, &before, &hash);
	if (r < 0)
		return r;
	return sql_run(s->db, "iitibttb",
		       "INSERT INTO log (id, at_ns, kind, session, key_name, application, detail,"
		       " hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		       row.id, row.at_ns, row.kind, row.session, row.key_name, row.application,
		       row.detail, digest_view(&hash));
}

json_t *store_json_hex(struct view v)
{
	CLEANUP(cleanup_mem) char *hex = malloc(2 * v.len + 1);

	if (!hex)
		return NULL;
	hex_encode(v.data, v.len, hex);
	return json_string(hex);
}

json_t *store_json_sha256(struct view v)
{
	struct digest d;

	if (digest_of(HASH_SHA256, v, &d) < 0)
		return NULL;
	return store_json_hex(digest_view(&d));
}

json_t *store_json_text(const char *text)
{
	json_t *j = json_string(text);

	/* Not UTF-8: nothing that the keeper lets in, but a reader must not fail over it. */
	return j ? j : store_json_hex(view_text(text));
}
