/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What looking at the state of an application costs, without waiting for events:
 *
 * - a state scan of a PostgreSQL of six processes: processes, memory and everything in it that is
 *   code (MI item 8), credentials and open descriptors; target 2 ms of CPU;
 * - a snapshot of one process with 500 mappings and 100 descriptors: its executable mappings and
 *   its descriptors, against reading both from the text of /proc; target 0.25 of it.
 *
 *   bench_state [--rounds N] [--pairs N] [--json]
 *
 * Both sides in turn, --pairs (9) times --rounds (50) each; medians of the pairs, CPU time of
 * this thread. Needs root and cgroup v2; without PostgreSQL only the second is run. A missed target
 * is printed and is no failure.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <jansson.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/descriptors.h"
#include "collectors/follow.h"
#include "collectors/mappings.h"
#include "collectors/table.h"
#include "tests/bench/sample.h"

#define PAIRS_MAX    100
#define ROUNDS_MAX   1000000
#define COLLECTORS   16
#define PROCESSES    6
#define TARGET_MS    2.0
#define TARGET_RATIO 0.25
#define MAPPINGS     500
#define DESCRIPTORS  100

/* The collectors whose items are state. */
static const char *const state_items[] = { "code", "credentials", "descriptors" };

struct bench {
	char directory[64], name[64];
	struct follow *follow;
	struct target *target;
	struct target_config config;
	struct collector *collectors[COLLECTORS];
	double spent[COLLECTORS + 1]; /* ms of all rounds; the last: the scan */
	size_t rounds;
	struct mi *mi;
	int base_fd;
	char *base_path;
	uint64_t previous_ns;
};

static void fail(const char *what, int r)
{
	fprintf(stderr, "bench_state: %s: %s\n", what, strerror(-r));
	exit(3);
}

static bool is_state(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(state_items); i++)
		if (strcmp(name, state_items[i]) == 0)
			return true;
	return false;
}

/* The directory of PostgreSQL's own programs; false: it is not installed. */
static bool find_postgres(char *ret, size_t size)
{
	glob_t found;
	bool any = glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0;

	if (any)
		snprintf(ret, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	return any;
}

/* In a child: becomes the user that PostgreSQL may run as. */
static void become(const struct passwd *user)
{
	if (setgroups(0, NULL) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		_exit(126);
}

static void initialise(const struct bench *b, const char *bin, const struct passwd *user)
{
	char program[PATH_MAX + 16], data[96];
	int status;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/initdb", bin);
	snprintf(data, sizeof(data), "%s/data", b->directory);
	pid = fork();
	if (pid == 0) {
		become(user);
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execl(program, program, "-A", "trust", "-D", data, "--no-sync", NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("initdb", -EIO);
}

static void start_postgres(struct bench *b, const char *bin, const struct passwd *user)
{
	char program[PATH_MAX + 16], data[96], byte;
	int go[2], r;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/postgres", bin);
	snprintf(data, sizeof(data), "%s/data", b->directory);
	if (pipe(go) < 0)
		fail("pipe", -errno);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		become(user);
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execl(program, program, "-D", data, "-k", b->directory, "-c",
		      "listen_addresses=", NULL);
		_exit(127);
	}
	r = cgroup_add(b->target->cgroup_fd, pid);
	if (r == 0)
		r = follow_add_root(b->follow, b->target->slot, pid);
	if (r < 0)
		fail("cgroup", r);
	b->target->root_pid = pid;
	if (write(go[1], "g", 1) != 1)
		fail("pipe", -errno);
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < 1000; i++) {
		pid_t pids[16];

		if (cgroup_pids(b->target->cgroup_fd, pids, 16) == PROCESSES) {
			usleep(500000);
			return;
		}
		usleep(20000);
	}
	fail("PostgreSQL does not start", -ETIMEDOUT);
}

static void prepare(struct bench *b, const char *name)
{
	struct follow_options options = { .now_boottime_ns =
						  (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6) };
	char why[256];
	int r;

	snprintf(b->directory, sizeof(b->directory), "/tmp/assay-bench-XXXXXX");
	if (!mkdtemp(b->directory))
		fail("mkdtemp", -errno);
	snprintf(b->name, sizeof(b->name), "%s-%d", name, getpid());
	b->config = (struct target_config){ .name = b->name };
	/* The base last: whoever ends and finds it empty removes it. */
	r = follow_open(&options, &b->follow, why, sizeof(why));
	if (r == 0)
		r = cgroup_base(NULL, &b->base_fd, &b->base_path, why, sizeof(why));
	if (r < 0)
		fail(why, r);
	r = target_new(&b->config, b->base_fd, b->base_path, b->follow, &b->target);
	if (r == 0)
		r = mi_new(&b->mi);
	if (r < 0)
		fail("target_new", r);
}

static void open_postgres(struct bench *b, const char *bin)
{
	const struct passwd *user = getpwnam("postgres");
	int r = 0;

	prepare(b, "assay-bench-state");
	if (!user)
		user = getpwnam("nobody");
	if (!user || chown(b->directory, user->pw_uid, user->pw_gid) < 0)
		fail("a directory for PostgreSQL", -errno);
	initialise(b, bin, user);
	start_postgres(b, bin, user);
	for (size_t i = 0; collector_table[i] && r == 0; i++) {
		if (is_state(collector_table[i]->name))
			r = collector_table[i]->open(b->target, &b->collectors[i]);
	}
	if (r < 0)
		fail("collectors", r);
}

static void close_all(struct bench *b)
{
	for (size_t i = 0; collector_table[i]; i++)
		if (b->collectors[i])
			collector_table[i]->close(b->collectors[i]);
	(void)!target_kill(b->target);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < 200 && target_populated(b->target); i++)
		usleep(10000);
	target_free(b->target);
	follow_close(b->follow);
	mi_free(b->mi);
	close(b->base_fd);
	rmdir(b->base_path);
	free(b->base_path);
	sample_remove(b->directory);
}

static void scan_once(struct bench *b)
{
	struct collector_time time = { .boottime_ns = (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6),
				       .previous_boottime_ns = b->previous_ns };
	double at = sample_ms(CLOCK_THREAD_CPUTIME_ID), next;
	int r;

	r = mi_reset(b->mi);
	if (r == 0)
		r = target_scan(b->target, time.boottime_ns, b->mi);
	next = sample_ms(CLOCK_THREAD_CPUTIME_ID);
	b->spent[COLLECTORS] += next - at;
	at = next;
	for (size_t i = 0; collector_table[i] && r == 0; i++) {
		if (!b->collectors[i])
			continue;
		r = collector_table[i]->collect(b->collectors[i], &time, b->mi);
		next = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		b->spent[i] += next - at;
		at = next;
	}
	if (r < 0)
		fail("scan", r);
	if (b->mi->msg->n_processes < PROCESSES)
		fail("PostgreSQL has ended", -ECHILD);
	b->previous_ns = time.boottime_ns;
	b->rounds++;
}

static double scan_postgres(struct bench *b, const char *bin, int rounds, int pairs)
{
	double ours[PAIRS_MAX], start;

	open_postgres(b, bin);
	scan_once(b); /* the first reads every file */
	scan_once(b);
	memset(b->spent, 0, sizeof(b->spent));
	b->rounds = 0;
	for (int p = 0; p < pairs; p++) {
		start = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		for (int i = 0; i < rounds; i++)
			scan_once(b);
		ours[p] = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) / rounds;
	}
	close_all(b);
	return sample_median(ours, (size_t)pairs);
}

