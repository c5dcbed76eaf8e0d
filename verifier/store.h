/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_STORE_H
#define ASSAY_VERIFIER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <sqlite3.h>

#include "appraisal.h"
#include "bytes.h"
#include "digest.h"
#include "keeper_proto.h"
#include "release.h"

/*
 * The record of assay-verifierd, in one SQLite file: WAL, synchronous=FULL, one
 * writer. What belongs together is written between store_begin and store_commit, and
 * a kill at any point leaves all of it or nothing. Every event is also appended to
 * the table `log`, where each row carries SHA-256 over the hash of the row before and its
 * own content; store_verify computes it again.
 *
 * Times are arguments: at_ns is CLOCK_REALTIME, boottime CLOCK_BOOTTIME.
 */
struct store {
	sqlite3 *db;
	bool read_only;
	bool open_transaction;
};

struct store_time {
	int64_t at_ns;
	uint64_t boottime_ns;
};

/* Makes the file (mode 0600) where it is not there. *ret_why, of size bytes, says what failed. */
MUST_CHECK int store_open(const char *path, bool read_only, struct store **ret, char *ret_why,
			  size_t size);
void store_close(struct store *s);

MUST_CHECK int store_begin(struct store *s);
MUST_CHECK int store_commit(struct store *s);
/* Forgets what was written since store_begin; nothing to forget is fine. */
void store_rollback(struct store *s);

/*
 * Appends to the log. detail is taken over, also on failure, and may be NULL; session,
 * application and key_name may be 0, NULL and empty.
 */
MUST_CHECK int store_log(struct store *s, int64_t at_ns, const char *kind, uint64_t session,
			 struct view key_name, const char *application, json_t *detail);

/* Machines. */

struct store_attester {
	int64_t id;
	bool insecure;
	struct bytes key_name, ak_public, ek_public, ek_certificate, ek_chain;
};
void store_attester_done(struct store_attester *a);

/* -ENOENT: not enrolled, or forgotten. */
MUST_CHECK int store_attester_find(struct store *s, struct view key_name,
				   struct store_attester *ret);

/* A session of a machine, enrolled or not, as Hello says. At start every old session is ended. */
struct store_session {
	uint64_t id;
	int64_t attester; /* 0: not enrolled */
	bool insecure;
	char platform[KEEPER_PLATFORM_MAX];
	uint8_t boot_id[BOOT_ID_SIZE];
	uint8_t key_name[KEEPER_KEY_NAME_MAX];
	size_t key_name_len;
};
MUST_CHECK int store_session_open(struct store *s, const struct keeper_hello *hello,
				  struct store_time now, uint64_t *ret);
/* -ENOENT: no such session, or it has ended. */
MUST_CHECK int store_session_find(struct store *s, uint64_t id, struct store_session *ret);
MUST_CHECK int store_session_close(struct store *s, uint64_t id, const char *why,
				   struct store_time now);

/*
 * Remembers the session's machine. blobs as in keeper_enrol. -EEXIST: that EK certificate is
 * enrolled under another key, of a machine that was not forgotten.
 */
MUST_CHECK int store_enrol(struct store *s, const struct store_session *session,
			   const struct view blobs[4], struct store_time now);

/* Nonces. */

/* A fresh one; the one outstanding for that session and application is replaced. */
MUST_CHECK int store_nonce_new(struct store *s, uint64_t session, const char *application,
			       uint32_t stage, uint64_t valid_ns, struct store_time now,
			       const uint8_t nonce[NONCE_SIZE]);

/* Uses it up, and says what it was good for. *ret_age_ns: since it was issued. */
MUST_CHECK int store_nonce_use(struct store *s, const uint8_t nonce[NONCE_SIZE], uint64_t session,
			       const char *application, uint32_t stage, struct store_time now,
			       enum release_nonce *ret, uint64_t *ret_age_ns);

/* Runs, boots, evidence. */

struct store_run {
	int64_t id; /* 0: not known */
	uint64_t sequence, dropped, missing;
	uint8_t head[KEEPER_HASH_SIZE];
	uint32_t passed;
	bool delivered, resync, current;
};
/* A run that is not known is all zero, and current. */
MUST_CHECK int store_run_find(struct store *s, int64_t attester, const char *application,
			      const uint8_t run_id[RUN_ID_SIZE], struct store_run *ret);
