/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of static measurement against yardsticks in the same run.
 *
 *   bench_static [--pairs N] [--mib N] [--files N] [--threads N] [--dir DIR] [--json]
 *
 * Makes two trees below DIR (/var/tmp; it should be a disk's file system, not tmpfs) and
 * removes them afterwards: one of --mib MiB (1400) in files from 4 KiB to 64 MiB, one of --files
 * (100,000) files of 4 KiB. Both are read once beforehand: everything is warm. Each yardstick
 * runs in turn with measure_paths, A B A B, --pairs (7) times, on two threads or processes; the
 * table shows the medians and the median of the ratios pair by pair.
 *
 *   sha256sum   xargs -0 -P2 -n64 sha256sum, over a list of the files made beforehand
 *   openssl     xargs -0 -P2 -n64 openssl dgst -sha256, the same
 *   limit       two threads that only read and hash: files are open already, biggest first,
 *               each thread preads into one 128 KiB buffer that stays in its cache and hashes it
 * with EVP's SHA-256 (the fastest that OpenSSL picks for this processor) with one context that is
 * reused. No walk, no open, no manifest. floor       two threads that open (relative to an open
 * directory), fstat, read and close every small file and do not hash.
 *
 * A missed target is printed and is no failure: the exit status is 0 unless something broke.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "measure.h"
#include "tests/bench/sample.h"

#define BUFFER	    (128 * 1024)
#define PER_FOLDER  250
#define PAIRS_MAX   100
#define THREADS_MAX 8
#define MIB	    (1024 * 1024)

extern char **environ;

struct sample {
	double wall, cpu;
};

/* A tree made for the run. */
struct tree {
	char root[512], list[512]; /* list: its files, zero-terminated, for xargs */
	char **paths;
	size_t *sizes;
	size_t n, room;
	uint64_t bytes;
};

static unsigned int n_threads = 2;

static void die(const char *what)
{
	fprintf(stderr, "bench_static: %s: %s\n", what, strerror(errno));
	exit(3);
}

static double seconds(struct timespec t)
{
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct sample timed(void (*run)(const struct tree *t), const struct tree *t)
{
	double cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	run(t);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (struct sample){ seconds(to) - seconds(from),
				cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN) - cpu };
}

/* Trees. */

/* Numbers that look random and are the same in each run (xorshift64). */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void add_file(struct tree *t, size_t size, uint64_t *random)
{
	static uint64_t block[BUFFER / sizeof(uint64_t)];
	char path[1024];
	size_t left = size;
	int fd;

	snprintf(path, sizeof(path), "%s/%05zu", t->root, t->n / PER_FOLDER);
	if (t->n % PER_FOLDER == 0 && mkdir(path, 0755) < 0)
		die(path);
	snprintf(path, sizeof(path), "%s/%05zu/file-%06zu", t->root, t->n / PER_FOLDER, t->n);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	while (left > 0) {
		size_t n = left < sizeof(block) ? left : sizeof(block);

		for (size_t i = 0; i < (n + 7) / 8; i++)
			block[i] = next_random(random);
		if (write(fd, block, n) != (ssize_t)n)
			die(path);
		left -= n;
	}
	close(fd);
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->paths = realloc(t->paths, t->room * sizeof(*t->paths));
		t->sizes = realloc(t->sizes, t->room * sizeof(*t->sizes));
		if (!t->paths || !t->sizes)
			die("memory");
	}
	t->sizes[t->n] = size;
	t->paths[t->n] = strdup(path);
	if (!t->paths[t->n++])
		die("memory");
	t->bytes += size;
}

static void make_tree(struct tree *t, const char *base, const char *name)
{
	snprintf(t->root, sizeof(t->root), "%s/%s", base, name);
	snprintf(t->list, sizeof(t->list), "%s/%s.list", base, name);
	if (mkdir(t->root, 0755) < 0)
		die(t->root);
}

static void write_list(const struct tree *t)
{
	FILE *f = fopen(t->list, "we");

	if (!f)
		die(t->list);
	for (size_t i = 0; i < t->n; i++)
		fwrite(t->paths[i], 1, strlen(t->paths[i]) + 1, f);
	if (fclose(f) != 0)
		die(t->list);
}

