/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <event2/event.h>

#include "collector.h"
#include "daemon/schedule.h"
#include "mi.h"

#define MS 1000000ULL

/* 2026, Berlin: summer time from 29 March 02:00 (01:00 UTC) to 25 October 03:00 (01:00 UTC). */
#define MARCH_29_UTC   1774742400LL /* 2026-03-29 00:00:00 UTC */
#define OCTOBER_25_UTC 1792886400LL /* 2026-10-25 00:00:00 UTC */
#define JUNE_1_UTC     1780272000LL /* 2026-06-01 00:00:00 UTC */
/* Local 02:00 becomes 02:30 on 4 October: 2026-10-03 15:30:00 UTC */
#define LORD_HOWE_SKIPS 1791041400LL
#define HOUR		3600LL

/* As rules, so that no time zone database is needed. */
#define BERLIN	  "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
#define NEW_YORK  "EST5EDT,M3.2.0,M11.1.0"

static const struct {
	const char *what;
	const char *zone;
	int64_t after;
	uint32_t second_of_day;
	int64_t expected;
} daily_cases[] = {
	{ "later the same day", "UTC0", JUNE_1_UTC, 2 * HOUR, JUNE_1_UTC + 2 * HOUR },
	{ "the instant itself is past", "UTC0", JUNE_1_UTC + 2 * HOUR, 2 * HOUR,
	  JUNE_1_UTC + 26 * HOUR },
	{ "one second before", "UTC0", JUNE_1_UTC + 2 * HOUR - 1, 2 * HOUR, JUNE_1_UTC + 2 * HOUR },
	{ "midnight", "UTC0", JUNE_1_UTC + 1, 0, JUNE_1_UTC + 24 * HOUR },
	{ "summer time is two hours ahead", BERLIN, JUNE_1_UTC, 12 * HOUR, JUNE_1_UTC + 10 * HOUR },
	{ "the local day is not the one of UTC", BERLIN, JUNE_1_UTC + 23 * HOUR, 2 * HOUR,
	  JUNE_1_UTC + 24 * HOUR },
	{ "a skipped time comes as much later", BERLIN, MARCH_29_UTC, 2 * HOUR + 1800,
	  MARCH_29_UTC + HOUR + 1800 },
	{ "the day after it is as always", BERLIN, MARCH_29_UTC + HOUR + 1800, 2 * HOUR + 1800,
	  MARCH_29_UTC + 24 * HOUR + 1800 },
	{ "the day before it too", BERLIN, MARCH_29_UTC - 12 * HOUR, HOUR, MARCH_29_UTC },
	{ "of a repeated time the first counts", BERLIN, OCTOBER_25_UTC - HOUR, 2 * HOUR + 1800,
	  OCTOBER_25_UTC + 1800 },
	{ "and not the second", BERLIN, OCTOBER_25_UTC + 1800, 2 * HOUR + 1800,
	  OCTOBER_25_UTC + 25 * HOUR + 1800 },
	{ "a change of half an hour", LORD_HOWE, LORD_HOWE_SKIPS - 6 * HOUR, 2 * HOUR + 600,
	  LORD_HOWE_SKIPS + 600 },
	{ "west of Greenwich", NEW_YORK, JUNE_1_UTC, 23 * HOUR, JUNE_1_UTC + 3 * HOUR },
};

static void daily_keeps_local_time(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(daily_cases); i++) {
		int64_t t;

		setenv("TZ", daily_cases[i].zone, 1);
		t = schedule_daily_next(daily_cases[i].after, daily_cases[i].second_of_day);
		if (t != daily_cases[i].expected)
			fail_msg("%s: %lld, expected %lld", daily_cases[i].what, (long long)t,
				 (long long)daily_cases[i].expected);
	}
	unsetenv("TZ");
}

static void daily_comes_once_a_day(void **state)
{
	int64_t t = MARCH_29_UTC - 100 * 24 * HOUR;
	int n = 0;

	(void)state;
	setenv("TZ", BERLIN, 1);
	while (t < MARCH_29_UTC + 265 * 24 * HOUR) {
		int64_t next = schedule_daily_next(t, 2 * HOUR + 1800);

		assert_true(next > t);
		if (n > 0) {
			assert_true(next - t >= 23 * HOUR);
			assert_true(next - t <= 25 * HOUR);
		}
		t = next;
		n++;
	}
	assert_int_equal(n, 366);
	unsetenv("TZ");
}