/* A process with so many mappings and descriptors, in the target; returns when it is ready. */
static pid_t start_large(struct bench *b)
{
	int ready[2], go[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0 || pipe(go) < 0)
		fail("pipe", -errno);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < MAPPINGS; i++)
			if (mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
				_exit(1);
		for (int i = 0; i < DESCRIPTORS; i++)
			if (open("/dev/null", O_RDWR) < 0)
				_exit(1);
		if (read(go[0], &byte, 1) != 1 || write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	if (cgroup_add(b->target->cgroup_fd, pid) < 0 ||
	    follow_add_root(b->follow, b->target->slot, pid) < 0)
		fail("cgroup", -EIO);
	b->target->root_pid = pid;
	if (write(go[1], "g", 1) != 1 || read(ready[0], &byte, 1) != 1)
		fail("the large process", -ECHILD);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	return pid;
}

static int count_mapping(void *arg, const struct proc_mapping *m)
{
	++*(size_t *)arg;
	return 0;
}

/* What the collectors begin with: the process, its code's mappings, its descriptors. */
static size_t snapshot_ours(struct bench *b, struct mappings_ways *ways, struct bytes *text)
{
	const struct descriptors *d;
	size_t n = 0;
	int r;

	r = mi_reset(b->mi);
	if (r == 0)
		r = target_scan(b->target, (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6), b->mi);
	if (r == 0)
		r = mappings_executable(ways, b->target->processes[0].proc_fd, text, count_mapping,
					&n);
	if (r == 0)
		r = descriptors_of(b->target, &d);
	if (r < 0)
		fail("snapshot", r);
	return n;
}

static size_t read_lines(int proc_fd, const char *name)
{
	CLEANUP(cleanup_fd) int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_file) FILE *f = fdopen(dup(fd), "r");
	char line[PATH_MAX + 256], text[6][512];
	size_t n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += sscanf(line, "%511s %511s %511s %511s %511s %511s", text[0], text[1], text[2],
			    text[3], text[4], text[5]) > 0;
	return n;
}

