/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "hpke.h"
#include "verifier/keeper.h"
#include "verifier/sql.h"

/*
 * The keeper and its store over a file in a temporary directory, driven by the
 * requests that the appraiser makes: what is judged here was appraised elsewhere.
 */

#define CRASH_ROUNDS 12
#define SECOND	     UINT64_C(1000000000)

static const char policy_text[] = "application: demo\nversion: 1\nplatforms:\n  soft: {}\n"
				  "static: {manifest: demo.mtree}\n"
				  "dynamic: {listen: {allow: []}}\n"
				  "stages:\n"
				  "  - {stage: 1, after: static, release: [one]}\n"
				  "  - {stage: 2, after: dynamic, release: [two, three]}\n";

struct fixture {
	char directory[192], path[256];
	struct policy *policy;
	struct policies policies;
	struct vault vault;
	struct keeper keeper;
	struct bytes message, answer;
	union keeper_any fixed;
	struct view blobs[KEEPER_BLOBS];
	uint32_t type;
	struct store_time now;
	uint64_t session;
	uint8_t nonce[NONCE_SIZE], public_key[HPKE_PUBLIC_SIZE];
	struct secret private_key;
	uint64_t sequence;
	uint8_t head[KEEPER_HASH_SIZE];
};

static void add_secret(struct vault *v, const char *name)
{
	v->secrets = realloc(v->secrets, (v->n + 1) * sizeof(*v->secrets));
	v->secrets[v->n].name = strdup(name);
	assert_int_equal(secret_copy(view_text(name), &v->secrets[v->n].secret), 0);
	v->n++;
}

