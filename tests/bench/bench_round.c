/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one dynamic round costs, the chip apart: scan, all collectors, the MI packed and hashed to
 * M, a fresh channel key P, the Claims packed and hashed; over a real nginx (a master and two
 * workers) on loopback, against reading the same from the text of /proc with stdio.
 *
 *   bench_round [--rounds N] [--pairs N] [--json]
 *
 * Both in turn, --pairs (9) times --rounds (50) each; medians of the pairs, CPU time of this
 * process and thread. Needs root, cgroup v2 and nginx. A missed target is printed and is no
 * failure.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "claims.h"
#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/follow.h"
#include "collectors/table.h"
#include "digest.h"
#include "hpke.h"
#include "secret.h"
#include "tests/bench/sample.h"

#define COLLECTORS_MAX 16
#define PAIRS_MAX      100
#define ROUNDS_MAX     1000000
#define PROCESSES      3
#define TARGET_MS      5.0

/* Of a round, after the collectors. */
enum part {
	PART_SCAN = COLLECTORS_MAX,
	PART_PACK,
	PART_CLAIMS,
	PARTS,
};

struct bench {
	char directory[64];
	char log[96];
	struct follow *follow;
	struct target *target;
	struct target_config config;
	struct target_log logs[1];
	const char *storage[1], *files[1], *environment[1];
	struct collector *collectors[COLLECTORS_MAX];
	double spent[PARTS]; /* ms of all rounds: each collector, and the parts above */
	double most[PARTS];  /* of one round but the first, which reads everything */
	struct mi *mi;
	struct bytes packed, claims;
	struct digest previous; /* of the Claims before */
	int base_fd;
	char *base_path;
	uint64_t previous_ns;
	size_t rounds;
};

static void fail(const char *what, int r)
{
	fprintf(stderr, "bench_round: %s: %s\n", what, strerror(-r));
	exit(3);
}

/* A port that is free just now. */
static unsigned int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	CLEANUP(cleanup_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		fail("no free port", -errno);
	return ntohs(a.sin_port);
}

static void start_nginx(struct bench *b)
{
	char path[96], command[PATH_MAX];
	FILE *f;
	int go[2];
	pid_t pid;
	int r;

	snprintf(path, sizeof(path), "%s/nginx.conf", b->directory);
	f = fopen(path, "we");
	if (!f)
		fail(path, -errno);
	fprintf(f,
		"daemon off; master_process on; worker_processes 2; user root; pid %s/pid;\n"
		"error_log %s info; events { worker_connections 64; }\n"
		"http { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p;\n"
		" fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
		" server { listen unix:%s/http; listen 127.0.0.1:%u; location / { return 204; } "
		"} }\n",
		b->directory, b->log, b->directory, b->directory, b->directory, b->directory,
		b->directory, b->directory, free_port());
	fclose(f);
	if (pipe(go) < 0)
		fail("pipe", -errno);
	pid = fork();
	if (pid == 0) {
		char byte;

		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		snprintf(command, sizeof(command), "%s/", b->directory);
		execlp("nginx", "nginx", "-p", command, "-c", path, NULL);
		_exit(127);
	}
	r = cgroup_add(b->target->cgroup_fd, pid);
	if (r == 0)
		r = follow_add_root(b->follow, b->target->slot, pid);
	if (r < 0)
		fail("cgroup", r);
	b->target->root_pid = pid;
	b->target->started_boottime_ns = (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6);
	if (write(go[1], "g", 1) != 1)
		fail("pipe", -errno);
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < 500; i++) {
		pid_t pids[8];

		if (cgroup_pids(b->target->cgroup_fd, pids, 8) == PROCESSES) {
			usleep(200000);
			return;
		}
		usleep(10000);
	}
	fail("nginx does not start", -ETIMEDOUT);
}

static void open_all(struct bench *b)
{
	struct follow_options options = { .now_boottime_ns =
						  (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6) };
	char why[256];
	int r;

	snprintf(b->directory, sizeof(b->directory), "/tmp/assay-bench-XXXXXX");
	if (!mkdtemp(b->directory))
		fail("mkdtemp", -errno);
	snprintf(b->log, sizeof(b->log), "%s/error.log", b->directory);
	b->logs[0] = (struct target_log){ b->log, "error|emerg" };
	b->storage[0] = b->directory;
	b->files[0] = "/usr/sbin/nginx";
	b->environment[0] = "LD_*";
	b->config = (struct target_config){ .name = "assay-bench",
					    .files = b->files,
					    .n_files = 1,
					    .logs = b->logs,
					    .n_logs = 1,
					    .environment = b->environment,
					    .n_environment = 1,
					    .storage = b->storage,
					    .n_storage = 1 };
	b->packed = BYTES_INIT(MI_MAX);
	b->claims = BYTES_INIT(CLAIMS_MAX);
	r = secret_heap_open();
	if (r < 0)
		fail("memory for secrets", r);
	r = cgroup_base(NULL, &b->base_fd, &b->base_path, why, sizeof(why));
	if (r == 0)
		r = follow_open(&options, &b->follow, why, sizeof(why));
	if (r < 0)
		fail(why, r);
	r = target_new(&b->config, b->base_fd, b->base_path, b->follow, &b->target);
	if (r == 0)
		r = mi_new(&b->mi);
	if (r < 0)
		fail("target_new", r);
	start_nginx(b);
	for (size_t i = 0; collector_table[i]; i++) {
		r = collector_table[i]->open(b->target, &b->collectors[i]);
		if (r < 0)
			fail(collector_table[i]->name, r);
	}
}

