/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_judge.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "cleanup.h"
#include "hpke.h"
#include "log.h"
#include "violation.h"

static const char seal_info[] = "assay stage secret v1";

int keeper_new_nonce(struct keeper_call *c, const char *application, uint32_t stage,
		     uint8_t ret[NONCE_SIZE])
{
	if (RAND_bytes(ret, NONCE_SIZE) != 1)
		return -EIO;
	return store_nonce_new(c->keeper->store, c->session.id, application, stage,
			       c->keeper->nonce_valid_ns, c->now, ret);
}

/*
 * Applications' reports are made in one order and may come in another, where their evidence
 * waited: what is held against the register is then what is known up to that report.
 */
static int known_register(struct keeper_call *c, const struct store_boot *boot,
			  struct keeper_prepare_answer *answer)
{
	uint64_t end = c->fixed->prepare.runtime_end;

	answer->runtime_count = boot->count;
	memcpy(answer->runtime_value, boot->value, sizeof(answer->runtime_value));
	if (!boot->id || !answer->boot_same || end >= boot->count)
		return 0;
	answer->runtime_count = end;
	return store_runtime_value(c->keeper->store, boot, end, answer->runtime_value);
}

int keeper_prepare(struct keeper_call *c)
{
	const struct keeper_prepare *p = &c->fixed->prepare;
	CLEANUP(bytes_cleanup) struct bytes mi = BYTES_INIT(MI_MAX);
	CLEANUP(bytes_cleanup) struct bytes entries = BYTES_INIT(KEEPER_MEASUREMENTS * 8);
	struct keeper_prepare_answer answer;
	struct store *s = c->keeper->store;
	struct store_run run;
	struct store_boot boot;
	bool seen;
	int r;

	memset(&answer, 0, sizeof(answer));
	r = store_seen(s, view_of(p->claims_hash, sizeof(p->claims_hash)), &seen);
	if (r == 0)
		r = store_run_find(s, c->session.attester, p->application, p->run_id, &run);
	if (r == 0)
		r = store_boot_latest(s, c->session.attester, &boot);
	if (r == 0 && run.id)
		r = store_run_mi(s, run.id, &mi);
	if (r == 0 && boot.id)
		r = store_runtime_find(s, boot.id, p->application, c->blobs[0], &entries);
	if (r < 0)
		return r;
	answer.seen_before = seen;
	answer.run_known = run.id != 0;
	answer.resync = run.resync;
	answer.sequence = run.sequence;
	answer.dropped = run.dropped;
	answer.missing = run.missing;
	memcpy(answer.head, run.head, sizeof(answer.head));
	answer.boot_known = boot.id != 0;
	answer.boot_same = memcmp(boot.boot_id, c->session.boot_id, BOOT_ID_SIZE) == 0;
	answer.reset_count = boot.reset_count;
	answer.runtime_register = boot.runtime_register;
	answer.runtime_alg = boot.runtime_alg;
	r = known_register(c, &boot, &answer);
	if (r < 0)
		return r;
	return keeper_write(c->answer, KEEPER_PREPARE_ANSWER, &answer,
			    (struct view[]){ bytes_view(&mi), bytes_view(&entries) });
}

/* All that one verdict is made of. */
struct judging {
	struct keeper_call *call;
	const struct keeper_judge *j;
	const struct policy *policy;
	struct keeper_measurement last; /* the signed one */
	struct view last_mi;
	size_t n;
	struct store_run run;
	struct appraisal reasons;
	struct release_decision decision;
	bool was_latched;
	struct bytes sealed;
	uint64_t evidence;
};

static int read_measurements(struct judging *g)
{
	struct reader in = reader_of(g->call->blobs[1]);
	struct view claims;
	int r = 0;

	while (r == 0 && in.left > 0) {
		r = keeper_next_measurement(&in, &g->last, &claims, &g->last_mi);
		if (r == 0)
			g->n++;
	}
	if (r == 0 && (g->n == 0 || g->n > KEEPER_MEASUREMENTS))
		r = -EBADMSG;
	if (r == 0 && (g->call->blobs[3].len % KEEPER_DIGEST_SIZE != 0 ||
		       g->call->blobs[4].len != g->n * sizeof(uint64_t) ||
		       g->call->blobs[2].len % sizeof(struct reason) != 0))
		r = -EBADMSG;
	return r;
}

/*
 * Another session of the same machine may have been judged between PREPARE and now: what was
 * appraised then is out of date, and the attester is to come again.
 */
