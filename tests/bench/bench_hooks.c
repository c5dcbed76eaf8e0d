/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hooks cost processes that are not measured, and what reading events costs assayd.
 *
 *   bench_hooks [--pairs N] [--seconds N] [--json]
 *
 * getppid, and open+close of a file, without hooks, with the default ones and with hooks: full, in
 * turn, --pairs (25) times; CPU time of the loop, medians of the ratios of neighbours. Then
 * --seconds (2) of 50,000 events each, read when readable as assayd does: CPU time an event, and
 * what was lost. Needs root and eBPF. A missed target is printed and is no failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cleanup.h"
#include "collectors/follow.h"
#include "tests/bench/sample.h"

#define PAIRS_MAX   100
#define SECONDS_MAX 3600
#define CALLS	    500000
#define OPENS	    50000
#define SETTLE_NS   100000000L
#define RATE	    50000 /* events a second */
#define TICK_NS	    1000000L

/* Rows with the default hooks and with all of them alternate: see compare. */
struct row {
	const char *what;
	double (*measure)(void);
	double target;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_hooks: %s: %s\n", what, why);
	exit(3);
}

static double getppid_ns(void)
{
	double start = sample_ms(CLOCK_THREAD_CPUTIME_ID);

	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) * 1e6 / CALLS;
}

static double open_ns(void)
{
	double start = sample_ms(CLOCK_THREAD_CPUTIME_ID);

	for (int i = 0; i < OPENS; i++) {
		int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			fail("/etc/passwd", strerror(errno));
		close(fd);
	}
	return (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) * 1e6 / OPENS;
}

#define ROWS 4
static const struct row rows[ROWS] = {
	{ "getppid, default hooks", getppid_ns, 1.02 },
	{ "getppid, hooks: full", getppid_ns, 1.15 },
	{ "open+close, default hooks", open_ns, 1.05 },
	{ "open+close, hooks: full", open_ns, 0 }, /* no target is set */
};

struct result {
	double without_ns, ratio;
};

/* Of one row, pair by pair. */
struct samples {
	double without[PAIRS_MAX], ratios[PAIRS_MAX];
};

static struct follow *hooks(bool full)
{
	struct follow_options options = { .full = full };
	struct follow *f = NULL;
	char why[256] = "";

	if (follow_open(&options, &f, why, sizeof(why)) < 0)
		fail("eBPF", why);
	return f;
}

/* What the kernel still does for programs that came or went is nobody's call. */
static void settle(void)
{
	static const struct timespec rest = { .tv_nsec = SETTLE_NS };

	nanosleep(&rest, NULL);
}

/* Neighbours in time are compared, without hooks before and after. */
static void compare(bool full, int pair, struct samples samples[ROWS])
{
	double before[ROWS], with[ROWS];
	struct follow *f;

	for (size_t i = full; i < ROWS; i += 2)
		before[i] = rows[i].measure();
	f = hooks(full);
	settle();
	for (size_t i = full; i < ROWS; i += 2)
		with[i] = rows[i].measure();
	follow_close(f);
	settle();
	for (size_t i = full; i < ROWS; i += 2) {
		double without = (before[i] + rows[i].measure()) / 2;

		samples[i].without[pair] = without;
		samples[i].ratios[pair] = with[i] / without;
	}
}

static void compare_all(int pairs, struct result results[ROWS])
{
	static struct samples samples[ROWS];

	for (int pair = 0; pair < pairs; pair++) {
		compare(false, pair, samples);
		compare(true, pair, samples);
	}
	for (size_t i = 0; i < ROWS; i++)
		results[i] = (struct result){ sample_median(samples[i].without, (size_t)pairs),
					      sample_median(samples[i].ratios, (size_t)pairs) };
}

