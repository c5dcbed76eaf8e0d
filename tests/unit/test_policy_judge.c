/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/judge_mi.h"

/* One rule an item, and whether not having seen everything could hide that it is broken. */
static const struct {
	const char *rules, *rule, *collector;
	bool absence;
	size_t item; /* offset of the item's pointer in the message */
} items[] = {
	{ "start_time: {unchanged: true}", "dynamic.start_time.unchanged", "start_time", false,
	  offsetof(Assay__Mi, start_time) },
	{ "memory: {resident: {max: 1GiB}}", "dynamic.memory.resident", "resources", false,
	  offsetof(Assay__Mi, resources) },
	{ "cpu: {share: {max: 8}}", "dynamic.cpu.share", "resources", false,
	  offsetof(Assay__Mi, resources) },
	{ "listen: {allow: ['tcp/*:443']}", "dynamic.listen", "network", true,
	  offsetof(Assay__Mi, network) },
	{ "connections: {allow: ['*:*']}", "dynamic.connections", "network", true,
	  offsetof(Assay__Mi, network) },
	{ "traffic: {sent_per_second: {max: 1TiB}}", "dynamic.traffic.sent_per_second", "network",
	  false, offsetof(Assay__Mi, network) },
	{ "disk: {writes_within: [/]}", "dynamic.disk.writes_within", "storage", true,
	  offsetof(Assay__Mi, storage) },
	{ "disk: {used: {max: 1TiB}}", "dynamic.disk.used", "storage", false,
	  offsetof(Assay__Mi, storage) },
	{ "environment: {deny: [LD_*]}", "dynamic.environment.deny", "environment", true,
	  offsetof(Assay__Mi, environment) },
	{ "environment: {equal: {LANG: C.UTF-8}}", "dynamic.environment.equal", "environment",
	  false, offsetof(Assay__Mi, environment) },
	{ "logs: {'ERROR|panic': {max: 9}}", "dynamic.logs.ERROR|panic", "logs", true,
	  offsetof(Assay__Mi, logs) },
	{ "static_files: {unchanged: true}", "dynamic.static_files.unchanged", "static_files", true,
	  offsetof(Assay__Mi, static_files) },
	{ "code: {files: manifest}", "dynamic.code.files", "code", true,
	  offsetof(Assay__Mi, code) },
	{ "code: {anonymous: deny}", "dynamic.code.anonymous", "code", true,
	  offsetof(Assay__Mi, code) },
	{ "code: {modified_text: deny}", "dynamic.code.modified_text", "code", true,
	  offsetof(Assay__Mi, code) },
	{ "kernel: {foreign_access: deny}", "dynamic.kernel.foreign_access", "kernel", true,
	  offsetof(Assay__Mi, kernel) },
	{ "kernel: {exec: {allow: [/usr/bin/app]}}", "dynamic.kernel.exec", "kernel", true,
	  offsetof(Assay__Mi, kernel) },
	{ "kernel: {lost: {max: 0}}", "dynamic.kernel.lost", "kernel", false,
	  offsetof(Assay__Mi, kernel) },
	{ "kernel: {require: [M01]}", "dynamic.kernel.require", "kernel", false,
	  offsetof(Assay__Mi, kernel) },
};

enum spoiling { NO_ITEM, NO_STATUS, STATUS_FAILED, STATUS_UNKNOWN, STATUS_PARTIAL };

static void spoil(struct mi *mi, const char *collector, size_t item, enum spoiling how)
{
	for (size_t i = 0; i < mi->msg->n_collectors; i++) {
		Assay__CollectorStatus *s = mi->msg->collectors[i];

		if (strcmp(s->name, collector) != 0)
			continue;
		if (how == NO_STATUS)
			s->name = (char *)"other";
		if (how == STATUS_FAILED)
			s->state = ASSAY__COLLECTOR_STATUS__STATE__FAILED;
		if (how == STATUS_UNKNOWN)
			s->state = (Assay__CollectorStatus__State)7;
		if (how == STATUS_PARTIAL)
			s->state = ASSAY__COLLECTOR_STATUS__STATE__PARTIAL;
		s->why = (char *)"it was not allowed to";
	}
	if (how == NO_ITEM)
		*(void **)((char *)mi->msg + item) = NULL;
}

