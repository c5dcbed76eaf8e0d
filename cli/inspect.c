/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "findings.h"
#include "mi_json.h"
#include "output.h"
#include "terminal.h"
#include "watch.h"

/* One MI of a process that is already running. */

struct inspection {
	pid_t pid;
	unsigned int window_s;
	struct watch *watch;
	const struct mi *mi;
	char failed[WATCH_FAILED_MAX]; /* what could not be done */
};

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

	printf("process %d, %s: %zu processes, %zu files, %zu listeners\n", x->pid,
	       watch_program(x->watch), m->n_processes, m->n_files, listeners);
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

static int take(struct inspection *x)
{
	int r;

	r = watch_open(x->pid, &x->watch, x->failed);
	if (r < 0)
		return r;
	r = watch_measure(x->watch, &x->mi);
	if (r == 0 && x->window_s > 0) {
		r = watch_wait(x->watch, x->window_s * 1000000000ULL);
		if (r == 0)
			r = watch_measure(x->watch, &x->mi);
	}
	if (r < 0)
		snprintf(x->failed, sizeof(x->failed), "%s", watch_failed(x->watch));
	return r;
}

static int inspect(struct inspection *x, const char *out, bool json)
{
	int r, status;

	r = take(x);
	if (r < 0) {
		terminal_error("process %d: %s (%s)", x->pid, x->failed, strerror(-r));
		status = EXIT_ENVIRONMENT;
	} else {
		status = show(x, out, json);
	}
	watch_close(x->watch);
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
	struct inspection x = { 0 };
	uint64_t pid = 0, window = 0;
	const char *out = NULL;
	bool json = false;
	int o;

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
	x.pid = (pid_t)pid;
	x.window_s = (unsigned int)window;
	return inspect(&x, out, json);
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