/* Writes it; makes it first where id is 0. */
MUST_CHECK int store_run_put(struct store *s, int64_t attester, const char *application,
			     const uint8_t run_id[RUN_ID_SIZE], struct store_time now,
			     struct store_run *run);
/* MI of the last dynamic measurement of the run that was judged good; empty: none. */
MUST_CHECK int store_run_mi(struct store *s, int64_t run, struct bytes *ret);
MUST_CHECK int store_run_set_mi(struct store *s, int64_t run, struct view mi);

struct store_boot {
	int64_t id; /* 0: not known */
	uint32_t reset_count, runtime_register, runtime_alg;
	uint64_t count;
	uint8_t value[KEEPER_HASH_SIZE];
	uint8_t boot_id[BOOT_ID_SIZE];
};
/* The latest boot of the machine. */
MUST_CHECK int store_boot_latest(struct store *s, int64_t attester, struct store_boot *ret);
/* Entries of the runtime log that the verifier has for the boot of the session. */
MUST_CHECK int store_runtime_known(struct store *s, const struct store_session *session,
				   uint64_t *ret);
/* What the register of the boot was after so many entries, which must be known. -ENOENT. */
MUST_CHECK int store_runtime_value(struct store *s, const struct store_boot *boot, uint64_t count,
				   uint8_t ret[KEEPER_HASH_SIZE]);
/*
 * For each digest, in order, the first entry after the one before (and after those that
 * the application used already) that is it: 0 where there is none.
 */
MUST_CHECK int store_runtime_find(struct store *s, int64_t boot, const char *application,
				  struct view digests, struct bytes *ret_entries);
/* Adds entries to the boot of that reset count, made where it is new, and notes the value. */
MUST_CHECK int store_runtime_add(struct store *s, int64_t attester,
				 const struct store_session *session, const struct keeper_judge *j,
				 struct view entries, uint64_t last_used);

MUST_CHECK int store_seen(struct store *s, struct view claims_hash, bool *ret);

struct store_evidence {
	const struct store_session *session;
	const char *application;
	const uint8_t *run_id;
	int64_t run;			  /* 0: its head did not move */
	struct view report, measurements; /* as in keeper_judge */
	const struct appraisal *reasons;
	bool accepted, latched, channel_good, measurement_good;
	size_t checks;
	const uint8_t *nonce; /* NULL: none */
};
/* *ret: the number of the signed measurement. */
MUST_CHECK int store_evidence_add(struct store *s, const struct store_evidence *e,
				  struct store_time now, uint64_t *ret);

/* -EEXIST: a secret of that name went out for that nonce already. */
MUST_CHECK int store_release_add(struct store *s, uint64_t evidence,
				 const uint8_t nonce[NONCE_SIZE], uint32_t stage,
				 const char *secret);
MUST_CHECK int store_receipt_add(struct store *s, const struct store_session *session,
				 const struct keeper_receipt *receipt, struct store_time now);

/* Latches, per machine and application. */
MUST_CHECK int store_latched(struct store *s, int64_t attester, const char *application, bool *ret);
MUST_CHECK int store_latch(struct store *s, int64_t attester, const char *application,
			   uint64_t evidence, struct store_time now);
/* key_name empty: on every machine. *ret: how many were lifted. */
MUST_CHECK int store_readmit(struct store *s, const char *application, struct view key_name,
			     struct store_time now, size_t *ret);
/* -ENOENT: no such machine. */
MUST_CHECK int store_forget(struct store *s, struct view key_name, struct store_time now);

/* For the operator: JSON that the caller owns. */
MUST_CHECK int store_fleet(struct store *s, const char *application, json_t **ret);
/*
 * Calls on_mi for the MI of each accepted dynamic measurement of the application, in the order in
 * which they came; row is its number in the store, mi is lent for the call. What on_mi returns
 * below 0 ends it and is returned.
 */
MUST_CHECK int store_accepted_mis(struct store *s, const char *application,
				  int (*on_mi)(void *arg, int64_t row, struct view mi), void *arg);
/* Rows of the log after that number, at most limit; application NULL: all. */
MUST_CHECK int store_log_rows(struct store *s, int64_t after, size_t limit, const char *application,
			      json_t **ret);

/*
 * Computes the log's hashes again and holds the tables against it. 0 and *ret (a
 * JSON object: rows, head, problems[]); true in *ret_good if there are no problems.
 */
MUST_CHECK int store_verify(struct store *s, bool *ret_good, json_t **ret);

#endif
