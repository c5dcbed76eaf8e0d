/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How late time nodes come, idle, against a timer of a libevent base as it is by default.
 *
 *   bench_schedule [--every MS] [--nodes N] [--pairs N] [--json]
 *
 * Both wait for the same period (100 ms), one after the other, --pairs (3) times --nodes (50) each:
 *
 *   schedule  daemon/schedule.c, `every: 100ms`: a timerfd on CLOCK_BOOTTIME, absolute
 *   default   event_base_new() and a persistent evtimer
 *   floor     epoll_wait(2) on such a timerfd and nothing else: what this machine wakes up in
 *
 * How far the callback is from the time that was due, start plus k periods: too early
 * (which the default timer can be, by the tick of a coarse clock) is as wrong as too late. A
 * missed target is printed and is no failure.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "daemon/schedule.h"

#define MS	  1000000ULL
#define NODES_MAX 100000
#define TARGET_MS 0.1

struct run {
	struct event_base *base;
	uint64_t *late; /* ns */
	size_t n, most, stop_at;
	uint64_t start, every;
};

struct result {
	const char *name;
	double p50, p99, max; /* ms */
	double cpu;	      /* ms for a node, of the whole process */
};

static void note(struct run *r, uint64_t due)
{
	uint64_t now = schedule_boottime_ns();

	if (r->n < r->stop_at)
		r->late[r->n++] = now > due ? now - due : due - now;
	if (r->n == r->stop_at && r->base)
		event_base_loopbreak(r->base);
}

static void on_node(void *arg, const struct schedule_node *node)
{
	note(arg, node->due_boottime_ns);
}

static int run_schedule(struct run *r)
{
	const struct config_node node = { .kind = ASSAY__TIME_NODE__KIND__EVERY,
					  .every_ns = r->every };
	struct event_config *config = event_config_new();
	struct schedule *s = NULL;
	int e = -ENOMEM;

	if (!config)
		return e;
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	r->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!r->base)
		return e;
	e = schedule_new(r->base, &node, 1, on_node, r, &s);
	if (e == 0)
		e = schedule_start(s, schedule_boottime_ns());
	if (e == 0 && event_base_dispatch(r->base) < 0)
		e = -EIO;
	schedule_free(s);
	event_base_free(r->base);
	return e;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	r->start += r->every;
	note(r, r->start);
}

static int run_default(struct run *r)
{
	struct timeval every = { .tv_sec = (time_t)(r->every / 1000000000),
				 .tv_usec = (suseconds_t)(r->every % 1000000000 / 1000) };
	struct event *timer;
	int e = 0;

	r->base = event_base_new();
	if (!r->base)
		return -ENOMEM;
	timer = event_new(r->base, -1, EV_PERSIST, on_timer, r);
	if (!timer) {
		event_base_free(r->base);
		return -ENOMEM;
	}
	r->start = schedule_boottime_ns();
	if (event_add(timer, &every) < 0 || event_base_dispatch(r->base) < 0)
		e = -EIO;
	event_free(timer);
	event_base_free(r->base);
	return e;
}

static int run_floor(struct run *r)
{
	struct epoll_event e = { .events = EPOLLIN };
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int epoll = epoll_create1(EPOLL_CLOEXEC), result = -EIO;
	uint64_t due = schedule_boottime_ns(), expired;

	r->base = NULL;
	if (timer < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e) < 0)
		goto out;
	while (r->n < r->stop_at) {
		struct itimerspec t = { 0 };

		due += r->every;
		t.it_value.tv_sec = (time_t)(due / 1000000000);
		t.it_value.tv_nsec = (long)(due % 1000000000);
		if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL) < 0 ||
		    epoll_wait(epoll, &e, 1, -1) != 1)
			goto out;
		note(r, due);
		if (read(timer, &expired, sizeof(expired)) != sizeof(expired))
			goto out;
	}
	result = 0;
out:
	if (timer >= 0)
		close(timer);
	if (epoll >= 0)
		close(epoll);
	return result;
}