static void what_was_not_seen_is_not_passed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		struct policy *p = policy_of(items[i].rules);

		for (enum spoiling how = NO_ITEM; how <= STATUS_PARTIAL; how++) {
			struct mi *mi = mi_of_one_process(p);
			struct appraisal a;
			enum outcome outcome = UNCHECKED;

			if (how == STATUS_PARTIAL && !items[i].absence)
				outcome = PASSES;
			spoil(mi, items[i].collector, items[i].item, how);
			appraisal_init(&a);
			policy_judge_dynamic(p, mi, NULL, 0, &a);
			appraisal_finish(&a);
			check_outcome(items[i].rules, &a, outcome, items[i].rule, "");
			appraisal_done(&a);
			mi_free(mi);
		}
		policy_free(p);
	}
}

static void partial_is_what_the_rule_says(void **state)
{
	static const struct {
		const char *rules;
		enum outcome outcome;
	} rules[] = {
		{ "listen: {allow: ['tcp/*:443'], partial: accept}", PASSES },
		{ "listen: {allow: ['tcp/*:443'], partial: refuse}", UNCHECKED },
		{ "partial: accept, listen: {allow: ['tcp/*:443']}", PASSES },
		{ "listen: {allow: ['tcp/*:443'], mode: warn}", WARNS },
		{ "traffic: {sent_per_second: {max: 1TiB}, partial: refuse}", UNCHECKED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct policy *p = policy_of(rules[i].rules);
		struct mi *mi = mi_of_one_process(p);
		struct appraisal a;

		spoil(mi, "network", 0, STATUS_PARTIAL);
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, NULL, 0, &a);
		appraisal_finish(&a);
		if (a.n > 0 && strncmp(a.reasons[0].seen, unchecked, strlen(unchecked)) != 0)
			fail_msg("%s: %s", rules[i].rules, a.reasons[0].seen);
		assert_int_equal(a.n, rules[i].outcome != PASSES);
		assert_int_equal(appraisal_accepted(&a), rules[i].outcome != UNCHECKED);
		appraisal_done(&a);
		mi_free(mi);
		policy_free(p);
	}
}

/* What is compared with the measurement before. */
static void another_process_is_noticed(void **state)
{
	struct policy *p = policy_of("start_time: {unchanged: true}");
	struct mi *before = mi_of_one_process(p), *now = mi_of_one_process(p);
	struct appraisal a;

	(void)state;
	appraisal_init(&a);
	policy_judge_dynamic(p, now, before, 0, &a);
	appraisal_finish(&a);
	assert_true(appraisal_accepted(&a));
	appraisal_done(&a);
	now->msg->start_time->root_start_boottime_ns++;
	policy_judge_dynamic(p, now, before, 0, &a);
	assert_true(a.refused);
	assert_string_equal(a.reasons[0].rule, "dynamic.start_time.unchanged");
	appraisal_done(&a);
	mi_free(before);
	mi_free(now);
	policy_free(p);
}

static void events_of_a_window_that_was_dropped_count(void **state)
{
	struct policy *p = policy_of("kernel: {foreign_access: deny, lost: {max: 0}}");
	struct mi *before = mi_of_one_process(p), *now = mi_of_one_process(p);
	struct appraisal a;

	(void)state;
	/* Neither is in this window; both are in the totals. */
	now->msg->kernel->counters[1]->total = 1;
	now->msg->kernel->loss->dropped = 5;
	appraisal_init(&a);
	policy_judge_dynamic(p, now, before, 0, &a);
	assert_true(a.refused);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.reasons[0].rule, "dynamic.kernel.lost");
	assert_string_equal(a.reasons[1].rule, "dynamic.kernel.foreign_access");
	appraisal_done(&a);
	mi_free(before);
	mi_free(now);
	policy_free(p);
}