static void close_all(struct bench *b)
{
	for (size_t i = 0; collector_table[i]; i++)
		collector_table[i]->close(b->collectors[i]);
	(void)!target_kill(b->target);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < 200 && target_populated(b->target); i++)
		usleep(10000);
	target_free(b->target);
	follow_close(b->follow);
	mi_free(b->mi);
	bytes_done(&b->packed);
	bytes_done(&b->claims);
	secret_heap_close();
	close(b->base_fd);
	rmdir(b->base_path);
	free(b->base_path);
	sample_remove(b->directory);
}

static ProtobufCBinaryData binary(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)data };
}

/* As daemon/round.c writes them in a session. */
static int write_claims(struct bench *b, const struct collector_time *time, const struct digest *m)
{
	static const uint8_t fixed[64];
	Assay__Claims claims = ASSAY__CLAIMS__INIT;
	Assay__TimeNodeRef node = ASSAY__TIME_NODE_REF__INIT;
	uint8_t channel_public[HPKE_PUBLIC_SIZE];
	struct secret channel_private = { 0 };
	struct digest runtime;
	int r;

	r = hpke_keypair(channel_public, &channel_private);
	if (r < 0)
		return r;
	node.kind = ASSAY__TIME_NODE__KIND__EVERY;
	node.number = b->rounds + 1;
	claims.version = CLAIMS_VERSION;
	claims.nonce = binary(fixed, NONCE_SIZE);
	claims.exporter = binary(fixed, EXPORTER_SIZE);
	claims.channel_key = binary(channel_public, HPKE_PUBLIC_SIZE);
	claims.application = (char *)b->config.name;
	claims.kind = ASSAY__CLAIMS__KIND__DYNAMIC;
	claims.node = &node;
	claims.sequence = b->rounds + 1;
	claims.hash_alg = m->alg;
	claims.m = binary(m->bytes, m->size);
	claims.previous = binary(b->previous.bytes, b->previous.size);
	claims.config = binary(m->bytes, m->size);
	claims.boot_id = binary(fixed, BOOT_ID_SIZE);
	claims.run_id = binary(fixed, RUN_ID_SIZE);
	claims.boottime_ns = claims.realtime_ns = time->boottime_ns;
	bytes_reset(&b->claims);
	r = claims_pack(&claims, &b->claims);
	if (r == 0)
		r = claims_hash(bytes_view(&b->claims), &b->previous);
	if (r == 0)
		r = claims_runtime(digest_view(m), &runtime);
	secret_done(&channel_private);
	return r;
}

/* What was spent since then is the part's. */
static void spend(struct bench *b, size_t part, double *at)
{
	double now = sample_ms(CLOCK_THREAD_CPUTIME_ID), spent = now - *at;

	b->spent[part] += spent;
	if (spent > b->most[part] && b->rounds > 0)
		b->most[part] = spent;
	*at = now;
}

/* One round, timed piece by piece. */
static void round_once(struct bench *b)
{
	struct collector_time time = { .boottime_ns = (uint64_t)(sample_ms(CLOCK_BOOTTIME) * 1e6),
				       .previous_boottime_ns = b->previous_ns };
	double at = sample_ms(CLOCK_THREAD_CPUTIME_ID);
	struct digest m;
	size_t i;
	int r;

	r = mi_reset(b->mi);
	if (r == 0)
		r = target_scan(b->target, time.boottime_ns, b->mi);
	spend(b, PART_SCAN, &at);
	for (i = 0; collector_table[i] && r == 0; i++) {
		r = collector_table[i]->collect(b->collectors[i], &time, b->mi);
		spend(b, i, &at);
	}
	bytes_reset(&b->packed);
	if (r == 0)
		r = mi_pack(b->mi, &b->packed);
	if (r == 0)
		r = claims_m(bytes_view(&b->packed), &m);
	spend(b, PART_PACK, &at);
	if (r == 0)
		r = write_claims(b, &time, &m);
	if (r < 0)
		fail("round", r);
	spend(b, PART_CLAIMS, &at);
	b->previous_ns = time.boottime_ns;
	b->rounds++;
	if (b->mi->msg->n_processes != PROCESSES)
		fail("nginx has ended", -ECHILD);
}

static size_t read_lines(const char *path)
{
	CLEANUP(cleanup_file) FILE *f = fopen(path, "re");
	char line[8192], text[8][512];
	size_t n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%511s %511s %511s %511s %511s %511s %511s %511s", text[0],
			   text[1], text[2], text[3], text[4], text[5], text[6], text[7]) > 0)
			n++;
	}
	return n;
}