static const struct {
	const char *what;
	uint64_t now;
	uint64_t skipped, k, due;
} every_cases[] = {
	{ "before it is due", 1009, 0, 1, 1010 },
	{ "in time", 1010, 0, 1, 1010 },
	{ "late by less than a period", 1019, 0, 1, 1010 },
	{ "late by one period", 1020, 1, 2, 1020 },
	{ "late by several", 1055, 4, 5, 1050 },
};

static void every_counts_what_it_passes_over(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(every_cases); i++) {
		struct schedule_every e = { .start = 1000, .every = 10 };

		schedule_every_first(&e, 12345);
		if (schedule_every_skip(&e, every_cases[i].now) != every_cases[i].skipped ||
		    e.k != every_cases[i].k || e.due != every_cases[i].due)
			fail_msg("%s", every_cases[i].what);
		schedule_every_next(&e, 12345);
		if (e.due != every_cases[i].due + 10)
			fail_msg("%s: and then", every_cases[i].what);
	}
}

static void every_does_not_drift(void **state)
{
	struct schedule_every e = { .start = 7, .every = 1000, .jitter = 300 };
	bool spread = false;

	(void)state;
	schedule_every_first(&e, 0);
	for (uint64_t k = 1; k < 10000; k++) {
		uint64_t base = 7 + k * 1000;

		assert_true(e.due >= base && e.due <= base + 300);
		if (e.due != base && e.due != base + 300)
			spread = true;
		schedule_every_next(&e, k * 0x9E3779B97F4A7C15ULL);
	}
	assert_true(spread);
}

static void jitter_over_a_period_keeps_the_order(void **state)
{
	struct schedule_every e = { .start = 0, .every = 10, .jitter = 1000 };
	uint64_t before = 0;

	(void)state;
	schedule_every_first(&e, 999);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_true(e.due > before);
		before = e.due;
		schedule_every_next(&e, i * 0x9E3779B97F4A7C15ULL);
	}
}

/* A run on a real loop: nodes are written down as they come. */
#define SEEN_MAX 256

struct run {
	struct event_base *base;
	struct schedule *schedule;
	struct {
		Assay__TimeNode__Kind kind;
		uint64_t due;
		char reason[SCHEDULE_REASON_MAX];
	} seen[SEEN_MAX];
	size_t n;
	bool hold; /* call schedule_busy */
};

static void on_node(void *arg, const struct schedule_node *node)
{
	struct run *run = arg;

	assert_true(run->n < SEEN_MAX);
	/* Never before its time. */
	assert_true(node->due_boottime_ns <= schedule_boottime_ns());
	run->seen[run->n].kind = node->config->kind;
	run->seen[run->n].due = node->due_boottime_ns;
	snprintf(run->seen[run->n].reason, SCHEDULE_REASON_MAX, "%s", node->reason);
	run->n++;
	if (run->hold)
		schedule_busy(run->schedule);
}

static void run_open(struct run *run, const struct config_node *nodes, size_t n)
{
	struct event_config *config = event_config_new();

	memset(run, 0, sizeof(*run));
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	run->base = event_base_new_with_config(config);
	event_config_free(config);
	assert_non_null(run->base);
	assert_int_equal(schedule_new(run->base, nodes, n, on_node, run, &run->schedule), 0);
}

static void run_for(struct run *run, unsigned int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	event_base_loopexit(run->base, &t);
	event_base_dispatch(run->base);
}

/* Until n nodes came, however slow the machine is; a node that never comes fails after 20 s. */
static void run_until(struct run *run, size_t n)
{
	uint64_t limit = schedule_boottime_ns() + 20000 * MS;

	while (run->n < n && schedule_boottime_ns() < limit) {
		struct timeval look_again = { .tv_usec = 100000 };

		event_base_loopexit(run->base, &look_again);
		event_base_loop(run->base, EVLOOP_ONCE);
	}
	assert_true(run->n >= n);
}

