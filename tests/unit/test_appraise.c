/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/scripted_attester.h"
#include "verifier/appraise.h"

#define MEASUREMENTS 4

/* Everything that is appraised at once; a case changes one thing of it. */
struct world {
	struct scripted attester;
	struct policy *policy;
	struct scripted_measurement m[MEASUREMENTS];
	size_t n;
	struct keeper_prepare_answer known;
	struct bytes previous_mi;
	uint8_t exporter[EXPORTER_SIZE], boot_id[BOOT_ID_SIZE];
	struct bytes key_name;
	const char *platform;
	bool mi_awaited;
	struct view mi[MEASUREMENTS]; /* as it arrives */
	Assay__ChipReport report;
};

static ProtobufCBinaryData lend(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)data };
}

static struct scripted_measurement *last(struct world *w)
{
	return &w->m[w->n - 1];
}

/* Cases change Claims before they are signed, or what is around them afterwards. */

static void nothing(struct world *w)
{
}

static void raw(struct world *w)
{
	struct scripted_measurement *m = last(w);

	m->claims.form = ASSAY__CLAIMS__FORM__RAW;
	m->claims.m = lend(m->mi.data, m->mi.len);
	m->claims.hash_alg = 0;
}

static void raw_of_a_bad_mi(struct world *w)
{
	struct bytes mi = BYTES_INIT(4096);

	scripted_mi("0.0.0.0:22", w->n, &mi);
	scripted_set_mi(last(w), bytes_view(&mi));
	bytes_done(&mi);
	raw(w);
}

static void raw_static(struct world *w)
{
	last(w)->claims.kind = ASSAY__CLAIMS__KIND__STATIC;
	raw(w);
}

static void new_listener(struct world *w)
{
	struct bytes mi = BYTES_INIT(4096);

	scripted_mi("0.0.0.0:22", last(w)->claims.node->number, &mi);
	scripted_set_mi(last(w), bytes_view(&mi));
	bytes_done(&mi);
}

static void mi_of_another_node(struct world *w)
{
	struct bytes mi = BYTES_INIT(4096);

	scripted_mi(NULL, 77, &mi);
	scripted_set_mi(last(w), bytes_view(&mi));
	bytes_done(&mi);
}

static void mi_that_is_none(struct world *w)
{
	scripted_set_mi(last(w), view_text("\xff\xff\xff"));
}