static void open_store(struct fixture *f)
{
	char why[256];
	int r;

	r = store_open(f->path, false, &f->keeper.store, why, sizeof(why));
	if (r < 0)
		fail_msg("%s: %s", f->path, why);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *error = NULL;

	assert_int_equal(secret_heap_open(), 0);
	snprintf(f->directory, sizeof(f->directory), "%s/assay-store-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->directory);
	if (policy_parse(view_text(policy_text), "policy", &f->policy, &error) < 0)
		fail_msg("%s", error);
	f->policies = (struct policies){ &f->policy, 1 };
	add_secret(&f->vault, "one");
	add_secret(&f->vault, "two");
	add_secret(&f->vault, "three");
	f->message = f->answer = BYTES_INIT(KEEPER_MESSAGE_MAX);
	f->now = (struct store_time){ 1000 * SECOND, 1000 * SECOND };
	open_store(f);
	f->keeper.policies = &f->policies;
	f->keeper.vault = &f->vault;
	f->keeper.nonce_valid_ns = 60 * SECOND;
	assert_int_equal(hpke_keypair(f->public_key, &f->private_key), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[256];

	store_close(f->keeper.store);
	policy_free(f->policy);
	vault_done(&f->vault);
	secret_done(&f->private_key);
	bytes_done(&f->message);
	bytes_done(&f->answer);
	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* One request through the very bytes that the socket carries. */
static int ask(struct fixture *f, uint32_t type, const void *fixed, const struct view *blobs)
{
	struct keeper_header h;
	int r;

	bytes_reset(&f->message);
	assert_int_equal(keeper_write(&f->message, type, fixed, blobs), 0);
	f->now.boottime_ns += SECOND / 100;
	f->now.at_ns += SECOND / 100;
	r = keeper_handle(&f->keeper, type,
			  view_of(f->message.data + sizeof(h), f->message.len - sizeof(h)), f->now,
			  &f->answer);
	if (r < 0)
		return r;
	memcpy(&h, f->answer.data, sizeof(h));
	f->type = h.type;
	assert_int_equal(h.len, f->answer.len - sizeof(h));
	return keeper_parse(h.type, view_of(f->answer.data + sizeof(h), h.len), &f->fixed,
			    f->blobs);
}

static void hello(struct fixture *f, const char *key_name)
{
	struct keeper_hello h;

	memset(&h, 0, sizeof(h));
	h.version = 1;
	h.insecure = 1;
	h.key_name_len = (uint8_t)strlen(key_name);
	memcpy(h.key_name, key_name, strlen(key_name));
	strcpy(h.platform, "soft");
	strcpy(h.peer, "test");
	h.n_applications = 1;
	strcpy(h.applications[0], "demo");
	assert_int_equal(ask(f, KEEPER_HELLO, &h, NULL), 0);
	assert_int_equal(f->type, KEEPER_HELLO_ANSWER);
	f->session = f->fixed.hello_answer.session;
}

static void enrol(struct fixture *f)
{
	struct keeper_enrol e;

	memset(&e, 0, sizeof(e));
	e.session = f->session;
	e.accepted = 1;
	assert_int_equal(ask(f, KEEPER_ENROL, &e,
			     (struct view[]){ view_text("ak"), view_text("ek"), { 0 }, { 0 } }),
			 0);
	assert_int_equal(f->type, KEEPER_DONE);
}

static void nonce(struct fixture *f, uint32_t stage)
{
	struct keeper_nonce n;

	memset(&n, 0, sizeof(n));
	n.session = f->session;
	n.stage = stage;
	strcpy(n.application, "demo");
	assert_int_equal(ask(f, KEEPER_NONCE, &n, NULL), 0);
	assert_int_equal(f->type, KEEPER_NONCE_ANSWER);
	memcpy(f->nonce, f->fixed.nonce_answer.nonce, NONCE_SIZE);
}

/* A judgement that is good in all; a test spoils what it is about. */
struct judgement {
	struct keeper_judge j;
	struct keeper_measurement m;
	const char *claims, *mi;
	struct appraisal reasons;
};

static void prepare(struct fixture *f, uint8_t run, uint32_t stage, struct judgement *ret)
{
	struct digest hash;
	char claims[64];

	memset(ret, 0, sizeof(*ret));
	ret->j.session = f->session;
	strcpy(ret->j.application, "demo");
	memset(ret->j.run_id, run, RUN_ID_SIZE);
	ret->j.measurement_good = ret->j.channel_good = ret->j.chain_good = 1;
	ret->j.has_nonce = ret->j.has_channel_key = 1;
	memcpy(ret->j.nonce, f->nonce, NONCE_SIZE);
	memcpy(ret->j.channel_key, f->public_key, HPKE_PUBLIC_SIZE);
	ret->j.head_before = f->sequence;
	ret->j.checks = 9;
	ret->m.sequence = f->sequence + 1;
	ret->m.stage = stage;
	ret->m.kind = stage == 1 ? 1 : 2;
	ret->claims = "claims";
	ret->mi = "mi";
	snprintf(claims, sizeof(claims), "%u %llu", run, (unsigned long long)ret->m.sequence);
	assert_int_equal(digest_of(HASH_SHA512, view_text(claims), &hash), 0);
	memcpy(ret->m.claims_hash, hash.bytes, sizeof(ret->m.claims_hash));
}

static int judge(struct fixture *f, struct judgement *g)
{
	struct bytes packed = BYTES_INIT(65536), reasons = BYTES_INIT(65536);
	uint64_t place = 0;
	int r;

	assert_int_equal(
		keeper_add_measurement(&packed, &g->m, view_text(g->claims), view_text(g->mi)), 0);
	assert_int_equal(keeper_add_reasons(&reasons, &g->reasons), 0);
	r = ask(f, KEEPER_JUDGE, &g->j,
		(struct view[]){ view_text("report"),
				 bytes_view(&packed),
				 bytes_view(&reasons),
				 { 0 },
				 view_of(&place, sizeof(place)) });
	bytes_done(&packed);
	bytes_done(&reasons);
	appraisal_done(&g->reasons);
	if (r == 0 && f->type == KEEPER_JUDGE_ANSWER && g->j.chain_good) {
		f->sequence = g->m.sequence;
		memcpy(f->head, g->m.claims_hash, sizeof(f->head));
	}
	return r;
}

static size_t sealed(struct fixture *f)
{
	struct reader in = reader_of(f->blobs[1]);
	struct keeper_sealed s;
	struct view content;
	size_t n = 0;

	while (in.left > 0) {
		assert_int_equal(keeper_next_sealed(&in, &s, &content), 0);
		n++;
	}
	return n;
}

static bool refused_by(struct fixture *f, const char *rule)
{
	struct appraisal a;
	bool found = false;

	appraisal_init(&a);
	assert_int_equal(keeper_read_reasons(f->blobs[0], &a), 0);
	for (size_t i = 0; i < a.n; i++)
		found = found || strcmp(a.reasons[i].rule, rule) == 0;
	appraisal_done(&a);
	return found;
}

static int64_t count(struct fixture *f, const char *sql)
{
	int64_t n;

	assert_int_equal(sql_number(f->keeper.store->db, &n, "", sql), 0);
	return n;
}

static void assert_whole(struct fixture *f)
{
	json_t *result;
	bool good;

	assert_int_equal(store_verify(f->keeper.store, &good, &result), 0);
	if (!good)
		fail_msg("%s", json_dumps(result, 0));
	json_decref(result);
}

static void expect(struct fixture *f, struct judgement *g, bool accepted, size_t secrets,
		   const char *rule)
{
	assert_int_equal(judge(f, g), 0);
	assert_int_equal(f->type, KEEPER_JUDGE_ANSWER);
	assert_int_equal(f->fixed.judge_answer.accepted, accepted);
	assert_int_equal(sealed(f), secrets);
	if (rule && !refused_by(f, rule))
		fail_msg("not refused by %s", rule);
}

static void start(struct fixture *f)
{
	hello(f, "machine");
	enrol(f);
}

static void stages_are_released_in_order(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	nonce(f, 2);
	prepare(f, 1, 2, &g);
	expect(f, &g, true, 2, NULL);
	assert_int_equal(count(f, "SELECT count(*) FROM releases"), 3);
	assert_whole(f);
}

/* The secret opens with the private key, for these Claims, stage and name; with none other. */
static void a_released_secret_opens(void **state)
{
	struct bytes aad = BYTES_INIT(256);
	struct fixture *f = *state;
	struct keeper_sealed s;
	struct judgement g;
	struct secret out;
	struct reader in;
	struct view content;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	in = reader_of(f->blobs[1]);
	assert_int_equal(keeper_next_sealed(&in, &s, &content), 0);
	assert_int_equal(bytes_append(&aad, g.m.claims_hash, sizeof(g.m.claims_hash)), 0);
	assert_int_equal(bytes_append_be32(&aad, 1), 0);
	assert_int_equal(bytes_append_text(&aad, "one"), 0);
	assert_int_equal(hpke_open(&f->private_key, s.enc, view_text("assay stage secret v1"),
				   bytes_view(&aad), content, &out),
			 0);
	assert_true(view_is(secret_view(&out), "one"));
	secret_done(&out);
	aad.data[0] ^= 1;
	assert_int_equal(hpke_open(&f->private_key, s.enc, view_text("assay stage secret v1"),
				   bytes_view(&aad), content, &out),
			 -EBADMSG);
	bytes_done(&aad);
}

static void a_nonce_is_good_once(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	/* A new run, which may begin at stage 1, with the nonce of the old one. */
	f->sequence = 0;
	prepare(f, 2, 1, &g);
	expect(f, &g, false, 0, "release.nonce");
	assert_false(f->fixed.judge_answer.latched);
	assert_int_equal(count(f, "SELECT count(*) FROM releases"), 1);
}

static void a_refused_nonce_is_used_up_too(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	g.j.channel_good = 0;
	appraisal_refuse(&g.reasons, "evidence.exporter", "", "%s", "");
	expect(f, &g, false, 0, "evidence.exporter");
	prepare(f, 1, 1, &g);
	expect(f, &g, false, 0, "release.nonce");
}

static void a_nonce_expires(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	f->now.boottime_ns += 61 * SECOND;
	prepare(f, 1, 1, &g);
	expect(f, &g, false, 0, "release.nonce");
}

static void a_later_nonce_replaces_one(void **state)
{
	struct fixture *f = *state;
	uint8_t first[NONCE_SIZE];
	struct judgement g;

	start(f);
	nonce(f, 1);
	memcpy(first, f->nonce, sizeof(first));
	nonce(f, 1);
	memcpy(f->nonce, first, sizeof(first));
	prepare(f, 1, 1, &g);
	expect(f, &g, false, 0, "release.nonce");
}

static void a_nonce_of_another_session_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	struct judgement g;
	uint64_t first;

	start(f);
	first = f->session;
	nonce(f, 1);
	hello(f, "machine");
	prepare(f, 1, 1, &g);
	g.j.chain_good = 0;
	expect(f, &g, false, 0, "release.nonce");
	/* Its owner may still use it. */
	f->session = first;
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
}

static void a_refusal_latches_until_readmission(void **state)
{
	struct fixture *f = *state;
	struct judgement g;
	size_t n;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	nonce(f, 0);
	prepare(f, 1, 0, &g);
	g.j.measurement_good = 0;
	appraisal_refuse(&g.reasons, "dynamic.code", "", "%s", "");
	expect(f, &g, false, 0, "dynamic.code");
	assert_true(f->fixed.judge_answer.latched);
	nonce(f, 2);
	prepare(f, 1, 2, &g);
	expect(f, &g, false, 0, "release.latched");

	/* It outlives a restart. */
	store_close(f->keeper.store);
	open_store(f);
	hello(f, "machine");
	nonce(f, 2);
	prepare(f, 1, 2, &g);
	expect(f, &g, false, 0, "release.latched");

	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_readmit(f->keeper.store, "other", view_of(NULL, 0), f->now, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
		store_readmit(f->keeper.store, "demo", view_text("another machine"), f->now, &n),
		0);
	assert_int_equal(n, 0);
	assert_int_equal(store_readmit(f->keeper.store, "demo", view_of(NULL, 0), f->now, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_commit(f->keeper.store), 0);
	nonce(f, 2);
	prepare(f, 1, 2, &g);
	expect(f, &g, true, 2, NULL);
	assert_whole(f);
}

/* Latches are one machine's: another one of the fleet goes on. */
static void a_latch_is_of_one_machine(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	g.j.measurement_good = 0;
	appraisal_refuse(&g.reasons, "static.manifest", "", "%s", "");
	expect(f, &g, false, 0, "static.manifest");
	hello(f, "second");
	enrol(f);
	f->sequence = 0;
	nonce(f, 1);
	prepare(f, 2, 1, &g);
	expect(f, &g, true, 1, NULL);
}

/* The appraiser's word against its own reasons: the worse one counts. */
static void a_verdict_that_contradicts_its_reasons_releases_nothing(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	appraisal_refuse(&g.reasons, "dynamic.code", "", "%s", "");
	expect(f, &g, false, 0, "dynamic.code");
}

static void what_was_appraised_on_old_knowledge_is_not_judged(void **state)
{
	struct fixture *f = *state;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	nonce(f, 2);
	prepare(f, 1, 2, &g);
	g.j.head_before = 0;
	assert_int_equal(judge(f, &g), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	assert_int_equal(count(f, "SELECT count(*) FROM evidence"), 1);
}

static void nothing_is_judged_before_enrolment(void **state)
{
	struct fixture *f = *state;
	struct judgement g;
	struct keeper_nonce n;

	hello(f, "machine");
	memset(&n, 0, sizeof(n));
	n.session = f->session;
	strcpy(n.application, "demo");
	assert_int_equal(ask(f, KEEPER_NONCE, &n, NULL), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	prepare(f, 1, 1, &g);
	assert_int_equal(judge(f, &g), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	assert_int_equal(count(f, "SELECT count(*) FROM evidence"), 0);
}

static void a_forgotten_machine_is_not_enrolled(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(store_begin(f->keeper.store), 0);
	assert_int_equal(store_forget(f->keeper.store, view_text("machine"), f->now), 0);
	assert_int_equal(store_commit(f->keeper.store), 0);
	hello(f, "machine");
	assert_false(f->fixed.hello_answer.known);
	assert_whole(f);
}

static void a_receipt_is_for_a_release(void **state)
{
	struct fixture *f = *state;
	struct keeper_receipt receipt;
	struct judgement g;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	memset(&receipt, 0, sizeof(receipt));
	receipt.session = f->session;
	strcpy(receipt.application, "demo");
	memcpy(receipt.claims_hash, g.m.claims_hash, sizeof(receipt.claims_hash));
	receipt.stage = 1;
	strcpy(receipt.secret, "two");
	assert_int_equal(ask(f, KEEPER_RECEIPT, &receipt, NULL), 0);
	assert_int_equal(f->type, KEEPER_FAILED);
	strcpy(receipt.secret, "one");
	assert_int_equal(ask(f, KEEPER_RECEIPT, &receipt, NULL), 0);
	assert_int_equal(f->type, KEEPER_DONE);
	assert_int_equal(count(f, "SELECT count(*) FROM receipts"), 1);
	assert_whole(f);
}

/* Each of these changes behind the keeper's back is found. */
static const struct {
	const char *what, *sql;
} tampering[] = {
	{ "a verdict", "UPDATE evidence SET accepted = 1 - accepted" },
	{ "Claims", "UPDATE evidence SET claims = x'00'" },
	{ "MI", "UPDATE evidence SET mi = x'00'" },
	{ "a report", "UPDATE evidence SET report = x'00'" },
	{ "reasons", "UPDATE evidence SET reasons = '[{}]'" },
	{ "evidence removed", "PRAGMA foreign_keys = OFF; DELETE FROM evidence" },
	{ "a release removed", "DELETE FROM releases" },
	{ "a nonce made good again", "UPDATE nonces SET state = 0" },
	{ "a row of the log", "UPDATE log SET detail = '{}' WHERE id = 2" },
	{ "the time of a row", "UPDATE log SET at_ns = at_ns + 1 WHERE id = 2" },
	{ "a row of the log removed", "DELETE FROM log WHERE id = 2" },
	{ "a release made up", "INSERT INTO releases (evidence_id, nonce, stage, name) SELECT"
			       " evidence_id, nonce, 4, 'four' FROM releases" },
};

static void tampering_is_found(void **state)
{
	struct fixture *f = *state;
	struct judgement g;
	json_t *result;
	bool good;

	start(f);
	nonce(f, 1);
	prepare(f, 1, 1, &g);
	expect(f, &g, true, 1, NULL);
	assert_whole(f);
	for (size_t i = 0; i < ARRAY_LEN(tampering); i++) {
		sqlite3 *db = f->keeper.store->db;

		/* foreign_keys cannot change inside a transaction. */
		sqlite3_exec(db, "PRAGMA foreign_keys = OFF; SAVEPOINT before", NULL, NULL, NULL);
		if (sqlite3_exec(db, tampering[i].sql, NULL, NULL, NULL) != SQLITE_OK)
			fail_msg("%s: %s", tampering[i].what, sqlite3_errmsg(db));
		sqlite3_exec(db, "RELEASE before", NULL, NULL, NULL);
		assert_int_equal(store_verify(f->keeper.store, &good, &result), 0);
		if (good)
			fail_msg("not found: %s", tampering[i].what);
		json_decref(result);
		/* Each on a store of its own. */
		store_close(f->keeper.store);
		unlink(f->path);
		open_store(f);
		f->sequence = 0;
		start(f);
		nonce(f, 1);
		prepare(f, 1, 1, &g);
		expect(f, &g, true, 1, NULL);
	}
}

/* What a child that is killed did, told through a pipe after it was told to it. */
static void work_until_killed(struct fixture *f, int out, uint8_t round)
{
	struct judgement g;

	hello(f, "machine");
	enrol(f);
	for (uint8_t run = 0; run < 250; run++) {
		f->sequence = 0;
		for (uint32_t stage = 1; stage <= 2; stage++) {
			nonce(f, stage);
			prepare(f, run, stage, &g);
			g.j.run_id[0] = round;
			g.m.claims_hash[0] = round;
			if (judge(f, &g) < 0 || sealed(f) != stage)
				_exit(1);
			if (write(out, &stage, sizeof(stage)) < 0)
				_exit(1);
		}
	}
	_exit(0);
}

/*
 * Killed at any moment: afterwards everything that was answered is there, everything that is
 * there is whole, and no nonce released anything twice.
 */
static void kill_at_any_point_leaves_it_whole(void **state)
{
	struct fixture *f = *state;
	int64_t told = 0;

	store_close(f->keeper.store);
	f->keeper.store = NULL;
	srand(7);
	for (uint8_t round = 0; round < CRASH_ROUNDS; round++) {
		int fds[2], status;
		uint32_t stage;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			open_store(f);
			work_until_killed(f, fds[1], round);
		}
		close(fds[1]);
		usleep((useconds_t)(20000 + rand() % 80000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			fail_msg("the child failed by itself");
		while (read(fds[0], &stage, sizeof(stage)) == (ssize_t)sizeof(stage))
			told += stage;
		close(fds[0]);

		open_store(f);
		assert_whole(f);
		assert_int_equal(count(f, "SELECT count(*) FROM pragma_integrity_check WHERE"
					  " integrity_check <> 'ok'"),
				 0);
		assert_int_equal(count(f, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
		assert_true(count(f, "SELECT count(*) FROM releases") >= told);
		assert_int_equal(count(f, "SELECT count(*) FROM (SELECT 1 FROM releases GROUP BY"
					  " nonce, name HAVING count(*) > 1)"),
				 0);
		assert_int_equal(count(f, "SELECT count(*) FROM releases r LEFT JOIN evidence e ON"
					  " e.id = r.evidence_id AND e.accepted = 1 WHERE e.id IS"
					  " NULL"),
				 0);
		assert_int_equal(count(f, "SELECT count(*) FROM nonces WHERE state <> 1"), 0);
		assert_int_equal(count(f, "SELECT count(*) FROM sessions WHERE closed_ns IS NULL"),
				 0);
		store_close(f->keeper.store);
		f->keeper.store = NULL;
	}
	assert_true(told > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stages_are_released_in_order),
		TEST(a_released_secret_opens),
		TEST(a_nonce_is_good_once),
		TEST(a_refused_nonce_is_used_up_too),
		TEST(a_nonce_expires),
		TEST(a_later_nonce_replaces_one),
		TEST(a_nonce_of_another_session_is_refused_and_kept),
		TEST(a_refusal_latches_until_readmission),
		TEST(a_latch_is_of_one_machine),
		TEST(a_verdict_that_contradicts_its_reasons_releases_nothing),
		TEST(what_was_appraised_on_old_knowledge_is_not_judged),
		TEST(nothing_is_judged_before_enrolment),
		TEST(a_forgotten_machine_is_not_enrolled),
		TEST(a_receipt_is_for_a_release),
		TEST(tampering_is_found),
		TEST(kill_at_any_point_leaves_it_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