/* Many small, some middling, few large files, as programs and their data are. */
static void make_mixed(struct tree *t, const char *base, uint64_t bytes)
{
	static const size_t sizes[] = {
		4096, 16384, 65536, 262144, MIB, 4 * MIB, 16 * MIB, 64 * MIB
	};
	static const size_t weights[] = { 64, 64, 48, 32, 16, 6, 2, 1 };
	uint64_t random = 0x9e3779b97f4a7c15ULL;

	make_tree(t, base, "mixed");
	while (t->bytes < bytes) {
		for (size_t i = 0; i < ARRAY_LEN(sizes) && t->bytes < bytes; i++) {
			for (size_t k = 0; k < weights[i] && t->bytes < bytes; k++)
				add_file(t, sizes[i] / 2 + next_random(&random) % sizes[i],
					 &random);
		}
	}
	write_list(t);
}

static void make_small(struct tree *t, const char *base, size_t n)
{
	uint64_t random = 0x2545f4914f6cdd1dULL;

	make_tree(t, base, "small");
	for (size_t i = 0; i < n; i++)
		add_file(t, 4096, &random);
	write_list(t);
}

/* Contenders. */

static void run_measure(const struct tree *t)
{
	const struct measure_options o = { .threads = n_threads };
	const char *paths[] = { t->root };
	struct measured *m;
	char *path = NULL;
	int r;

	r = measure_paths(paths, 1, &o, &m, &path);
	if (r < 0) {
		errno = -r;
		die(path ? path : "measure_paths");
	}
	if (m->n_files != t->n || m->bytes_read != t->bytes) {
		fprintf(stderr, "bench_static: %zu of %zu files measured\n", m->n_files, t->n);
		exit(3);
	}
	measured_free(m);
}

static void run_xargs(const struct tree *t, const char *const *command)
{
	char at[600], processes[32];
	const char *argv[16] = { "xargs", "-0", at, processes, "-n64" };
	posix_spawn_file_actions_t files;
	size_t n = 5;
	int status = 0;
	pid_t pid;

	snprintf(at, sizeof(at), "-a%s", t->list);
	snprintf(processes, sizeof(processes), "-P%u", n_threads);
	for (size_t i = 0; command[i]; i++)
		argv[n++] = command[i];
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	errno = posix_spawnp(&pid, "xargs", &files, NULL, (char **)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (errno != 0 || waitpid(pid, &status, 0) < 0)
		die("xargs");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "bench_static: xargs %s failed\n", command[0]);
		exit(3);
	}
}

static void run_sha256sum(const struct tree *t)
{
	run_xargs(t, (const char *const[]){ "sha256sum", NULL });
}

static void run_openssl(const struct tree *t)
{
	run_xargs(t, (const char *const[]){ "openssl", "dgst", "-sha256", NULL });
}

/* Files and directories that are open already, for limit and floor. */
static struct {
	const struct tree *tree;
	int *fds;
	size_t *order;
	atomic_size_t next;
} shared;

static int by_size(const void *a, const void *b)
{
	size_t left = shared.tree->sizes[*(const size_t *)a];
	size_t right = shared.tree->sizes[*(const size_t *)b];

	return left < right ? 1 : left > right ? -1 : 0;
}

static void on_threads(void *(*work)(void *arg))
{
	pthread_t threads[THREADS_MAX];

	atomic_store(&shared.next, 0);
	for (unsigned int i = 1; i < n_threads; i++) {
		errno = pthread_create(&threads[i], NULL, work, NULL);
		if (errno != 0)
			die("pthread_create");
	}
	work(NULL);
	for (unsigned int i = 1; i < n_threads; i++)
		pthread_join(threads[i], NULL);
}