static void another_manifest(struct world *w)
{
	scripted_set_mi(last(w), view_text("#mtree\n./usr/bin/demo type=file mode=0755 uid=0 gid=0"
					   " size=10 sha256digest=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
					   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"));
}

static void another_exporter(struct world *w)
{
	w->exporter[0] ^= 1;
}

static void no_exporter(struct world *w)
{
	last(w)->claims.exporter = lend(NULL, 0);
}

static void without_session(struct world *w)
{
	scripted_unbind(last(w));
	w->exporter[0] ^= 1;
}

static void another_boot(struct world *w)
{
	w->boot_id[0] ^= 1;
}

static void another_hash(struct world *w)
{
	static struct digest d;

	last(w)->claims.hash_alg = HASH_SHA256;
	assert_int_equal(digest_of(HASH_SHA256, bytes_view(&last(w)->mi), &d), 0);
	last(w)->claims.m = lend(d.bytes, d.size);
}

static void another_run_among_them(struct world *w)
{
	static uint8_t run[RUN_ID_SIZE];

	w->m[0].claims.run_id = lend(run, sizeof(run));
}

static void stage_without_report(struct world *w)
{
	w->m[0].claims.stage = 2;
}

static void key_without_report(struct world *w)
{
	w->m[0].claims.channel_key = lend(w->attester.channel_key, CHANNEL_KEY_SIZE);
}

static void gap(struct world *w)
{
	last(w)->claims.sequence++;
}

static void owned_gap(struct world *w)
{
	last(w)->claims.sequence += 2;
	last(w)->claims.dropped = 2;
	last(w)->previous.bytes[0] ^= 1;
}

static void half_owned_gap(struct world *w)
{
	last(w)->claims.sequence += 2;
	last(w)->claims.dropped = 1;
}

static void resync(struct world *w)
{
	last(w)->claims.sequence += 5;
	w->known.resync = 1;
}

static void gap_without_session(struct world *w)
{
	last(w)->claims.sequence += 2;
	scripted_unbind(last(w));
}

static void missing_before(struct world *w)
{
	w->known.missing = 2;
}

static void missing_and_explained(struct world *w)
{
	w->known.missing = 2;
	w->known.dropped = 1;
	last(w)->claims.dropped = 2;
}

static void missing_without_session(struct world *w)
{
	w->known.missing = 2;
	scripted_unbind(last(w));
}

static void dropped_told_twice(struct world *w)
{
	/* What explained the gap of before does not explain another one. */
	w->known.missing = 2;
	last(w)->claims.sequence += 2;
	last(w)->claims.dropped = 2;
}

static void previous_without_session(struct world *w)
{
	scripted_unbind(last(w));
	last(w)->previous.bytes[5] ^= 1;
}

static void missing_forgiven(struct world *w)
{
	w->known.missing = 2;
	w->known.resync = 1;
	last(w)->claims.dropped = 1;
}

static void sequence_again(struct world *w)
{
	w->known.sequence = last(w)->claims.sequence;
}

static void dropped_goes_back(struct world *w)
{
	w->known.dropped = 3;
}

static void another_previous(struct world *w)
{
	last(w)->previous.bytes[5] ^= 1;
}

static void first_that_is_not(struct world *w)
{
	w->known.run_known = 0;
}

static void seen_before(struct world *w)
{
	w->known.seen_before = 1;
}

static void mi_late(struct world *w)
{
	w->mi_awaited = true;
	w->mi[w->n - 1] = view_of(NULL, 0);
}

static void mi_missing(struct world *w)
{
	w->mi[w->n - 1] = view_of(NULL, 0);
}

static void mi_changed(struct world *w)
{
	last(w)->mi.data[last(w)->mi.len - 1] ^= 1;
}

static void claims_changed(struct world *w)
{
	last(w)->packed.data[2] ^= 1;
}

static void signature_changed(struct world *w)
{
	w->report.signature.data[3] ^= 1;
}

static void another_key(struct world *w)
{
	w->key_name.data[0] ^= 1;
}

static void another_platform(struct world *w)
{
	w->report.platform = (char *)"tpm";
}

static void unnamed_platform(struct world *w)
{
	w->platform = "tpm";
	w->report.platform = (char *)"tpm";
}

enum { FIRST = 1, SECOND, THREE };

static const struct {
	const char *what;
	/* FIRST: static, of a new run. SECOND: dynamic, after it. THREE: three under one report. */
	int kind;
	void (*before)(struct world *w), (*after)(struct world *w);
	bool measurement, channel, chain;
	const char *rule;
} cases[] = {
	{ "a static measurement", FIRST, nothing, nothing, true, true, true, NULL },
	{ "a dynamic one after it", SECOND, nothing, nothing, true, true, true, NULL },
	{ "three under one report", THREE, nothing, nothing, true, true, true, NULL },
	{ "M = MI", SECOND, raw, nothing, true, true, true, NULL },
	{ "M alone, where the manifest is known", FIRST, nothing, mi_missing, true, true, true,
	  NULL },
	{ "measured without a session", SECOND, without_session, nothing, true, true, true, NULL },
	{ "a gap that is owned up to", SECOND, owned_gap, nothing, true, true, true, NULL },
	{ "a gap after readmission", SECOND, resync, nothing, true, true, true, NULL },
	{ "a gap before what was measured without a session", SECOND, gap_without_session, nothing,
	  true, true, true, "evidence.sequence" },
	{ "a gap of before, explained by now", SECOND, missing_and_explained, nothing, true, true,
	  true, NULL },
	{ "a gap of before, and no session yet", SECOND, missing_without_session, nothing, true,
	  true, true, NULL },
	{ "a gap of before, forgiven", SECOND, missing_forgiven, nothing, true, true, true, NULL },

	{ "a signature that does not verify", SECOND, nothing, signature_changed, false, true,
	  false, "evidence.signature" },
	{ "Claims that were not signed", SECOND, nothing, claims_changed, false, true, false,
	  "evidence.claims" },
	{ "another key than the enrolled one", SECOND, nothing, another_key, false, true, false,
	  "evidence.key" },
	{ "a report of another platform than Hello's", SECOND, nothing, another_platform, false,
	  true, false, "evidence.platform" },
	{ "a platform that the policy does not name", SECOND, nothing, unnamed_platform, false,
	  true, false, "platforms" },
	{ "another TLS session", SECOND, nothing, another_exporter, true, false, true,
	  "evidence.exporter" },
	{ "no exporter", SECOND, no_exporter, nothing, true, false, true, "evidence.exporter" },
	{ "judged before", SECOND, nothing, seen_before, true, false, false, "evidence.replayed" },
	{ "MI that does not come", SECOND, nothing, mi_late, true, false, true, "evidence.mi" },
	{ "another boot", SECOND, nothing, another_boot, false, true, true, "evidence.boot_id" },
	{ "no MI", SECOND, nothing, mi_missing, false, true, true, "evidence.mi" },
	{ "MI that M is not the hash of", SECOND, nothing, mi_changed, false, true, true,
	  "evidence.m" },
	{ "a manifest that M is not the hash of", FIRST, nothing, mi_changed, false, true, true,
	  "evidence.m" },
	{ "another hash for M", SECOND, another_hash, nothing, false, true, true, "evidence.m" },
	{ "M = MI for a static measurement", FIRST, raw_static, nothing, false, true, true,
	  "evidence.m" },
	{ "bytes that are no MI", SECOND, mi_that_is_none, nothing, false, true, true,
	  "evidence.mi" },
	{ "MI of another time node", SECOND, mi_of_another_node, nothing, false, true, true,
	  "evidence.node" },
	{ "MI against the policy", SECOND, new_listener, nothing, false, true, true,
	  "dynamic.listen" },
	{ "M = MI against the policy", SECOND, raw_of_a_bad_mi, nothing, false, true, true, NULL },
	{ "another manifest", FIRST, another_manifest, nothing, false, true, true,
	  "static.manifest" },
	{ "M alone, of another manifest", FIRST, another_manifest, mi_missing, false, true, true,
	  "static.manifest" },
	{ "a gap", SECOND, gap, nothing, false, true, false, "evidence.sequence" },
	{ "a gap half owned up to", SECOND, half_owned_gap, nothing, false, true, false,
	  "evidence.sequence" },
	{ "a gap of before that is not explained", SECOND, missing_before, nothing, false, true,
	  false, "evidence.sequence" },
	{ "drops that explain a second gap", SECOND, dropped_told_twice, nothing, false, true,
	  false, "evidence.sequence" },
	{ "Claims without a session, chained to others", SECOND, previous_without_session, nothing,
	  false, true, false, "evidence.previous" },
	{ "a sequence a second time", SECOND, nothing, sequence_again, false, true, false,
	  "evidence.sequence" },
	{ "a count of drops that goes back", SECOND, nothing, dropped_goes_back, false, true, false,
	  "evidence.dropped" },
	{ "Claims chained to others", SECOND, another_previous, nothing, false, true, false,
	  "evidence.previous" },
	{ "the middle of a run that is not known", SECOND, nothing, first_that_is_not, false, true,
	  false, "evidence.sequence" },
	{ "three of two runs", THREE, another_run_among_them, nothing, false, true, false,
	  "evidence.run" },
	{ "a stage in Claims without a report", THREE, stage_without_report, nothing, false, true,
	  false, "evidence.chained" },
	{ "a key in Claims without a report", THREE, key_without_report, nothing, false, true,
	  false, "evidence.chained" },
};

static void know(struct world *w)
{
	w->known.run_known = w->attester.sequence > 0;
	w->known.sequence = w->attester.sequence;
	memcpy(w->known.head, w->attester.head.bytes, sizeof(w->known.head));
}

static void build(struct world *w, int kind, void (*before)(struct world *w))
{
	struct scripted *s = &w->attester;
	struct scripted_measurement first;

	if (kind != FIRST) {
		scripted_measure(s, ASSAY__CLAIMS__KIND__STATIC, 1, &first);
		scripted_sign(s, &first);
		scripted_measurement_done(&first);
	}
	know(w);
	w->n = kind == THREE ? 3 : 1;
	for (size_t i = 0; i < w->n; i++) {
		bool signed_one = i + 1 == w->n;
		size_t n = w->n;

		scripted_measure(s,
				 kind == FIRST ? ASSAY__CLAIMS__KIND__STATIC
					       : ASSAY__CLAIMS__KIND__DYNAMIC,
				 signed_one ? (uint32_t)kind : 0, &w->m[i]);
		if (!signed_one)
			scripted_unbind(&w->m[i]);
		/* A case may change the first or the last of them. */
		if (i == 0 || signed_one) {
			w->n = i + 1;
			if (i == 0 ? kind == THREE || signed_one : kind != THREE)
				before(w);
			w->n = n;
		}
		scripted_sign(s, &w->m[i]);
		w->mi[i] = bytes_view(&w->m[i].mi);
	}
	w->report = last(w)->report;
}

static void read_all(struct world *w, struct arena *arena, struct appraise_measurement *ret)
{
	for (size_t i = 0; i < w->n; i++) {
		Assay__Claims *c = &w->m[i].claims;

		/* Claims that a case spoilt after signing need not parse: then what was meant is
		 * used. */
		if (claims_unpack(bytes_view(&w->m[i].packed), arena, &c, NULL) < 0)
			c = &w->m[i].claims;
		ret[i].claims = c;
		ret[i].packed = bytes_view(&w->m[i].packed);
		ret[i].mi = c->form == ASSAY__CLAIMS__FORM__RAW ? view_of(c->m.data, c->m.len)
								: w->mi[i];
		assert_int_equal(claims_hash(ret[i].packed, &ret[i].hash), 0);
		assert_int_equal(claims_runtime(view_of(c->m.data, c->m.len), &ret[i].runtime), 0);
	}
}

static void open_world(struct world *w)
{
	char *error = NULL;

	memset(w, 0, sizeof(*w));
	scripted_open(&w->attester);
	memset(w->attester.nonce, 7, NONCE_SIZE);
	memset(w->attester.exporter, 9, EXPORTER_SIZE);
	memcpy(w->exporter, w->attester.exporter, EXPORTER_SIZE);
	memcpy(w->boot_id, w->attester.boot_id, BOOT_ID_SIZE);
	w->platform = "soft";
	w->key_name = BYTES_INIT(64);
	assert_int_equal(bytes_append_view(&w->key_name, digest_view(&w->attester.key_name)), 0);
	if (policy_parse(view_text(scripted_policy), "policy", &w->policy, &error) < 0 ||
	    policy_attach_manifest(w->policy, view_text(scripted_manifest), &error) < 0)
		fail_msg("%s", error);
}

static void close_world(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		scripted_measurement_done(&w->m[i]);
	bytes_done(&w->key_name);
	policy_free(w->policy);
	scripted_done(&w->attester);
}

static void judge_world(struct world *w, struct appraisal *a, struct appraise_result *ret)
{
	struct appraise_measurement measurements[MEASUREMENTS];
	struct appraise_input in = {
		.report = &w->report,
		.measurements = measurements,
		.n = w->n,
		.policy = w->policy,
		.now = 1800000000,
		.platform = w->platform,
		.boot_id = view_of(w->boot_id, BOOT_ID_SIZE),
		.exporter = view_of(w->exporter, EXPORTER_SIZE),
		.key_name = bytes_view(&w->key_name),
		.mi_awaited = w->mi_awaited,
		.known = &w->known,
	};
	struct arena *arena;

	assert_int_equal(arena_new(1 << 20, &arena), 0);
	read_all(w, arena, measurements);
	appraisal_init(a);
	assert_int_equal(appraise(&in, a, ret), 0);
	arena_free(arena);
}

static bool names(const struct appraisal *a, const char *rule)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->reasons[i].rule, rule) == 0)
			return true;
	}
	return false;
}

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct appraise_result result;
		struct appraisal a;
		struct world w;

		open_world(&w);
		build(&w, cases[i].kind, cases[i].before);
		cases[i].after(&w);
		judge_world(&w, &a, &result);
		if (result.measurement_good != cases[i].measurement ||
		    result.channel_good != cases[i].channel)
			fail_msg("%s: measurement %d, channel %d: %s", cases[i].what,
				 result.measurement_good, result.channel_good,
				 a.n ? a.reasons[0].rule : "no reason");
		if (cases[i].measurement && result.chain_good != cases[i].chain)
			fail_msg("%s: chain %d", cases[i].what, result.chain_good);
		if (!cases[i].chain && result.chain_good && cases[i].kind != THREE)
			fail_msg("%s: the run would move on", cases[i].what);
		if (cases[i].rule && !names(&a, cases[i].rule))
			fail_msg("%s: %s is not among the reasons, but %s", cases[i].what,
				 cases[i].rule, a.n ? a.reasons[0].rule : "none");
		if (a.refused != !(cases[i].measurement && cases[i].channel))
			fail_msg("%s: refused %d", cases[i].what, a.refused);
		appraisal_finish(&a);
		if (appraisal_accepted(&a) != (cases[i].measurement && cases[i].channel))
			fail_msg("%s: accepted", cases[i].what);
		appraisal_done(&a);
		close_world(&w);
	}
}