static const struct {
	const char *name;
	int (*run)(struct run *r);
} way_table[] = {
	{ "schedule", run_schedule },
	{ "default", run_default },
	{ "floor", run_floor },
};

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void evaluate(const struct run *r, const char *name, double cpu, struct result *ret)
{
	qsort(r->late, r->n, sizeof(*r->late), by_size);
	*ret = (struct result){
		.name = name,
		.p50 = (double)r->late[r->n / 2] / 1e6,
		.p99 = (double)r->late[r->n * 99 / 100] / 1e6,
		.max = (double)r->late[r->n - 1] / 1e6,
		.cpu = cpu / (double)r->n,
	};
}

static void print_table(const struct result *results, size_t n, unsigned long every, size_t nodes)
{
	printf("lateness of every: %lums, idle, %zu nodes each\n", every, nodes);
	printf("%-10s %10s %10s %10s %14s\n", "", "p50 ms", "p99 ms", "max ms", "cpu ms/node");
	for (size_t i = 0; i < n; i++)
		printf("%-10s %10.4f %10.4f %10.4f %14.4f\n", results[i].name, results[i].p50,
		       results[i].p99, results[i].max, results[i].cpu);
	printf("p50 %.4f ms, target under %.1f ms: %s; %.1f times as punctual as the default\n",
	       results[0].p50, TARGET_MS, results[0].p50 < TARGET_MS ? "met" : "MISSED",
	       results[1].p50 / results[0].p50);
}

static int print_json(const struct result *results, size_t n, unsigned long every, size_t nodes)
{
	json_t *ways = json_array(), *all;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			ways, json_pack("{s:s,s:f,s:f,s:f,s:f}", "name", results[i].name, "p50_ms",
					results[i].p50, "p99_ms", results[i].p99, "max_ms",
					results[i].max, "cpu_ms_per_node", results[i].cpu));
	all = json_pack("{s:s,s:I,s:I,s:o,s:f,s:f,s:b}", "bench", "schedule", "every_ms",
			(json_int_t)every, "nodes", (json_int_t)nodes, "ways", ways, "ratio_p50",
			results[1].p50 / results[0].p50, "target_p50_ms", TARGET_MS, "met",
			results[0].p50 < TARGET_MS);
	if (!all)
		return -ENOMEM;
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "every", required_argument, NULL, 'e' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	unsigned long every = 100, nodes = 50, pairs = 3;
	struct result results[ARRAY_LEN(way_table)];
	struct run runs[ARRAY_LEN(way_table)] = { 0 };
	double cpu[ARRAY_LEN(way_table)] = { 0 };
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'e')
			every = strtoul(optarg, NULL, 10);
		else if (o == 'n')
			nodes = strtoul(optarg, NULL, 10);
		else if (o == 'p')
			pairs = strtoul(optarg, NULL, 10);
		else if (o == 'j')
			json = true;
		else
			return 2;
	}
	if (every == 0 || nodes == 0 || pairs == 0 || nodes > NODES_MAX ||
	    pairs > NODES_MAX / nodes)
		return 2;

	for (size_t w = 0; w < ARRAY_LEN(way_table); w++) {
		runs[w].every = every * MS;
		runs[w].most = nodes * pairs;
		runs[w].late = calloc(runs[w].most, sizeof(uint64_t));
		if (!runs[w].late)
			return 3;
	}
	for (size_t p = 0; p < pairs; p++) {
		for (size_t w = 0; w < ARRAY_LEN(way_table); w++) {
			double before = cpu_ms();
			int r;

			runs[w].stop_at = runs[w].n + nodes;
			r = way_table[w].run(&runs[w]);
			if (r < 0) {
				fprintf(stderr, "%s: %s\n", way_table[w].name, strerror(-r));
				return 3;
			}
			cpu[w] += cpu_ms() - before;
		}
	}
	for (size_t w = 0; w < ARRAY_LEN(way_table); w++)
		evaluate(&runs[w], way_table[w].name, cpu[w], &results[w]);
	if (!json)
		print_table(results, ARRAY_LEN(results), every, nodes * pairs);
	else if (print_json(results, ARRAY_LEN(results), every, nodes * pairs) < 0)
		return 3;
	for (size_t w = 0; w < ARRAY_LEN(way_table); w++)
		free(runs[w].late);
	return 0;
}