/* A process that is measured and ignores the signals it gets; each is one event. */
static pid_t start_target(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe", strerror(errno));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, SIG_IGN);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		fail("target", strerror(errno));
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* Sends them at that rate from a process of its own, a few each millisecond. */
static pid_t start_sender(pid_t target, int seconds)
{
	pid_t pid = fork();
	struct timespec due;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clock_gettime(CLOCK_MONOTONIC, &due);
	for (long tick = 0; tick < seconds * 1000L; tick++) {
		for (int i = 0; i < RATE / 1000; i++)
			kill(target, SIGUSR1);
		due.tv_nsec += TICK_NS;
		if (due.tv_nsec >= 1000000000L) {
			due.tv_sec++;
			due.tv_nsec -= 1000000000L;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
	_exit(0);
}

struct drained {
	double ns; /* CPU time of reading, an event */
	uint64_t events, lost;
	double seconds;
};

static struct drained drain(int seconds)
{
	struct drained d = { 0 };
	struct follow_loss_account a;
	struct follow *f = hooks(false);
	pid_t target = start_target(), sender;
	double began, cpu;
	uint32_t slot;

	if (follow_slot_new(f, &slot) < 0 || follow_add_root(f, slot, target) < 0)
		fail("slot", "no room");
	began = sample_ms(CLOCK_MONOTONIC);
	cpu = sample_ms(CLOCK_THREAD_CPUTIME_ID);
	sender = start_sender(target, seconds);
	while (waitpid(sender, NULL, WNOHANG) == 0) {
		struct pollfd fd = { .fd = follow_events_fd(f), .events = POLLIN };

		if (poll(&fd, 1, 100) > 0 && follow_drain(f) < 0)
			fail("drain", "a bad record");
		follow_window_reset(f, slot);
	}
	if (follow_account(f, &a) < 0 || !a.settled)
		fail("account", "it does not settle");
	d.seconds = (sample_ms(CLOCK_MONOTONIC) - began) / 1e3;
	d.events = a.delivered;
	d.lost = a.dropped_total;
	d.ns = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 /
	       (double)(a.delivered ? a.delivered : 1);
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
	follow_close(f);
	return d;
}

static void print_json(const struct result results[ROWS], const struct drained *d)
{
	json_t *all = json_object(), *list = json_array();

	for (size_t i = 0; i < ROWS; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "what", json_string(rows[i].what));
		json_object_set_new(row, "without_ns", json_real(results[i].without_ns));
		json_object_set_new(row, "ratio", json_real(results[i].ratio));
		json_object_set_new(row, "target", json_real(rows[i].target));
		json_array_append_new(list, row);
	}
	json_object_set_new(all, "bench", json_string("hooks"));
	json_object_set_new(all, "rows", list);
	json_object_set_new(all, "drain_ns", json_real(d->ns));
	json_object_set_new(all, "events", json_integer((json_int_t)d->events));
	json_object_set_new(all, "seconds", json_real(d->seconds));
	json_object_set_new(all, "lost", json_integer((json_int_t)d->lost));
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	printf("\n");
	json_decref(all);
}

static void print_text(const struct result results[ROWS], const struct drained *d)
{
	printf("a process that is not measured, CPU ns a call, medians\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		const struct result *r = &results[i];

		printf("  %-28s %8.1f %8.3fx", rows[i].what, r->without_ns, r->ratio);
		if (rows[i].target > 0)
			printf("  target %.2fx  %s", rows[i].target,
			       r->ratio <= rows[i].target ? "met" : "MISSED");
		printf("\n");
	}
	printf("\n  %-28s %8.1f  target 1000 ns  %s\n", "reading an event", d->ns,
	       d->ns <= 1000 ? "met" : "MISSED");
	printf("  %-28s %8.0f  of %llu in %.1f s, lost %llu  %s\n", "events a second",
	       (double)d->events / d->seconds, (unsigned long long)(d->events + d->lost),
	       d->seconds, (unsigned long long)d->lost, d->lost == 0 ? "met" : "MISSED");
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "pairs", required_argument, NULL, 'p' },
						 { "seconds", required_argument, NULL, 's' },
						 { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	struct result results[ROWS];
	int pairs = 25, seconds = 2, c;
	struct drained d;
	bool json = false;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			pairs = sample_number(optarg, PAIRS_MAX);
		else if (c == 's')
			seconds = sample_number(optarg, SECONDS_MAX);
		else if (c == 'j')
			json = true;
		else
			return 2;
	}
	if (pairs == 0 || seconds == 0 || optind != argc) {
		fprintf(stderr, "usage: bench_hooks [--pairs N] [--seconds N] [--json]\n");
		return 2;
	}
	if (geteuid() != 0)
		fail("hooks", "needs root");
	compare_all(pairs, results);
	d = drain(seconds);
	if (json)
		print_json(results, &d);
	else
		print_text(results, &d);
	return 0;
}
