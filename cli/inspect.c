/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "collector.h"
#include "collectors/cgroup.h"
#include "collectors/follow.h"
#include "command.h"
#include "findings.h"
#include "mi_json.h"
#include "output.h"
#include "target.h"
#include "terminal.h"

/*
 * One MI of a process that is already running, by the very collectors of assayd. The process
 * is left alone: it is not moved into a cgroup; the eBPF side is told that it and its
 * descendants are the application, whose own cgroup stays empty.
 */

#define COLLECTORS_MAX 16
#define DEPTH_MAX      64 /* of the process tree */

struct inspection {
	pid_t pid;
	unsigned int window_s;
	struct target_config config;
	char name[64], program[4096];
	const char *files[1];
	struct follow *follow;
	char *base_path; /* of the cgroup above the target's */
	struct target *target;
	struct collector *collectors[COLLECTORS_MAX];
	size_t n_collectors;
	struct mi *mi;
	char failed[512]; /* what could not be done */
};

static const char *const recorded[] = { "LANG", "LC_*", "LD_*", "PATH" };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What is to be said when the next step fails. */
static void step(struct inspection *x, const char *what)
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

static int add_tree(struct inspection *x, pid_t pid, int depth)
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

static int open_target(struct inspection *x)
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

static int open_collectors(struct inspection *x)
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

static int collect(struct inspection *x, uint64_t number, uint64_t previous_ns)
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
	node->number = number;
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
	return x->mi->msg->n_processes > 0 ? 0 : -ESRCH;
}

static int take(struct inspection *x)
{
	uint64_t first_ns;
	int r;

	r = open_target(x);
	if (r == 0)
		r = open_collectors(x);
	if (r == 0)
		r = mi_new(&x->mi);
	if (r < 0)
		return r;
	first_ns = clock_ns(CLOCK_BOOTTIME);
	r = collect(x, 1, x->target->started_boottime_ns);
	if (r < 0 || x->window_s == 0)
		return r;
	sleep(x->window_s);
	r = mi_reset(x->mi);
	return r < 0 ? r : collect(x, 2, first_ns);
}

static void inspection_done(struct inspection *x)
{
	mi_free(x->mi);
	for (size_t i = x->n_collectors; i > 0; i--)
		x->collectors[i - 1]->ops->close(x->collectors[i - 1]);
	target_free(x->target);
	follow_close(x->follow);
	/* Fails where an assayd has its applications there: then it stays. */
	if (x->base_path)
		rmdir(x->base_path);
	free(x->base_path);
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:I, s:s, s:b}", "kind", f->kind, "pid", (json_int_t)f->pid, "what",
			 f->what, "unseen", f->unseen);
}

static int print_json(const struct inspection *x, const struct findings *found, int status)
{
	json_t *list = json_array(), *mi;
	int r;

	for (size_t i = 0; i < found->n; i++)
		json_array_append_new(list, finding_json(&found->list[i]));
	r = mi_json(&x->mi->msg->base, &mi);
	if (r < 0) {
		terminal_error("the MI as JSON: %s", strerror(-r));
		json_decref(list);
		return EXIT_ENVIRONMENT;
	}
	return output_json(json_pack("{s:o, s:o}", "mi", mi, "findings", list), status);
}

static void print_text(const struct inspection *x, const struct findings *found)
{
	const Assay__Mi *m = x->mi->msg;
	size_t listeners = m->network ? m->network->n_listeners : 0;

	printf("process %d, %s: %zu processes, %zu files, %zu listeners\n", x->pid, x->program,
	       m->n_processes, m->n_files, listeners);
	if (m->resources)
		printf("  memory    %" PRIu64 " KiB resident\n",
		       m->resources->resident_bytes / 1024);
	for (size_t i = 0; i < listeners; i++)
		printf("  listens   %s/%s\n", m->network->listeners[i]->protocol,
		       m->network->listeners[i]->address);
	for (size_t i = 0; i < found->n; i++) {
		const struct finding *f = &found->list[i];

		printf("  %s%s%s %s",
		       terminal_colour(stdout, f->unseen ? COLOUR_YELLOW : COLOUR_RED), f->kind,
		       terminal_colour(stdout, COLOUR_NONE), f->what);
		if (f->pid > 0)
			printf(" (process %u)", f->pid);
		putchar('\n');
	}
	if (found->n == 0)
		puts("  nothing is otherwise than its files say");
}

