/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application that is attacked, and what starts the real ones: it takes orders on a FIFO,
 * answers on another, begins stages as assayd's application, and runs other programs as its
 * children.
 *
 *	attack_victim --orders FIFO --answers FIFO --socket PATH
 *
 * Orders, a line each: "stage N" (answer: accepted, or refused), "measure", "run ARGV…" (tab
 *between arguments; answer: pid), "where relro|code" (answer: address), "VERB attack|control
 *[ARGUMENT]".
 */
#include "victim.h"

#include <assay/assay.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define ARGUMENTS_MAX  64
#define CALL_MS	       60000

static FILE *answers;
static const char *socket_path;

static void __attribute__((format(printf, 1, 2))) answer(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(answers, format, args);
	va_end(args);
	fputc('\n', answers);
	fflush(answers);
}

/* Begins the stage, waits for its verdict and, if that is good, for its secret. */
static void stage(uint32_t number)
{
	enum assay_verdict verdict = ASSAY_NONE;
	struct assay_secret *secret = NULL;
	struct assay *a = NULL;
	int r;

	r = assay_connect(socket_path, CALL_MS, &a);
	if (r == 0)
		r = assay_begin_stage(a, number, CALL_MS);
	if (r == 0)
		r = assay_wait_stage(a, number, CALL_MS, &verdict);
	if (r == 0 && verdict == ASSAY_ACCEPTED)
		r = assay_get_stage_secret(a, number, true, CALL_MS, &secret);
	if (r == 0 && secret)
		answer("accepted %.*s", (int)assay_secret_size(secret),
		       (const char *)assay_secret_data(secret));
	else if (r == -EACCES || (r == 0 && verdict == ASSAY_REFUSED))
		answer("refused");
	else
		answer("failed: %s %s", assay_error_text(r), a ? assay_message(a) : "");
	assay_secret_free(secret);
	assay_close(a);
}

/* Asks for a measurement outside of any stage. */
static void measure(void)
{
	struct assay *a = NULL;
	int r;

	r = assay_connect(socket_path, CALL_MS, &a);
	if (r == 0)
		r = assay_measure(a, "quiet", CALL_MS);
	if (r == 0)
		answer("done");
	else
		answer("failed: %s %s", assay_error_text(r), a ? assay_message(a) : "");
	assay_close(a);
}

/* Runs a program beside itself, as a service's launcher does. */
static void run(char *text)
{
	char *argv[ARGUMENTS_MAX + 1], *rest = text;
	size_t n = 0;
	pid_t pid;

	while (n < ARGUMENTS_MAX && (argv[n] = strsep(&rest, "\t")))
		n++;
	argv[n] = NULL;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* NAME=VALUE before the program: for its environment. */
		size_t i = 0;

		for (; i < n && strchr(argv[i], '=') && argv[i][0] != '/'; i++)
			putenv(argv[i]);
		execv(argv[i], argv + i);
		dprintf(STDERR_FILENO, "%s: %s\n", argv[i], strerror(errno));
		_exit(127);
	}
	answer(pid < 0 ? "failed: %d" : "pid %d", pid < 0 ? -errno : pid);
}

static void where(const char *what)
{
	size_t size;

	if (strcmp(what, "relro") == 0)
		answer("at %#lx", (unsigned long)(uintptr_t)victim_relro());
	else if (strcmp(what, "code") == 0)
		answer("at %#lx", (unsigned long)(uintptr_t)victim_code_page(&size));
	else
		answer("failed: no %s", what);
}

static const struct verb *verb_of(const char *name)
{
	const struct verb *const tables[] = { memory_verbs, process_verbs, network_verbs };

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct verb *v = tables[t]; v->name; v++)
			if (strcmp(v->name, name) == 0)
				return v;
	return NULL;
}

static void obey(char *line)
{
	char *name = strsep(&line, " "), *how, *rest;
	const struct verb *v;
	bool decisive;
	int r;

	rest = line ? line : (char *)"";
	if (strcmp(name, "stage") == 0) {
		stage((uint32_t)strtoul(rest, NULL, 10));
		return;
	}
	if (strcmp(name, "run") == 0) {
		run(rest);
		return;
	}
	if (strcmp(name, "measure") == 0) {
		measure();
		return;
	}
	if (strcmp(name, "where") == 0) {
		where(rest);
		return;
	}
	v = verb_of(name);
	how = strsep(&rest, " ");
	decisive = how && strcmp(how, "attack") == 0;
	if (!v || (!decisive && (!how || strcmp(how, "control") != 0))) {
		answer("failed: no such order: %s", name);
		return;
	}
	r = v->run(decisive, rest ? rest : "");
	if (r < 0)
		answer("failed: %s: %s", name, strerror(-r));
	else
		answer("done");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "orders", required_argument, NULL, 'o' },
		{ "answers", required_argument, NULL, 'a' },
		{ "socket", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	const char *orders_path = NULL, *answers_path = NULL;
	char line[LINE_MAX_BYTES];
	FILE *orders;
	int c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'o')
			orders_path = optarg;
		else if (c == 'a')
			answers_path = optarg;
		else if (c == 's')
			socket_path = optarg;
		else
			return 2;
	}
	if (!orders_path || !answers_path || !socket_path)
		return 2;
	/* Both ends of each, so that the other side may come and go. */
	fd = open(orders_path, O_RDWR | O_CLOEXEC);
	orders = fd < 0 ? NULL : fdopen(fd, "r");
	fd = open(answers_path, O_RDWR | O_CLOEXEC);
	answers = fd < 0 ? NULL : fdopen(fd, "w");
	if (!orders || !answers) {
		perror("attack_victim");
		return 1;
	}
	/* What it will call, called once: so that imports are bound before anything is measured. */
	(void)getppid();
	(void)victim_code(1);
	answer("ready %d", getpid());
	while (fgets(line, sizeof(line), orders)) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return 0;
}
