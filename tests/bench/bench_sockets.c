/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listing sockets costs where a machine has many: descriptors and network of an application,
 * against reading /proc/net/tcp, in turn; medians of the pairs, CPU time of this process.
 *
 *   bench_sockets [SOCKETS]
 *
 * SOCKETS (10000) TCP sockets on loopback, once the application's own and once another's. Needs
 * root and cgroup v2. A missed target is printed and is no failure.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/follow.h"
#include "collectors/table.h"
#include "target.h"
#include "tests/bench/sample.h"

#define PAIRS  9
#define ROUNDS 5

#define SOCKETS_MAX 1000000

struct bench {
	int base_fd;
	char *base_path;
	struct follow *follow;
	struct target *target;
	struct target_config config;
	struct collector *network;
	struct mi *mi;
	char name[64];
};

/* Both ends of n / 2 connections, in one process that says so and stays. */
static int hold_sockets(int n, int ready)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rlimit limit = { (rlim_t)n + 1024, (rlim_t)n + 1024 };
	int server = socket(AF_INET, SOCK_STREAM, 0), one;
	socklen_t len = sizeof(at);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || bind(server, (struct sockaddr *)&at, len) < 0 ||
	    listen(server, 128) < 0 || getsockname(server, (struct sockaddr *)&at, &len) < 0)
		return 1;
	for (int i = 0; i < n / 2; i++) {
		one = socket(AF_INET, SOCK_STREAM, 0);
		if (one < 0 || connect(one, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		    accept(server, NULL, NULL) < 0)
			return 2;
	}
	if (write(ready, "r", 1) != 1)
		return 3;
	pause();
	return 0;
}

static pid_t start_holder(int n)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(hold_sockets(n, ready[1]));
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

static int list_once(struct bench *b)
{
	static uint64_t clock = 1;
	struct collector_time time = { .boottime_ns = clock + 1, .previous_boottime_ns = clock };
	int r;

	clock++;
	r = mi_reset(b->mi);
	if (r == 0)
		r = target_scan(b->target, time.boottime_ns, b->mi);
	return r < 0 ? r : collector_network.collect(b->network, &time, b->mi);
}

static int read_text(void)
{
	static char text[65536];
	CLEANUP(cleanup_fd) int fd = open("/proc/net/tcp", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0)
		;
	return n < 0 ? -1 : 0;
}

static int compare(struct bench *b, const char *whose, double target)
{
	double ours[PAIRS], text[PAIRS], ratio[PAIRS], ratios, start;

	if (list_once(b) < 0)
		return -1;
	for (int i = 0; i < PAIRS; i++) {
		start = sample_ms(CLOCK_PROCESS_CPUTIME_ID);
		for (int k = 0; k < ROUNDS; k++) {
			if (list_once(b) < 0)
				return -1;
		}
		ours[i] = (sample_ms(CLOCK_PROCESS_CPUTIME_ID) - start) / ROUNDS;
		start = sample_ms(CLOCK_PROCESS_CPUTIME_ID);
		for (int k = 0; k < ROUNDS; k++) {
			if (read_text() < 0)
				return -1;
		}
		text[i] = (sample_ms(CLOCK_PROCESS_CPUTIME_ID) - start) / ROUNDS;
		ratio[i] = ours[i] / text[i];
	}
	ratios = sample_median(ratio, PAIRS);
	printf("%-40s %8.3f ms, /proc/net/tcp %8.3f ms, ratio %.3f (target %.2f)%s\n", whose,
	       sample_median(ours, PAIRS), sample_median(text, PAIRS), ratios, target,
	       ratios > target ? " MISSED" : "");
	return 0;
}

static int open_bench(struct bench *b)
{
	struct follow_options options = { .now_boottime_ns = 1 };
	char why[256] = "";
	int r;

	snprintf(b->name, sizeof(b->name), "assay-bench-%d", getpid());
	b->config.name = b->name;
	r = cgroup_base(NULL, &b->base_fd, &b->base_path, why, sizeof(why));
	if (r == 0)
		r = follow_open(&options, &b->follow, why, sizeof(why));
	if (r == 0)
		r = target_new(&b->config, b->base_fd, b->base_path, b->follow, &b->target);
	if (r == 0)
		r = collector_network.open(b->target, &b->network);
	if (r == 0)
		r = mi_new(&b->mi);
	if (r < 0)
		fprintf(stderr, "bench_sockets: %s (%s)\n", why, strerror(-r));
	return r;
}

static void close_bench(struct bench *b)
{
	mi_free(b->mi);
	if (b->network)
		collector_network.close(b->network);
	target_free(b->target);
	follow_close(b->follow);
	if (b->base_path)
		rmdir(b->base_path);
	free(b->base_path);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? sample_number(argv[1], SOCKETS_MAX) : 10000, r;
	pid_t holder, few;
	struct bench b = { .base_fd = -1 };

	if (geteuid() != 0 || n < 2) {
		fprintf(stderr, "bench_sockets: needs root, and a number of sockets\n");
		return 77;
	}
	holder = start_holder(n);
	few = start_holder(20);
	if (holder < 0 || few < 0)
		fprintf(stderr, "bench_sockets: %d sockets cannot be had here\n", n);
	r = holder < 0 || few < 0 ? -1 : open_bench(&b);
	/* First an application with 20 of them beside the many. */
	if (r == 0)
		r = cgroup_add(b.target->cgroup_fd, few);
	if (r == 0)
		r = compare(&b, "20 of the application, many of others", 0.25);
	if (r == 0)
		r = cgroup_add(b.target->cgroup_fd, holder);
	if (r == 0)
		r = compare(&b, "all of the application", 0.25);
	for (int i = 0; i < 2; i++) {
		pid_t pid = i ? few : holder;

		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	close_bench(&b);
	return r == 0 ? 0 : 1;
}