static int write_mi(const struct inspection *x, const char *path)
{
	struct bytes packed = BYTES_INIT(MI_MAX);
	struct output o = OUTPUT_NONE;
	int r;

	r = mi_pack(x->mi, &packed);
	if (r == 0)
		r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, packed.data, packed.len);
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	bytes_done(&packed);
	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

static int show(const struct inspection *x, const char *out, bool json)
{
	struct findings found;
	int status = EXIT_GOOD;

	if (findings_of(x->mi->msg, &found) < 0)
		status = EXIT_ENVIRONMENT;
	/* What could not be seen is said, but is no judgement. */
	for (size_t i = 0; i < found.n && status == EXIT_GOOD; i++)
		if (!found.list[i].unseen)
			status = EXIT_JUDGED_BAD;
	if (status != EXIT_ENVIRONMENT && out && write_mi(x, out) < 0)
		status = EXIT_ENVIRONMENT;
	if (status != EXIT_ENVIRONMENT && json)
		status = print_json(x, &found, status);
	else if (status != EXIT_ENVIRONMENT)
		print_text(x, &found);
	findings_done(&found);
	return status;
}

static int inspect(struct inspection *x, const char *out, bool json)
{
	char exe[64];
	ssize_t len;
	int r, status;

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
	r = take(x);
	if (r < 0) {
		terminal_error("process %d: %s (%s)", x->pid, x->failed, strerror(-r));
		status = EXIT_ENVIRONMENT;
	} else {
		status = show(x, out, json);
	}
	inspection_done(x);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "window", required_argument, NULL, 'w' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(cleanup_mem) struct inspection *x = calloc(1, sizeof(*x));
	uint64_t pid = 0, window = 0;
	const char *out = NULL;
	bool json = false;
	int o;

	if (!x)
		return EXIT_ENVIRONMENT;
	while ((o = getopt_long(argc, argv, "p:w:o:jh", options, NULL)) != -1) {
		if (o == 'p' && command_number(optarg, INT32_MAX, &pid) < 0)
			return command_wrong_use(c, "'%s' is not a process id", optarg);
		else if (o == 'w' && command_number(optarg, 3600, &window) < 0)
			return command_wrong_use(c, "'%s' is not a number of seconds", optarg);
		else if (o == 'o')
			out = optarg;
		else if (o == 'j')
			json = true;
		else if (o != 'p' && o != 'w')
			return command_other_option(c, o);
	}
	if (pid == 0 || optind != argc)
		return command_wrong_use(c, "--pid N is needed, and nothing else");
	if (out && strcmp(out, "-") == 0)
		return command_wrong_use(c, "-o needs a file: the MI is not text");
	x->pid = (pid_t)pid;
	x->window_s = (unsigned int)window;
	return inspect(x, out, json);
}

const struct command command_inspect = {
	.name = "inspect",
	.arguments = "--pid N [--window SECONDS] [--json] [-o FILE]",
	.summary =
		"Measure a running process as assayd would, and say what is not as its files say",
	.options =
		"For the superuser. The exit status is 1 when something is not as it should be.\n\n"
		"  -p, --pid N           the process; its descendants are part of it\n"
		"  -w, --window SECONDS  watch so long: CPU share and traffic are over that time\n"
		"  -o, --output FILE     the MI as assayd sends it, for assay policy check\n"
		"  -j, --json            MI and findings as one JSON object\n",
	.run = run,
};