static int check_current(struct judging *g)
{
	const struct keeper_judge *j = g->j;
	struct store *s = g->call->keeper->store;
	struct store_boot boot;
	int r;

	r = store_run_find(s, g->call->session.attester, j->application, j->run_id, &g->run);
	if (r == 0)
		r = store_boot_latest(s, g->call->session.attester, &boot);
	if (r < 0)
		return r;
	if (j->chain_good && j->head_before != g->run.sequence)
		return -ESTALE;
	if (j->runtime_good && boot.id && boot.reset_count > j->reset_count)
		return -ESTALE;
	/* An older view of the register is as good, if it brings nothing that is not known. */
	if (j->runtime_good && boot.id && boot.reset_count == j->reset_count &&
	    (boot.count < j->runtime_before ||
	     (boot.count > j->runtime_before && g->call->blobs[3].len > 0)))
		return -ESTALE;
	return 0;
}

/*
 * Violations of the application that is judged, among the new entries of the register, become
 * reasons. True: the policy denies one of them.
 */
static bool judge_violations(struct judging *g)
{
	struct reader in = reader_of(g->call->blobs[3]);
	const char *own = g->j->application;
	struct violation v;
	struct view entry;
	char run[2 * sizeof(v.run) + 1];
	bool denied = false;

	if (!g->j->runtime_good)
		return false;
	while (read_view(&in, VIOLATION_ENTRY_SIZE, &entry) == 0) {
		enum policy_answer answer;

		if (!violation_read(entry, &v) || !violation_is_of(&v, own))
			continue;
		answer = policy_on_violation(g->policy, v.kind, g->call->now.at_ns / 1000000000);
		if (answer == POLICY_SILENT)
			continue;
		denied = denied || answer == POLICY_DENIES;
		hex_encode(v.run, sizeof(v.run), run);
		appraisal_fail(&g->reasons, answer == POLICY_WARNS, "runtime.violation",
			       "no violation in the chip's runtime register", "%s in run %s",
			       violation_name(v.kind), run);
	}
	return denied;
}

/*
 * An application of this machine whose violation came with another one's evidence: its own may be
 * long in coming.
 */
static int latch_other(struct judging *g, const struct policy *p, const struct violation *v)
{
	struct keeper_call *c = g->call;
	const char *name = policy_application(p);
	struct store *s = c->keeper->store;
	bool already = false;
	int r;

	r = store_latched(s, c->session.attester, name, &already);
	if (r < 0 || already)
		return r;
	log_warning("%s: refused: the chip's runtime register has a violation: %s", name,
		    violation_name(v->kind));
	r = store_latch(s, c->session.attester, name, g->evidence, c->now);
	if (r < 0)
		return r;
	return store_log(s, c->now.at_ns, "violation", c->session.id,
			 view_of(c->session.key_name, c->session.key_name_len), name,
			 json_pack("{s:s, s:I}", "kind", violation_name(v->kind), "evidence",
				   (json_int_t)g->evidence));
}

static int latch_others(struct judging *g)
{
	const struct policies *policies = g->call->keeper->policies;
	int64_t now_s = g->call->now.at_ns / 1000000000;
	struct reader in = reader_of(g->call->blobs[3]);
	struct violation v;
	struct view entry;
	int r = 0;

	if (!g->j->runtime_good)
		return 0;
	while (r == 0 && read_view(&in, VIOLATION_ENTRY_SIZE, &entry) == 0) {
		if (!violation_read(entry, &v) || violation_is_of(&v, g->j->application))
			continue;
		for (size_t i = 0; r == 0 && i < policies->n; i++) {
			const struct policy *p = policies->items[i];

			if (violation_is_of(&v, policy_application(p)) &&
			    policy_on_violation(p, v.kind, now_s) == POLICY_DENIES)
				r = latch_other(g, p, &v);
		}
	}
	return r;
}