static void run_close(struct run *run)
{
	schedule_free(run->schedule);
	event_base_free(run->base);
}

/* The missed nodes, as the next MI would tell. */
static size_t take_missed(struct run *run, char why[SCHEDULE_WHY_MAX])
{
	struct mi *mi = NULL;
	Assay__TimeNode node = ASSAY__TIME_NODE__INIT;
	size_t n;

	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(schedule_take_missed(run->schedule, mi, &node), 0);
	n = node.n_missed + node.missed_uncounted;
	if (why)
		snprintf(why, SCHEDULE_WHY_MAX, "%s", node.n_missed ? node.missed[0]->why : "");
	mi_free(mi);
	return n;
}

static void nodes_come_in_order_and_in_time(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__START },
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = 20 * MS },
	};
	struct run run;
	uint64_t start;

	(void)state;
	run_open(&run, nodes, 2);
	start = schedule_boottime_ns();
	assert_int_equal(schedule_start(run.schedule, start), 0);
	/* Handed out from the loop only. */
	assert_int_equal(run.n, 0);
	run_until(&run, 2);
	run_for(&run, 150);
	assert_int_equal(run.seen[0].kind, ASSAY__TIME_NODE__KIND__START);
	assert_int_equal(run.seen[0].due, start);
	for (size_t i = 1; i < run.n; i++) {
		assert_int_equal(run.seen[i].kind, ASSAY__TIME_NODE__KIND__EVERY);
		assert_int_equal((run.seen[i].due - start) % (20 * MS), 0);
		assert_true(run.seen[i].due > run.seen[i - 1].due);
	}
	/* Each period was a node, or was missed. */
	assert_int_equal(run.n - 1 + schedule_missed_total(run.schedule),
			 (run.seen[run.n - 1].due - start) / (20 * MS));
	run_close(&run);
}

static void a_busy_application_misses_and_says_so(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = 20 * MS },
		{ .kind = ASSAY__TIME_NODE__KIND__DEMAND },
	};
	char why[SCHEDULE_WHY_MAX];
	struct run run;
	uint64_t start;

	(void)state;
	run_open(&run, nodes, 2);
	start = schedule_boottime_ns();
	assert_int_equal(schedule_start(run.schedule, start), 0);
	run.hold = true;
	run_until(&run, 1);
	run_for(&run, 50);
	/* A round runs: one of each waits, the rest is missed or joins. */
	assert_int_equal(schedule_trigger(run.schedule, ASSAY__TIME_NODE__KIND__DEMAND, "nonce 1"),
			 0);
	assert_int_equal(schedule_trigger(run.schedule, ASSAY__TIME_NODE__KIND__DEMAND, "nonce 2"),
			 0);
	run_for(&run, 100);
	assert_int_equal(run.n, 1);
	schedule_ready(run.schedule);
	run_until(&run, 2);
	assert_int_equal(run.n, 2);
	assert_int_equal(run.seen[1].kind, ASSAY__TIME_NODE__KIND__EVERY);
	assert_true(run.seen[1].due >= start + 40 * MS);
	assert_true(take_missed(&run, why) > 0);
	assert_string_equal(why, "a node before it was still waiting");
	schedule_ready(run.schedule);
	run_until(&run, 3);
	assert_int_equal(run.seen[2].kind, ASSAY__TIME_NODE__KIND__DEMAND);
	assert_string_equal(run.seen[2].reason, "nonce 1; nonce 2");
	run_close(&run);
}

static void a_loop_that_stood_still_is_reported(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = 10 * MS },
	};
	struct timespec still = { .tv_nsec = 95 * MS };
	char why[SCHEDULE_WHY_MAX];
	struct run run;
	uint64_t start;
	size_t missed;

	(void)state;
	run_open(&run, nodes, 1);
	start = schedule_boottime_ns();
	assert_int_equal(schedule_start(run.schedule, start), 0);
	/* One node only, so that a slow machine has no other to miss for another reason. */
	run.hold = true;
	nanosleep(&still, NULL);
	run_until(&run, 1);
	assert_int_equal(run.n, 1);
	missed = take_missed(&run, why);
	assert_true(missed >= 8);
	assert_int_equal(missed + 1, (run.seen[0].due - start) / (10 * MS));
	assert_string_equal(why, "assayd did not run in time");
	/* They are told once. */
	assert_int_equal(take_missed(&run, NULL), 0);
	run_close(&run);
}