static void a_policy_without_rules_accepts_nothing(void **state)
{
	static const char text[] = "application: app\nplatforms: {soft: {}}\n";
	struct policy *p, *full = policy_of("cpu: {share: {max: 8}}");
	struct mi *mi = mi_of_one_process(full);
	struct appraisal a;
	char *error;

	(void)state;
	assert_int_equal(policy_parse(view_text(text), "policy", &p, &error), 0);
	appraisal_init(&a);
	policy_judge_dynamic(p, mi, NULL, 0, &a);
	policy_judge_static(p, view_text(MANIFEST), 0, &a);
	appraisal_finish(&a);
	assert_false(appraisal_accepted(&a));
	assert_int_equal(a.n, 2);
	assert_string_equal(a.reasons[0].rule, "dynamic");
	assert_string_equal(a.reasons[1].rule, "static.manifest");
	appraisal_done(&a);
	mi_free(mi);
	policy_free(p);
	policy_free(full);
}

#define LINE_A "./usr/bin/app type=file mode=0755 uid=0 gid=0 size=10 sha256digest=" SHA_A "\n"
#define LINE_B "./usr/lib/x.so type=file mode=0644 uid=0 gid=0 size=20 sha256digest=" SHA_B "\n"

static const struct {
	const char *what, *manifest;
	enum outcome outcome;
	const char *seen;
} manifests[] = {
	{ "the same files", MANIFEST, PASSES, NULL },
	{ "the same files in another order", "#mtree\n" LINE_B LINE_A, PASSES, NULL },
	{ "a missing file", "#mtree\n" LINE_A, FAILS, "/usr/lib/x.so is missing" },
	{ "one file more",
	  MANIFEST "./usr/lib/y.so type=file mode=0644 uid=0 gid=0 size=1 sha256digest=" SHA_C "\n",
	  FAILS, "/usr/lib/y.so is not in the reference values" },
	{ "another content",
	  "#mtree\n" LINE_A
	  "./usr/lib/x.so type=file mode=0644 uid=0 gid=0 size=20 sha256digest=" SHA_C "\n",
	  FAILS, "/usr/lib/x.so has another" },
	{ "another mode",
	  "#mtree\n" LINE_A
	  "./usr/lib/x.so type=file mode=0666 uid=0 gid=0 size=20 sha256digest=" SHA_B "\n",
	  FAILS, "/usr/lib/x.so has another mode" },
	{ "no manifest", "nothing of the kind\n", UNCHECKED, "not a manifest" },
	{ "an empty text", "", UNCHECKED, "not a manifest" },
};

static void static_measurements_are_compared_by_file(void **state)
{
	struct policy *p = policy_of("cpu: {share: {max: 8}}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++) {
		struct appraisal a;

		appraisal_init(&a);
		policy_judge_static(p, view_text(manifests[i].manifest), 0, &a);
		appraisal_finish(&a);
		check_outcome(manifests[i].what, &a, manifests[i].outcome, "static.manifest",
			      manifests[i].seen);
		appraisal_done(&a);
	}
	policy_free(p);
}

static void a_long_list_is_named_in_part_and_counted(void **state)
{
	struct bytes text = BYTES_INIT(65536);
	struct policy *p = policy_of("cpu: {share: {max: 8}}");
	struct appraisal a;

	(void)state;
	assert_int_equal(bytes_append_text(&text, MANIFEST), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(bytes_printf(&text, "./z%d type=dir mode=0755 uid=0 gid=0\n", i),
				 0);
	appraisal_init(&a);
	policy_judge_static(p, bytes_view(&text), 0, &a);
	assert_int_equal(a.n, 9);
	assert_string_equal(a.reasons[0].seen, "/z0 is not in the reference values");
	assert_string_equal(a.reasons[8].seen, "and 12 more");
	appraisal_done(&a);
	bytes_done(&text);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_seen_is_not_passed),
		cmocka_unit_test(partial_is_what_the_rule_says),
		cmocka_unit_test(another_process_is_noticed),
		cmocka_unit_test(events_of_a_window_that_was_dropped_count),
		cmocka_unit_test(a_policy_without_rules_accepts_nothing),
		cmocka_unit_test(static_measurements_are_compared_by_file),
		cmocka_unit_test(a_long_list_is_named_in_part_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