/* The same facts but for digests, changed pages and events, from text. */
static size_t text_once(const struct bench *b)
{
	static const char *const per_process[] = { "stat",    "status", "statm",       "io",
						   "environ", "maps",	"smaps_rollup" };
	static const char *const tables[] = { "tcp", "tcp6", "udp", "udp6", "unix" };
	size_t n = 0;
	char path[64], target[PATH_MAX];

	for (size_t i = 0; i < b->target->n_processes; i++) {
		pid_t pid = b->target->processes[i].pid;
		DIR *fds;

		for (size_t j = 0; j < ARRAY_LEN(per_process); j++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", pid, per_process[j]);
			n += read_lines(path);
		}
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
		fds = opendir(path);
		for (const struct dirent *e; fds && (e = readdir(fds));)
			n += readlinkat(dirfd(fds), e->d_name, target, sizeof(target)) > 0;
		if (fds)
			closedir(fds);
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		snprintf(path, sizeof(path), "/proc/%d/net/%s", b->target->root_pid, tables[i]);
		n += read_lines(path);
	}
	return n;
}

static void print_json(const struct bench *b, double ours, double text)
{
	json_t *parts = json_object(), *all = json_object();

	for (size_t i = 0; collector_table[i]; i++)
		json_object_set_new(parts, collector_table[i]->name,
				    json_real(b->spent[i] / (double)b->rounds));
	json_object_set_new(parts, "scan", json_real(b->spent[PART_SCAN] / (double)b->rounds));
	json_object_set_new(parts, "pack", json_real(b->spent[PART_PACK] / (double)b->rounds));
	json_object_set_new(parts, "claims", json_real(b->spent[PART_CLAIMS] / (double)b->rounds));
	json_object_set_new(all, "bench", json_string("round"));
	json_object_set_new(all, "round_cpu_ms", json_real(ours));
	json_object_set_new(all, "text_cpu_ms", json_real(text));
	json_object_set_new(all, "ratio", json_real(ours / text));
	json_object_set_new(all, "mi_bytes", json_integer((json_int_t)b->packed.len));
	json_object_set_new(all, "target_ms", json_real(TARGET_MS));
	json_object_set_new(all, "met", json_boolean(ours < TARGET_MS));
	json_object_set_new(all, "parts_mean_ms", parts);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	printf("\n");
	json_decref(all);
}

static void print_part(const struct bench *b, size_t part, const char *name)
{
	printf("  %-24s %8.3f %8.3f\n", name, b->spent[part] / (double)b->rounds, b->most[part]);
}

static void print_table(const struct bench *b, double ours, double text)
{
	printf("one round over nginx (master, 2 workers), CPU ms, median\n\n");
	printf("  %-24s %8.3f\n  %-24s %8.3f\n  %-24s %8.2f\n", "round", ours, "text of /proc",
	       text, "ratio", ours / text);
	printf("  %-24s %8.1f  %s\n", "target", TARGET_MS, ours < TARGET_MS ? "met" : "MISSED");
	printf("  %-24s %8zu\n\n%-26s %8s %8s\n", "MI, bytes", b->packed.len, "its parts", "mean",
	       "most");
	print_part(b, PART_SCAN, "scan");
	for (size_t i = 0; collector_table[i]; i++)
		print_part(b, i, collector_table[i]->name);
	print_part(b, PART_PACK, "pack, M");
	print_part(b, PART_CLAIMS, "P, Claims");
}

static void usage(void)
{
	fprintf(stderr, "usage: bench_round [--rounds N] [--pairs N] [--json]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
						 { "pairs", required_argument, NULL, 'p' },
						 { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	static struct bench bench;
	double ours[PAIRS_MAX], text[PAIRS_MAX], start;
	struct bench *b = &bench;
	int rounds = 50, pairs = 9, o;
	bool json = false;

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
	open_all(b);
	round_once(b); /* the first reads every file */
	round_once(b);
	memset(b->spent, 0, sizeof(b->spent));
	b->rounds = 0;
	for (int p = 0; p < pairs; p++) {
		start = sample_ms(CLOCK_PROCESS_CPUTIME_ID);
		for (int i = 0; i < rounds; i++)
			round_once(b);
		ours[p] = (sample_ms(CLOCK_PROCESS_CPUTIME_ID) - start) / rounds;
		start = sample_ms(CLOCK_PROCESS_CPUTIME_ID);
		for (int i = 0; i < rounds; i++)
			text_once(b);
		text[p] = (sample_ms(CLOCK_PROCESS_CPUTIME_ID) - start) / rounds;
	}
	if (json)
		print_json(b, sample_median(ours, (size_t)pairs),
			   sample_median(text, (size_t)pairs));
	else
		print_table(b, sample_median(ours, (size_t)pairs),
			    sample_median(text, (size_t)pairs));
	close_all(b);
	return 0;
}
