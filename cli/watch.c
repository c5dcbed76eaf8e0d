/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "collector.h"
#include "collectors/cgroup.h"
#include "collectors/follow.h"
#include "target.h"

/*
 * The process is left alone: it is not moved into a cgroup; the eBPF side is told that it and its
 * descendants are the application, whose own cgroup stays empty.
 */

#define COLLECTORS_MAX 16
#define DEPTH_MAX      64 /* of the process tree */

struct watch {
	pid_t pid;
	struct target_config config;
	char name[64], program[4096];
	const char *files[1];
	struct follow *follow;
	char *base_path; /* of the cgroup above the target's */
	struct target *target;
	struct collector *collectors[COLLECTORS_MAX];
	size_t n_collectors;
	struct mi *mi;
	uint64_t nodes, last_ns; /* measured; when the last was */
	char failed[512];	 /* what could not be done */
};

static const char *const recorded[] = { "LANG", "LC_*", "LD_*", "PATH" };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What is to be said when the next step fails. */
static void step(struct watch *x, const char *what)
{
	snprintf(x->failed, sizeof(x->failed), "%s", what);
}

/* When the process started, by CLOCK_BOOTTIME: field 22 of /proc/PID/stat, in clock ticks. */
static int start_of(pid_t pid, uint64_t *ret_ns)
{
	unsigned long long ticks;
	CLEANUP(cleanup_file) FILE *f = NULL;
	char path[64], line[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return -ESRCH;
	at = strrchr(line, ')'); /* the name before it may hold anything */
	if (!at || sscanf(at + 1,
			  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			  "%*d %*d %*d %*d %llu",
			  &ticks) != 1)
		return -EBADMSG;
	*ret_ns = ticks * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

static int add_tree(struct watch *x, pid_t pid, int depth)
{
	CLEANUP(cleanup_file) FILE *f = NULL;
	char path[64];
	pid_t child;
	int r;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = follow_add_root(x->follow, x->target->slot, pid);
	if (r < 0)
		return r;
	/* Children of its first thread: those of others come through the fork that is followed. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1) {
		r = add_tree(x, child, depth + 1);
		if (r < 0 && r != -ESRCH)
			return r;
	}
	return 0;
}

static int open_target(struct watch *x)
{
	struct follow_options options = { .now_boottime_ns = clock_ns(CLOCK_BOOTTIME) };
	CLEANUP(cleanup_fd) int base_fd = -1;
	uint64_t started;
	int r;

	step(x, "there is no such process");
	r = start_of(x->pid, &started);
	if (r < 0)
		return r;
	r = follow_open(&options, &x->follow, x->failed, sizeof(x->failed));
	if (r < 0)
		return r;
	r = cgroup_base(NULL, &base_fd, &x->base_path, x->failed, sizeof(x->failed));
	if (r < 0)
		return r;
	step(x, "an application could not be made of it");
	r = target_new(&x->config, base_fd, x->base_path, x->follow, &x->target);
	if (r < 0)
		return r;
	x->target->root_pid = x->pid;
	x->target->root_start_boottime_ns = started;
	x->target->started_boottime_ns = started;
	x->target->started_realtime_ns =
		clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + started;
	return add_tree(x, x->pid, 0);
}

static int open_collectors(struct watch *x)
{
	for (size_t i = 0; collector_table[i] && i < COLLECTORS_MAX; i++) {
		int r;

		step(x, collector_table[i]->name);
		r = collector_table[i]->open(x->target, &x->collectors[x->n_collectors]);
		if (r < 0)
			return r;
		x->n_collectors++;
	}
	return 0;
}

static int collect(struct watch *x, uint64_t previous_ns)
{
	struct collector_time now = { .boottime_ns = clock_ns(CLOCK_BOOTTIME),
				      .realtime_ns = clock_ns(CLOCK_REALTIME),
				      .previous_boottime_ns = previous_ns };
	Assay__TimeNode *node = MI_MESSAGE(x->mi, Assay__TimeNode, assay__time_node__init);
	int r;

	step(x, "the processes could not be read");
	if (!node)
		return -ENOMEM;
	node->kind = ASSAY__TIME_NODE__KIND__DEMAND;
	node->number = ++x->nodes;
	node->taken_boottime_ns = now.boottime_ns;
	node->taken_realtime_ns = now.realtime_ns;
	x->mi->msg->node = node;
	r = mi_text(x->mi, x->config.name, &x->mi->msg->application);
	if (r < 0)
		return r;
	r = target_scan(x->target, now.boottime_ns, x->mi);
	if (r < 0)
		return r;
	for (size_t i = 0; i < x->n_collectors; i++) {
		const struct collector_ops *ops = x->collectors[i]->ops;

		step(x, ops->name);
		r = ops->collect(x->collectors[i], &now, x->mi);
		if (r < 0)
			return r;
	}
	r = target_settle(x->target, x->mi);
	if (r < 0)
		return r;
	return x->mi->msg->n_processes > 0 ? 0 : -ESRCH;
}

static int open_all(struct watch *x)
{
	char exe[64];
	ssize_t len;
	int r;

	snprintf(x->name, sizeof(x->name), "inspect-%d-%d", x->pid, getpid());
	snprintf(exe, sizeof(exe), "/proc/%d/exe", x->pid);
	len = readlink(exe, x->program, sizeof(x->program) - 1);
	x->program[len > 0 ? len : 0] = '\0';
	x->files[0] = x->program;
	x->config = (struct target_config){ .name = x->name,
					    .files = x->files,
					    .n_files = x->program[0] ? 1 : 0,
					    .environment = recorded,
					    .n_environment = ARRAY_LEN(recorded),
					    .environment_hash_only = true };
	r = open_target(x);
	if (r == 0)
		r = open_collectors(x);
	if (r == 0)
		r = mi_new(&x->mi);
	x->last_ns = r == 0 ? x->target->started_boottime_ns : 0;
	return r;
}

int watch_open(pid_t pid, struct watch **ret, char failed[WATCH_FAILED_MAX])
{
	struct watch *x = calloc(1, sizeof(*x));
	int r;

	failed[0] = '\0';
	if (!x)
		return -ENOMEM;
	x->pid = pid;
	r = open_all(x);
	if (r < 0) {
		snprintf(failed, WATCH_FAILED_MAX, "%s", x->failed);
		watch_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

int watch_measure(struct watch *x, const struct mi **ret)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	int r;

	step(x, "memory");
	r = x->nodes > 0 ? mi_reset(x->mi) : 0;
	if (r == 0)
		r = collect(x, x->last_ns);
	if (r < 0)
		return r;
	x->last_ns = now;
	*ret = x->mi;
	return 0;
}

int watch_wait(struct watch *x, uint64_t ns)
{
	struct pollfd events = { .fd = follow_events_fd(x->follow), .events = POLLIN };
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + ns, now;
	int r = 0;

	step(x, "events of the kernel");
	while (r == 0 && (now = clock_ns(CLOCK_MONOTONIC)) < end) {
		struct timespec left = { .tv_sec = (time_t)((end - now) / 1000000000),
					 .tv_nsec = (long)((end - now) % 1000000000) };

		if (ppoll(&events, 1, &left, NULL) < 0)
			return neg_errno();
		if (events.revents)
			r = follow_drain(x->follow);
	}
	return r;
}

const char *watch_failed(const struct watch *x)
{
	return x->failed;
}

const char *watch_program(const struct watch *x)
{
	return x->program;
}

void watch_close(struct watch *x)
{
	if (!x)
		return;
	mi_free(x->mi);
	for (size_t i = x->n_collectors; i > 0; i--)
		x->collectors[i - 1]->ops->close(x->collectors[i - 1]);
	target_free(x->target);
	follow_close(x->follow);
	/* Fails where an assayd has its applications there: then it stays. */
	if (x->base_path)
		rmdir(x->base_path);
	free(x->base_path);
	free(x);
}
