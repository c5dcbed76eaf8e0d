/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_STORE_LOG_H
#define ASSAY_VERIFIER_STORE_LOG_H

#include "sql.h"
#include "store.h"

/* Inside the store: one row of the log as it is hashed. */
struct store_log_row {
	int64_t id, at_ns;
	const char *kind;
	int64_t session;
	struct view key_name;
	const char *application, *detail;
};

/* SHA-256 of the hash before and the row; each text and blob goes in with its length. */
MUST_CHECK int store_log_hash(const struct store_log_row *row, const struct digest *before,
			      struct digest *ret);

/* Hex of a blob as JSON text, "sha256" of one, text that may hold anything. NULL: no memory. */
json_t *store_json_hex(struct view v);
json_t *store_json_sha256(struct view v);
json_t *store_json_text(const char *text);

#endif