static int decide(struct judging *g)
{
	const struct keeper_judge *j = g->j;
	struct keeper_call *c = g->call;
	struct release_input in = {
		.measurement_good = j->measurement_good && j->signature_good && j->chain_good &&
				    !j->seen_before,
		.signature_good = j->signature_good,
		.channel_good = j->channel_good && !j->seen_before,
		.nonce = RELEASE_NONCE_NONE,
		.has_channel_key = j->has_channel_key,
		.stage = g->last.stage,
		.kind = g->last.kind == ASSAY__CLAIMS__KIND__STATIC ? POLICY_STATIC
								    : POLICY_DYNAMIC,
		.run_current = g->run.current,
		.run_passed = g->run.passed,
		.run_delivered = g->run.delivered,
		.asked = policy_stage(g->policy, g->last.stage),
	};
	int r;

	r = keeper_read_reasons(c->blobs[2], &g->reasons);
	if (r < 0)
		return r;
	g->reasons.checks = j->checks > g->reasons.checks ? j->checks : g->reasons.checks;
	if (judge_violations(g))
		in.measurement_good = false;
	if (j->has_nonce) {
		r = store_nonce_use(c->keeper->store, j->nonce, c->session.id, j->application,
				    g->last.stage, c->now, &in.nonce, &in.since_challenge_ns);
		if (r < 0)
			return r;
	}
	r = store_latched(c->keeper->store, c->session.attester, j->application, &g->was_latched);
	if (r < 0)
		return r;
	in.latched = g->was_latched;
	release_decide(&in, &g->reasons, &g->decision);
	/* What the appraiser says and what its reasons say must be the same. */
	g->decision.accepted = g->decision.accepted && appraisal_accepted(&g->reasons);
	g->decision.release = g->decision.release && g->decision.accepted;
	return 0;
}

static int seal_one(struct judging *g, const char *name)
{
	const struct secret *secret = vault_find(g->call->keeper->vault, name);
	CLEANUP(bytes_cleanup)
	struct bytes aad = BYTES_INIT(KEEPER_HASH_SIZE + 4 + KEEPER_NAME_MAX);
	CLEANUP(bytes_cleanup) struct bytes sealed = BYTES_INIT(SECRET_MAX + HPKE_TAG_SIZE);
	struct keeper_sealed s;
	int r;

	if (!secret)
		return -ENOENT;
	memset(&s, 0, sizeof(s));
	s.stage = g->last.stage;
	keeper_text(s.name, sizeof(s.name), name);
	r = bytes_append(&aad, g->last.claims_hash, sizeof(g->last.claims_hash));
	if (r == 0)
		r = bytes_append_be32(&aad, g->last.stage);
	if (r == 0)
		r = bytes_append_text(&aad, name);
	if (r == 0)
		r = hpke_seal(g->j->channel_key, view_text(seal_info), bytes_view(&aad),
			      secret_view(secret), s.enc, &sealed);
	if (r == 0)
		r = keeper_add_sealed(&g->sealed, &s, bytes_view(&sealed));
	return r;
}

static int seal(struct judging *g)
{
	const struct policy_stage *stage = policy_stage(g->policy, g->last.stage);
	int r = 0;

	for (const char *const *name = stage->release; r == 0 && name && *name; name++)
		r = seal_one(g, *name);
	if (r == -EINVAL) {
		/* Not a point of the curve that anything could be sealed to. */
		appraisal_refuse(&g->reasons, "release.channel_key", "an X25519 public key",
				 "one that nothing can be sealed to");
		g->decision.accepted = g->decision.release = false;
		bytes_reset(&g->sealed);
		return 0;
	}
	return r;
}

/* The run and the runtime log move on with what was signed, whatever the policy said of it. */
static int move_on(struct judging *g)
{
	const struct keeper_judge *j = g->j;
	struct keeper_call *c = g->call;
	struct store *s = c->keeper->store;
	struct reader places = reader_of(c->blobs[4]);
	uint64_t place = 0, last_place = 0;
	int r = 0;

	if (j->chain_good) {
		g->run.sequence = g->last.sequence;
		g->run.dropped = j->dropped;
		g->run.missing = j->missing;
		/* Claims without a nonce need not explain what is missing: they use nothing up. */
		g->run.resync = g->run.resync && !j->has_nonce;
		memcpy(g->run.head, g->last.claims_hash, sizeof(g->run.head));
		if (g->decision.release) {
			g->run.passed = g->last.stage;
			g->run.delivered = false;
		}
		r = store_run_put(s, c->session.attester, j->application, j->run_id, c->now,
				  &g->run);
		if (r == 0 && j->measurement_good && g->last.kind == ASSAY__CLAIMS__KIND__DYNAMIC)
			r = store_run_set_mi(s, g->run.id, g->last_mi);
		if (r < 0)
			return r;
	}
	if (!j->runtime_good)
		return 0;
	while (read_copy(&places, &place, sizeof(place)) == 0)
		last_place = place > last_place ? place : last_place;
	return store_runtime_add(s, c->session.attester, &c->session, j, c->blobs[3], last_place);
}