static void *limit_work(void *arg)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *buffer = malloc(BUFFER), digest[EVP_MAX_MD_SIZE];
	size_t i;

	if (!md || !ctx || !buffer)
		die("memory");
	while ((i = atomic_fetch_add(&shared.next, 1)) < shared.tree->n) {
		size_t file = shared.order[i], at = 0;

		EVP_DigestInit_ex2(ctx, md, NULL);
		while (at < shared.tree->sizes[file]) {
			ssize_t n = pread(shared.fds[file], buffer, BUFFER, (off_t)at);

			if (n <= 0)
				die("pread");
			EVP_DigestUpdate(ctx, buffer, (size_t)n);
			at += (size_t)n;
		}
		EVP_DigestFinal_ex(ctx, digest, NULL);
	}
	free(buffer);
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return NULL;
}

static void run_limit(const struct tree *t)
{
	on_threads(limit_work);
}

static void *floor_work(void *arg)
{
	const struct tree *t = shared.tree;
	char buffer[8192];
	size_t folder;

	while ((folder = atomic_fetch_add(&shared.next, 1)) * PER_FOLDER < t->n) {
		for (size_t i = folder * PER_FOLDER; i < t->n && i < (folder + 1) * PER_FOLDER;
		     i++) {
			int fd = openat(shared.fds[folder], strrchr(t->paths[i], '/') + 1,
					O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
			struct stat st;

			if (fd < 0 || fstat(fd, &st) < 0 || read(fd, buffer, sizeof(buffer)) < 0)
				die(t->paths[i]);
			close(fd);
		}
	}
	return NULL;
}

static void run_floor(const struct tree *t)
{
	on_threads(floor_work);
}

static void open_files(const struct tree *t)
{
	shared.tree = t;
	shared.fds = calloc(t->n, sizeof(int));
	shared.order = calloc(t->n, sizeof(size_t));
	if (!shared.fds || !shared.order)
		die("memory");
	for (size_t i = 0; i < t->n; i++) {
		shared.order[i] = i;
		shared.fds[i] = open(t->paths[i], O_RDONLY | O_CLOEXEC);
		if (shared.fds[i] < 0)
			die(t->paths[i]);
	}
	qsort(shared.order, t->n, sizeof(size_t), by_size);
}

static void open_folders(const struct tree *t)
{
	size_t n = (t->n + PER_FOLDER - 1) / PER_FOLDER;

	shared.tree = t;
	shared.fds = calloc(n, sizeof(int));
	if (!shared.fds)
		die("memory");
	for (size_t i = 0; i < n; i++) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%05zu", t->root, i);
		shared.fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (shared.fds[i] < 0)
			die(path);
	}
}

static void close_shared(size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(shared.fds[i]);
	free(shared.fds);
	free(shared.order);
	shared.fds = NULL;
	shared.order = NULL;
}

/* Pairs and their figures. */

struct comparison {
	const char *tree, *yardstick;
	void (*run)(const struct tree *t);
	double target; /* yardstick's time / measure_paths' time, at least */
	/* medians */
	struct sample ours, theirs;
	double ratio;
};

static void compare(struct comparison *c, const struct tree *t, size_t pairs)
{
	double ours[PAIRS_MAX], theirs[PAIRS_MAX], ratios[PAIRS_MAX];
	double our_cpu[PAIRS_MAX], their_cpu[PAIRS_MAX];

	for (size_t i = 0; i < pairs; i++) {
		struct sample a = timed(run_measure, t), b = timed(c->run, t);

		ours[i] = a.wall;
		theirs[i] = b.wall;
		our_cpu[i] = a.cpu;
		their_cpu[i] = b.cpu;
		ratios[i] = b.wall / a.wall;
	}
	c->ours = (struct sample){ sample_median(ours, pairs), sample_median(our_cpu, pairs) };
	c->theirs =
		(struct sample){ sample_median(theirs, pairs), sample_median(their_cpu, pairs) };
	c->ratio = sample_median(ratios, pairs);
}

static void print_table(const struct comparison *c, size_t n)
{
	printf("%-6s %-10s %12s %12s %10s %10s %7s %7s\n", "tree", "yardstick", "measure s",
	       "yardstick s", "cpu s", "its cpu s", "ratio", "target");
	for (size_t i = 0; i < n; i++)
		printf("%-6s %-10s %12.3f %12.3f %10.3f %10.3f %7.2f %7.2f  %s\n", c[i].tree,
		       c[i].yardstick, c[i].ours.wall, c[i].theirs.wall, c[i].ours.cpu,
		       c[i].theirs.cpu, c[i].ratio, c[i].target,
		       c[i].ratio >= c[i].target ? "reached" : "missed");
}