static void more_missed_than_can_be_listed_are_counted(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = MS },
	};
	struct run run;
	uint64_t start;

	(void)state;
	run_open(&run, nodes, 1);
	start = schedule_boottime_ns() - 1000 * MS;
	assert_int_equal(schedule_start(run.schedule, start), 0);
	run.hold = true;
	event_base_loop(run.base, EVLOOP_ONCE);
	assert_int_equal(run.n, 1);
	assert_int_equal(take_missed(&run, NULL) + 1, (run.seen[0].due - start) / MS);
	run_close(&run);
}

static void missed_nodes_of_a_lost_mi_come_again(void **state)
{
	struct mi *mi = NULL;
	Assay__TimeNode node = ASSAY__TIME_NODE__INIT;
	char why[SCHEDULE_WHY_MAX];
	struct run run;

	(void)state;
	run_open(&run, NULL, 0);
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	schedule_missed(run.schedule, ASSAY__TIME_NODE__KIND__EVERY, 77, "the chip did not answer");
	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(schedule_take_missed(run.schedule, mi, &node), 0);
	assert_int_equal(node.n_missed, 1);
	assert_int_equal(node.missed[0]->due_boottime_ns, 77);
	schedule_give_back(run.schedule, &node);
	mi_free(mi);
	assert_int_equal(take_missed(&run, why), 1);
	assert_string_equal(why, "the chip did not answer");
	assert_int_equal(schedule_missed_total(run.schedule), 1);
	run_close(&run);
}

static void events_close_together_make_one_node(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__EVENT,
		  .events = CONFIG_EVENT_EXEC | CONFIG_EVENT_LISTEN },
	};
	struct run run;
	uint64_t first;

	(void)state;
	run_open(&run, nodes, 1);
	assert_int_equal(schedule_event(run.schedule, CONFIG_EVENT_EXEC, "early"), -ESHUTDOWN);
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	assert_true(schedule_wants_event(run.schedule, CONFIG_EVENT_LISTEN));
	assert_false(schedule_wants_event(run.schedule, CONFIG_EVENT_FOREIGN));
	assert_int_equal(schedule_event(run.schedule, CONFIG_EVENT_FOREIGN, "other"), -ENOENT);
	assert_int_equal(schedule_event(run.schedule, CONFIG_EVENT_EXEC, "exec"), 0);
	run_until(&run, 1);
	/* The first at once, not after the gap. */
	assert_int_equal(run.n, 1);
	assert_string_equal(run.seen[0].reason, "exec");
	first = run.seen[0].due;
	for (int i = 0; i < 50; i++)
		assert_int_equal(schedule_event(run.schedule, CONFIG_EVENT_LISTEN,
						i % 2 ? "listen" : "exec"),
				 0);
	run_until(&run, 2);
	run_for(&run, 250);
	assert_int_equal(run.n, 2);
	assert_string_equal(run.seen[1].reason, "exec; listen");
	assert_true(run.seen[1].due >= first + SCHEDULE_EVENT_GAP_NS);
	assert_int_equal(schedule_missed_total(run.schedule), 0);
	run_close(&run);
}

static void triggers_need_a_row_in_the_configuration(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__STAGE },
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = 3600 * 1000 * MS },
	};
	struct run run;

	(void)state;
	run_open(&run, nodes, 2);
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	assert_int_equal(schedule_trigger(run.schedule, ASSAY__TIME_NODE__KIND__DEMAND, "x"),
			 -ENOENT);
	assert_int_equal(schedule_trigger(run.schedule, ASSAY__TIME_NODE__KIND__EVERY, "x"),
			 -ENOENT);
	assert_int_equal(schedule_trigger(run.schedule, ASSAY__TIME_NODE__KIND__STAGE, "stage 2"),
			 0);
	run_until(&run, 1);
	assert_int_equal(run.n, 1);
	assert_string_equal(run.seen[0].reason, "stage 2");
	run_close(&run);
}