static size_t snapshot_text(int proc_fd)
{
	static const char *const files[] = { "stat", "status", "statm", "maps" };
	CLEANUP(cleanup_fd) int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(dup(fd));
	char target[PATH_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		n += read_lines(proc_fd, files[i]);
	for (const struct dirent *e; d && (e = readdir(d));)
		n += readlinkat(fd, e->d_name, target, sizeof(target)) > 0;
	if (d)
		closedir(d);
	return n;
}

struct result {
	double ours, other;
};

static struct result snapshot_large(struct bench *b, int rounds, int pairs)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(1024 * 1024);
	double ours[PAIRS_MAX], other[PAIRS_MAX], start;
	struct mappings_ways ways = { 0 };

	prepare(b, "assay-bench-large");
	start_large(b);
	if (snapshot_ours(b, &ways, &text) == 0 ||
	    snapshot_text(b->target->processes[0].proc_fd) < MAPPINGS + DESCRIPTORS)
		fail("the large process is too small", -EINVAL);
	for (int p = 0; p < pairs; p++) {
		start = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		for (int i = 0; i < rounds; i++)
			snapshot_ours(b, &ways, &text);
		ours[p] = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) / rounds;
		start = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		for (int i = 0; i < rounds; i++)
			snapshot_text(b->target->processes[0].proc_fd);
		other[p] = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) / rounds;
	}
	close_all(b);
	return (struct result){ sample_median(ours, (size_t)pairs),
				sample_median(other, (size_t)pairs) };
}

static json_t *scan_json(const struct bench *b, double ms)
{
	json_t *parts = json_object(), *o = json_object();

	for (size_t i = 0; collector_table[i]; i++)
		if (is_state(collector_table[i]->name))
			json_object_set_new(parts, collector_table[i]->name,
					    json_real(b->spent[i] / (double)b->rounds));
	json_object_set_new(parts, "scan", json_real(b->spent[COLLECTORS] / (double)b->rounds));
	json_object_set_new(o, "cpu_ms", json_real(ms));
	json_object_set_new(o, "target_ms", json_real(TARGET_MS));
	json_object_set_new(o, "met", json_boolean(ms < TARGET_MS));
	json_object_set_new(o, "parts_mean_ms", parts);
	return o;
}

static json_t *snapshot_json(const struct result *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "cpu_ms", json_real(r->ours));
	json_object_set_new(o, "text_cpu_ms", json_real(r->other));
	json_object_set_new(o, "ratio", json_real(r->ours / r->other));
	json_object_set_new(o, "target_ratio", json_real(TARGET_RATIO));
	json_object_set_new(o, "met", json_boolean(r->ours / r->other <= TARGET_RATIO));
	return o;
}

static void print_json(const struct bench *b, bool postgres, double ms, const struct result *r)
{
	json_t *all = json_object();

	json_object_set_new(all, "bench", json_string("state"));
	if (postgres)
		json_object_set_new(all, "postgresql_six_processes", scan_json(b, ms));
	json_object_set_new(all, "snapshot_500_mappings_100_descriptors", snapshot_json(r));
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	printf("\n");
	json_decref(all);
}

static void print_table(const struct bench *b, bool postgres, double ms, const struct result *r)
{
	double ratio = r->ours / r->other;

	if (postgres) {
		printf("state scan of PostgreSQL, six processes, CPU ms, median\n\n");
		printf("  %-24s %8.3f\n", "state scan", ms);
		printf("  %-24s %8.1f  %s\n\nmeans of its parts\n", "target", TARGET_MS,
		       ms < TARGET_MS ? "met" : "MISSED");
		printf("  %-24s %8.3f\n", "scan", b->spent[COLLECTORS] / (double)b->rounds);
		for (size_t i = 0; collector_table[i]; i++)
			if (is_state(collector_table[i]->name))
				printf("  %-24s %8.3f\n", collector_table[i]->name,
				       b->spent[i] / (double)b->rounds);
	} else {
		printf("no PostgreSQL is installed\n");
	}
	printf("\nsnapshot of one process, %d mappings, %d descriptors, CPU ms, median\n\n",
	       MAPPINGS, DESCRIPTORS);
	printf("  %-24s %8.4f\n  %-24s %8.4f\n  %-24s %8.2f\n  %-24s %8.2f  %s\n", "snapshot",
	       r->ours, "text of /proc", r->other, "ratio", ratio, "target", TARGET_RATIO,
	       ratio <= TARGET_RATIO ? "met" : "MISSED");
}

static void usage(void)
{
	fprintf(stderr, "usage: bench_state [--rounds N] [--pairs N] [--json]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
						 { "pairs", required_argument, NULL, 'p' },
						 { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	static struct bench postgres, large;
	int rounds = 50, pairs = 9, o;
	bool json = false, installed;
	struct result snapshot;
	char bin[PATH_MAX];
	double ms = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = true;
		else if (o == 'r')
			rounds = sample_number(optarg, ROUNDS_MAX);
		else if (o == 'p')
			pairs = sample_number(optarg, PAIRS_MAX);
		else
			usage();
	}
	if (rounds == 0 || pairs == 0 || optind < argc)
		usage();
	installed = find_postgres(bin, sizeof(bin));
	if (installed)
		ms = scan_postgres(&postgres, bin, rounds, pairs);
	snapshot = snapshot_large(&large, rounds, pairs);
	if (json)
		print_json(&postgres, installed, ms, &snapshot);
	else
		print_table(&postgres, installed, ms, &snapshot);
	return 0;
}