static int record(struct judging *g)
{
	struct keeper_call *c = g->call;
	struct store_evidence e = {
		.session = &c->session,
		.application = g->j->application,
		.run_id = g->j->run_id,
		.run = g->run.id,
		.report = c->blobs[0],
		.measurements = c->blobs[1],
		.reasons = &g->reasons,
		.accepted = g->decision.accepted,
		.latched = g->was_latched || g->decision.latch,
		.channel_good = g->j->channel_good,
		.measurement_good = g->j->measurement_good,
		.checks = g->reasons.checks,
		.nonce = g->j->has_nonce ? g->j->nonce : NULL,
	};
	int r;

	r = store_evidence_add(c->keeper->store, &e, c->now, &g->evidence);
	if (r == 0 && g->decision.latch && !g->was_latched)
		r = store_latch(c->keeper->store, c->session.attester, g->j->application,
				g->evidence, c->now);
	return r;
}

static int record_releases(struct judging *g)
{
	struct view key_name = view_of(g->call->session.key_name, g->call->session.key_name_len);
	struct store *s = g->call->keeper->store;
	struct reader in = reader_of(bytes_view(&g->sealed));
	json_t *names = json_array();
	struct keeper_sealed sealed;
	struct view content;
	int r = 0;

	while (r == 0 && in.left > 0) {
		r = keeper_next_sealed(&in, &sealed, &content);
		if (r == 0)
			r = store_release_add(s, g->evidence, g->j->nonce, g->last.stage,
					      sealed.name);
		if (r == 0)
			json_array_append_new(names, json_string(sealed.name));
	}
	if (r < 0) {
		json_decref(names);
		return r;
	}
	return store_log(s, g->call->now.at_ns, "release", g->call->session.id, key_name,
			 g->j->application,
			 json_pack("{s:I, s:i, s:o}", "evidence", (json_int_t)g->evidence, "stage",
				   (int)g->last.stage, "secrets", names));
}

static int answer(struct judging *g)
{
	CLEANUP(bytes_cleanup)
	struct bytes reasons = BYTES_INIT(APPRAISAL_REASONS_MAX * sizeof(struct reason));
	struct keeper_call *c = g->call;
	struct keeper_judge_answer a;
	int r = 0;

	memset(&a, 0, sizeof(a));
	a.evidence = g->evidence;
	a.accepted = g->decision.accepted;
	a.latched = g->was_latched || g->decision.latch;
	a.latched_now = g->decision.latch && !g->was_latched;
	a.stage = g->last.stage;
	/* What waited in a queue must not replace the nonce that a stage has asked for. */
	if (g->j->has_nonce) {
		a.next_valid_ms = (uint32_t)(c->keeper->nonce_valid_ns / 1000000);
		r = keeper_new_nonce(c, g->j->application, 0, a.next_nonce);
	}
	if (r == 0)
		r = store_runtime_known(c->keeper->store, &c->session, &a.runtime_log_known);
	if (r == 0)
		r = keeper_add_reasons(&reasons, &g->reasons);
	if (r < 0)
		return r;
	return keeper_write(c->answer, KEEPER_JUDGE_ANSWER, &a,
			    (struct view[]){ bytes_view(&reasons), bytes_view(&g->sealed) });
}

static int judge(struct judging *g)
{
	int r;

	r = read_measurements(g);
	if (r < 0)
		return r;
	r = check_current(g);
	if (r == -ESTALE)
		g->call->why = "evidence of the same run was judged meanwhile";
	if (r == 0)
		r = decide(g);
	if (r == 0 && g->decision.release)
		r = seal(g);
	if (r == 0)
		r = move_on(g);
	if (r == 0)
		r = record(g);
	if (r == 0)
		r = latch_others(g);
	if (r == 0 && g->decision.release)
		r = record_releases(g);
	if (r == 0)
		r = answer(g);
	return r;
}

int keeper_judge(struct keeper_call *c)
{
	struct judging g = {
		.call = c,
		.j = &c->fixed->judge,
		.policy = policies_find(c->keeper->policies, c->fixed->judge.application),
		.sealed = BYTES_INIT(keeper_shape(KEEPER_JUDGE_ANSWER)->blob_max[1]),
	};
	int r;

	if (!g.policy) {
		c->why = "no policy for this application";
		return -ENOENT;
	}
	appraisal_init(&g.reasons);
	r = judge(&g);
	appraisal_done(&g.reasons);
	bytes_done(&g.sealed);
	return r;
}