static void a_time_comes_once_or_was_past(void **state)
{
	int64_t now = (int64_t)(schedule_realtime_ns() / 1000000000);
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__TIME, .time = now - 3600 },
		{ .kind = ASSAY__TIME_NODE__KIND__TIME, .time = now + 2 },
		{ .kind = ASSAY__TIME_NODE__KIND__TIME, .time = 1 },
		{ .kind = ASSAY__TIME_NODE__KIND__DAILY, .second_of_day = 0 },
	};
	char why[SCHEDULE_WHY_MAX];
	struct run run;

	(void)state;
	run_open(&run, nodes, 3);
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	run_until(&run, 1);
	run_for(&run, 50);
	assert_int_equal(run.n, 1);
	assert_int_equal(run.seen[0].kind, ASSAY__TIME_NODE__KIND__TIME);
	assert_int_equal(take_missed(&run, why), 2);
	assert_string_equal(why, "its time was past when the application started");
	run_close(&run);
}

static void what_waits_at_the_end_is_missed(void **state)
{
	const struct config_node nodes[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__START },
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY, .every_ns = 10 * MS },
	};
	struct run run;

	(void)state;
	run_open(&run, nodes, 2);
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	schedule_stop(run.schedule);
	run_for(&run, 50);
	assert_int_equal(run.n, 0);
	assert_int_equal(take_missed(&run, NULL), 1);
	/* And a new start begins afresh. */
	assert_int_equal(schedule_start(run.schedule, schedule_boottime_ns()), 0);
	assert_int_equal(schedule_missed_total(run.schedule), 0);
	run.hold = true;
	run_until(&run, 1);
	assert_int_equal(run.n, 1);
	assert_int_equal(run.seen[0].kind, ASSAY__TIME_NODE__KIND__START);
	run_close(&run);
}

static void events_do_not_put_turns_off_for_ever(void **state)
{
	unsigned int in_a_row = 0, others = 0;

	(void)state;
	assert_false(schedule_brief(ASSAY__TIME_NODE__KIND__EVERY, &in_a_row));
	for (int i = 0; i < 10 * (COLLECTOR_BRIEF_MAX + 1); i++) {
		bool brief = schedule_brief(ASSAY__TIME_NODE__KIND__EVENT, &in_a_row);

		assert_int_equal(brief, i % (COLLECTOR_BRIEF_MAX + 1) != COLLECTOR_BRIEF_MAX);
		others += !brief;
	}
	assert_int_equal(others, 10);
	/* One that is not brief in between begins the count anew. */
	assert_true(schedule_brief(ASSAY__TIME_NODE__KIND__EVENT, &in_a_row));
	assert_false(schedule_brief(ASSAY__TIME_NODE__KIND__STAGE, &in_a_row));
	assert_int_equal(in_a_row, 0);
}

static void a_kind_that_is_none_is_refused(void **state)
{
	const struct config_node nodes[] = { { .kind = ASSAY__TIME_NODE__KIND__NONE } };
	struct event_base *base = event_base_new();
	struct schedule *s = NULL;

	(void)state;
	assert_int_equal(schedule_new(base, nodes, 1, on_node, NULL, &s), -EINVAL);
	assert_null(s);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(daily_keeps_local_time),
		cmocka_unit_test(daily_comes_once_a_day),
		cmocka_unit_test(every_counts_what_it_passes_over),
		cmocka_unit_test(every_does_not_drift),
		cmocka_unit_test(jitter_over_a_period_keeps_the_order),
		cmocka_unit_test(nodes_come_in_order_and_in_time),
		cmocka_unit_test(a_busy_application_misses_and_says_so),
		cmocka_unit_test(a_loop_that_stood_still_is_reported),
		cmocka_unit_test(more_missed_than_can_be_listed_are_counted),
		cmocka_unit_test(missed_nodes_of_a_lost_mi_come_again),
		cmocka_unit_test(events_close_together_make_one_node),
		cmocka_unit_test(triggers_need_a_row_in_the_configuration),
		cmocka_unit_test(a_time_comes_once_or_was_past),
		cmocka_unit_test(what_waits_at_the_end_is_missed),
		cmocka_unit_test(events_do_not_put_turns_off_for_ever),
		cmocka_unit_test(a_kind_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
