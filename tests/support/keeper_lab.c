/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/sql.h"

static const char policy_text[] = "application: demo\nversion: 1\nplatforms:\n  soft: {}\n"
				  "static: {manifest: demo.mtree}\n"
				  "dynamic: {listen: {allow: []}}\n"
				  "stages:\n"
				  "  - {stage: 1, after: static, release: [one]}\n"
				  "  - {stage: 2, after: dynamic, release: [two, three]}\n";

static void add_secret(struct vault *v, const char *name)
{
	v->secrets = realloc(v->secrets, (v->n + 1) * sizeof(*v->secrets));
	v->secrets[v->n].name = strdup(name);
	assert_int_equal(secret_copy(view_text(name), &v->secrets[v->n].secret), 0);
	v->n++;
}

void keeper_lab_open_store(struct keeper_lab *f)
{
	char why[256];
	int r;

	r = store_open(f->path, false, &f->keeper.store, why, sizeof(why));
	if (r < 0)
		fail_msg("%s: %s", f->path, why);
}

int keeper_lab_set_up(void **state)
{
	struct keeper_lab *f = calloc(1, sizeof(*f));
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
	keeper_lab_open_store(f);
	f->keeper.policies = &f->policies;
	f->keeper.vault = &f->vault;
	f->keeper.nonce_valid_ns = 60 * SECOND;
	assert_int_equal(hpke_keypair(f->public_key, &f->private_key), 0);
	*state = f;
	return 0;
}

int keeper_lab_tear_down(void **state)
{
	struct keeper_lab *f = *state;
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
int keeper_lab_ask(struct keeper_lab *f, uint32_t type, const void *fixed, const struct view *blobs)
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

void keeper_lab_hello(struct keeper_lab *f, const char *key_name)
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
	assert_int_equal(keeper_lab_ask(f, KEEPER_HELLO, &h, NULL), 0);
	assert_int_equal(f->type, KEEPER_HELLO_ANSWER);
	f->session = f->fixed.hello_answer.session;
}

void keeper_lab_enrol_chip(struct keeper_lab *f, const char *ek_certificate)
{
	struct keeper_enrol e;

	memset(&e, 0, sizeof(e));
	e.session = f->session;
	e.accepted = 1;
	assert_int_equal(keeper_lab_ask(f, KEEPER_ENROL, &e,
					(struct view[]){ view_text("ak"),
							 view_text("ek"),
							 view_text(ek_certificate),
							 { 0 } }),
			 0);
}

void keeper_lab_enrol(struct keeper_lab *f)
{
	keeper_lab_enrol_chip(f, "");
	assert_int_equal(f->type, KEEPER_DONE);
}

void keeper_lab_nonce(struct keeper_lab *f, uint32_t stage)
{
	struct keeper_nonce n;

	memset(&n, 0, sizeof(n));
	n.session = f->session;
	n.stage = stage;
	strcpy(n.application, "demo");
	assert_int_equal(keeper_lab_ask(f, KEEPER_NONCE, &n, NULL), 0);
	assert_int_equal(f->type, KEEPER_NONCE_ANSWER);
	memcpy(f->nonce, f->fixed.nonce_answer.nonce, NONCE_SIZE);
}

void keeper_lab_prepare(struct keeper_lab *f, uint8_t run, uint32_t stage, struct judgement *ret)
{
	struct digest hash;
	char claims[64];

	memset(ret, 0, sizeof(*ret));
	ret->j.session = f->session;
	strcpy(ret->j.application, "demo");
	memset(ret->j.run_id, run, RUN_ID_SIZE);
	ret->j.measurement_good = ret->j.signature_good = 1;
	ret->j.channel_good = ret->j.chain_good = 1;
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

int keeper_lab_judge(struct keeper_lab *f, struct judgement *g)
{
	struct bytes packed = BYTES_INIT(65536), reasons = BYTES_INIT(65536);
	uint64_t place = 0;
	int r;

	assert_int_equal(
		keeper_add_measurement(&packed, &g->m, view_text(g->claims), view_text(g->mi)), 0);
	assert_int_equal(keeper_add_reasons(&reasons, &g->reasons), 0);
	r = keeper_lab_ask(f, KEEPER_JUDGE, &g->j,
			   (struct view[]){ view_text("report"),
					    bytes_view(&packed),
					    bytes_view(&reasons),
					    g->entries,
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

size_t keeper_lab_sealed(struct keeper_lab *f)
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

bool keeper_lab_refused_by(struct keeper_lab *f, const char *rule)
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

int64_t keeper_lab_count(struct keeper_lab *f, const char *sql)
{
	int64_t n;

	assert_int_equal(sql_number(f->keeper.store->db, &n, "", sql), 0);
	return n;
}

void keeper_lab_assert_whole(struct keeper_lab *f)
{
	json_t *result;
	bool good;

	assert_int_equal(store_verify(f->keeper.store, &good, &result), 0);
	if (!good)
		fail_msg("%s", json_dumps(result, 0));
	json_decref(result);
}

void keeper_lab_expect(struct keeper_lab *f, struct judgement *g, bool accepted, size_t secrets,
		       const char *rule)
{
	assert_int_equal(keeper_lab_judge(f, g), 0);
	assert_int_equal(f->type, KEEPER_JUDGE_ANSWER);
	assert_int_equal(f->fixed.judge_answer.accepted, accepted);
	assert_int_equal(keeper_lab_sealed(f), secrets);
	if (rule && !keeper_lab_refused_by(f, rule))
		fail_msg("not refused by %s", rule);
}

void keeper_lab_start(struct keeper_lab *f)
{
	keeper_lab_hello(f, "machine");
	keeper_lab_enrol(f);
}