static void print_json(const struct comparison *c, size_t n, const struct tree *mixed,
		       const struct tree *small, size_t pairs)
{
	json_t *rows = json_array(), *all;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "tree",
				  c[i].tree, "yardstick", c[i].yardstick, "measure_seconds",
				  c[i].ours.wall, "yardstick_seconds", c[i].theirs.wall,
				  "measure_cpu_seconds", c[i].ours.cpu, "yardstick_cpu_seconds",
				  c[i].theirs.cpu, "ratio", c[i].ratio, "target", c[i].target,
				  "reached", c[i].ratio >= c[i].target));
	all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "bench", "static", "cpu",
			OpenSSL_version(OPENSSL_CPU_INFO), "threads", (json_int_t)n_threads,
			"pairs", (json_int_t)pairs, "mixed_bytes", (json_int_t)mixed->bytes,
			"mixed_files", (json_int_t)mixed->n, "small_files", (json_int_t)small->n,
			"comparisons", rows);
	if (!all)
		die("memory");
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static char base[256];

static void remove_base(void)
{
	sample_remove(base);
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n == 0 || n > max) {
		fprintf(stderr, "bench_static: %s: a number from 1 to %lu is expected\n", text,
			max);
		exit(2);
	}
	return n;
}

static void free_tree(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->paths[i]);
	free(t->paths);
	free(t->sizes);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pairs", required_argument, NULL, 'p' },
		{ "mib", required_argument, NULL, 'm' },
		{ "files", required_argument, NULL, 'f' },
		{ "threads", required_argument, NULL, 't' },
		{ "dir", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct comparison comparisons[] = {
		{ .tree = "mixed", .yardstick = "sha256sum", .run = run_sha256sum, .target = 4.0 },
		{ .tree = "mixed", .yardstick = "openssl", .run = run_openssl, .target = 1.1 },
		{ .tree = "mixed", .yardstick = "limit", .run = run_limit, .target = 0.6 },
		{ .tree = "small", .yardstick = "floor", .run = run_floor, .target = 0.4 },
	};
	const char *dir = "/var/tmp";
	size_t pairs = 7, mib = 1400, files = 100000;
	struct tree mixed = { .n = 0 }, small = { .n = 0 };
	struct rlimit limit;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'p')
			pairs = number(optarg, PAIRS_MAX);
		else if (c == 'm')
			mib = number(optarg, 100000);
		else if (c == 'f')
			files = number(optarg, 900000);
		else if (c == 't')
			n_threads = (unsigned int)number(optarg, THREADS_MAX);
		else if (c == 'd')
			dir = optarg;
		else if (c == 'j')
			json = true;
		else
			return 2;
	}
	/* The limit has its files open. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	snprintf(base, sizeof(base), "%s/assay-bench.XXXXXX", dir);
	if (!mkdtemp(base))
		die(base);
	atexit(remove_base);
	fprintf(stderr, "making trees below %s\n", base);
	make_mixed(&mixed, base, (uint64_t)mib * MIB);
	make_small(&small, base, files);
	sync();
	run_measure(&mixed);
	run_measure(&small);

	if (!json)
		printf("%.2f GB in %zu files, %zu files of 4 KiB, %u threads, %zu pairs\n%s\n",
		       (double)mixed.bytes / 1e9, mixed.n, small.n, n_threads, pairs,
		       OpenSSL_version(OPENSSL_CPU_INFO));
	open_files(&mixed);
	for (size_t i = 0; i < 3; i++)
		compare(&comparisons[i], &mixed, pairs);
	close_shared(mixed.n);
	open_folders(&small);
	compare(&comparisons[3], &small, pairs);
	close_shared((small.n + PER_FOLDER - 1) / PER_FOLDER);

	if (json)
		print_json(comparisons, ARRAY_LEN(comparisons), &mixed, &small, pairs);
	else
		print_table(comparisons, ARRAY_LEN(comparisons));
	free_tree(&mixed);
	free_tree(&small);
	return 0;
}