static const struct {
	const char *what;
	void (*before)(struct world *w);
	uint64_t missing;
} counts[] = {
	{ "nothing", nothing, 0 },
	{ "a gap that is explained stays counted", owned_gap, 2 },
	{ "a gap without a session", gap_without_session, 2 },
	{ "what was missing before", missing_without_session, 2 },
	{ "readmission forgives what is not explained", missing_forgiven, 1 },
	{ "readmission forgives a gap", resync, 0 },
};

static void what_is_missing_is_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct appraise_result result;
		struct appraisal a;
		struct world w;

		open_world(&w);
		build(&w, SECOND, counts[i].before);
		judge_world(&w, &a, &result);
		if (!result.chain_good || result.missing != counts[i].missing)
			fail_msg("%s: chain %d, %llu missing", counts[i].what, result.chain_good,
				 (unsigned long long)result.missing);
		appraisal_done(&a);
		close_world(&w);
	}
}

static void more_under_a_report_than_the_policy_allows(void **state)
{
	struct appraise_result result;
	struct appraisal a;
	struct world w;

	(void)state;
	open_world(&w);
	build(&w, THREE, nothing);
	policy_free(w.policy);
	w.policy = NULL;
	{
		char text[1024], *at, *error = NULL;

		strcpy(text, scripted_policy);
		at = strstr(text, "max: 3");
		assert_non_null(at);
		at[5] = '2';
		assert_int_equal(policy_parse(view_text(text), "policy", &w.policy, &error), 0);
		assert_int_equal(
			policy_attach_manifest(w.policy, view_text(scripted_manifest), &error), 0);
	}
	judge_world(&w, &a, &result);
	assert_false(result.measurement_good);
	assert_true(names(&a, "report_every"));
	appraisal_done(&a);
	close_world(&w);
}

static int open_heap(void **state)
{
	return secret_heap_open();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
		cmocka_unit_test(what_is_missing_is_counted),
		cmocka_unit_test(more_under_a_report_than_the_policy_allows),
	};

	return cmocka_run_group_tests(tests, open_heap, NULL);
}
