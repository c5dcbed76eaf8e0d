/* SPDX-License-Identifier: Apache-2.0 */
#include "learn.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "claims.h"
#include "cleanup.h"
#include "command.h"
#include "learn_source.h"
#include "output.h"
#include "policy.h"
#include "quantity.h"
#include "socket.h"
#include "terminal.h"

CLEANUP_FUNCTION(struct learn *, learn_free)
CLEANUP_FUNCTION(struct mi *, mi_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define PATHS_MAX 4096
#define FOR_MAX	  (UINT64_C(7) * 24 * 60 * 60 * 1000000000)
#define EVERY_MIN (UINT64_C(50) * 1000000)

struct lesson {
	const char *paths[PATHS_MAX];
	size_t n_paths;
	const char *application, *store, *socket, *name, *out;
	struct lesson_watch watch;
	struct learn_options options;
	struct lesson_mis mis;
	char program[4096];
};

/* The first process of an application of this machine's assayd. */
static int process_of(const char *application, const char *socket, pid_t *ret)
{
	CLEANUP(assay_status_freep) struct assay_status_list *l = NULL;
	CLEANUP(assay_closep) struct assay *a = NULL;
	int r;

	r = socket_connect(socket, &a);
	if (r != EXIT_GOOD)
		return r;
	r = assay_get_status(a, SOCKET_TIMEOUT_MS, &l);
	if (r < 0)
		return socket_failed(a, r);
	for (size_t i = 0; i < assay_status_count(l); i++) {
		const struct assay_status *s = assay_status_at(l, i);

		if (strcmp(s->application, application) != 0 || s->pid == 0)
			continue;
		*ret = (pid_t)s->pid;
		return EXIT_GOOD;
	}
	terminal_error("assayd runs no application \"%s\"", application);
	return EXIT_ENVIRONMENT;
}

static int gather(struct lesson *x)
{
	int status = EXIT_GOOD;

	for (size_t i = 0; status == EXIT_GOOD && i < x->n_paths; i++)
		status = lesson_file(&x->mis, x->paths[i]);
	if (status != EXIT_GOOD || x->n_paths > 0)
		return status;
	if (x->store)
		return lesson_store(&x->mis, x->store, x->application);
	if (x->application)
		status = process_of(x->application, x->socket, &x->watch.pid);
	return status == EXIT_GOOD ? lesson_watched(&x->mis, &x->watch, x->program) : status;
}

static int learn_all(struct lesson *x, struct learn *l)
{
	const char *why;

	for (size_t i = 0; i < x->mis.n; i++) {
		CLEANUP(mi_freep) struct mi *mi = NULL;
		int r;

		r = mi_unpack(bytes_view(&x->mis.items[i].packed), &mi);
		if (r == 0)
			r = learn_add(l, mi, &why);
		else
			why = strerror(-r);
		if (r < 0) {
			terminal_error("%s: %s", x->mis.items[i].name, why);
			return r == -ENOMEM ? EXIT_ENVIRONMENT : EXIT_JUDGED_BAD;
		}
	}
	return EXIT_GOOD;
}

/* What the policy is called after: what was said, assayd's name, or that of the program. */
static const char *name_of(const struct lesson *x, char to[4096])
{
	const char *slash = strrchr(x->program, '/');

	if (x->name || x->application)
		return x->name ? x->name : x->application;
	if (x->watch.pid == 0)
		return NULL;
	snprintf(to, 4096, "%s", slash ? slash + 1 : x->program);
	return application_name_valid(to) ? to : "application";
}

static void source_of(const struct lesson *x, char *to, size_t size)
{
	if (x->n_paths > 0)
		snprintf(to, size, "MIs in %zu files", x->mis.n);
	else if (x->store)
		snprintf(to, size, "the verifier's store");
	else
		snprintf(to, size, "process %d, one each %" PRIu64 " ms for at most %" PRIu64 " s",
			 x->watch.pid, x->watch.every_ns / 1000000, x->watch.for_ns / 1000000000);
}

static bool same_run(const struct mi *a, const struct mi *b)
{
	return a && a->msg->start_time && b->msg->start_time &&
	       a->msg->start_time->boottime_ns == b->msg->start_time->boottime_ns &&
	       a->msg->start_time->root_pid == b->msg->start_time->root_pid;
}

/* What a node was refused for: what it could not see, or what it saw. */
struct told {
	uint64_t unseen, refused;
};

static void tell(const char *name, const struct appraisal *a, struct told *t)
{
	static const char unchecked[] = "could not be checked: ";
	const struct reason *bad = NULL;

	for (size_t i = 0; i < a->n; i++) {
		if (strncmp(a->reasons[i].seen, unchecked, strlen(unchecked)) != 0)
			bad = &a->reasons[i];
	}
	if (!bad) {
		t->unseen++;
		if (t->unseen == 1)
			terminal_warning("%s: %s: %s", name, a->reasons[0].rule,
					 a->reasons[0].seen);
		return;
	}
	t->refused++;
	if (t->refused <= 8)
		terminal_error("%s is refused: %s: expected %s, seen %s", name, bad->rule,
			       bad->expected, bad->seen);
}

/* Judges by the policy what it was learnt from. */
static int check(const struct lesson *x, const struct learn *l, const struct bytes *text)
{
	CLEANUP(policy_freep) struct policy *p = NULL;
	CLEANUP(mi_freep) struct mi *previous = NULL;
	CLEANUP(cleanup_mem) char *error = NULL;
	struct told told = { 0 };
	int r;

	r = policy_parse(bytes_view(text), "the policy", &p, &error);
	if (r == 0 && policy_manifest_file(p))
		r = policy_attach_manifest(p, learn_manifest(l), &error);
	if (r < 0) {
		terminal_error("%s", error ? error : strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	for (size_t i = 0; i < x->mis.n; i++) {
		struct mi *mi = NULL;
		struct appraisal a;

		r = mi_unpack(bytes_view(&x->mis.items[i].packed), &mi);
		if (r < 0)
			return EXIT_ENVIRONMENT;
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, same_run(previous, mi) ? previous : NULL, 0, &a);
		appraisal_finish(&a);
		if (!appraisal_accepted(&a) && a.n > 0)
			tell(x->mis.items[i].name, &a, &told);
		appraisal_done(&a);
		mi_free(previous);
		previous = mi;
	}
	terminal_note("%zu nodes: %" PRIu64 " accepted, %" PRIu64
		      " not wholly seen and so refused, %" PRIu64 " refused for what was seen",
		      x->mis.n, x->mis.n - told.unseen - told.refused, told.unseen, told.refused);
	return told.refused > 0 ? EXIT_JUDGED_BAD : EXIT_GOOD;
}

static int write_file(const char *path, struct view text)
{
	struct output o = OUTPUT_NONE;
	int r;

	r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, text.data, text.len);
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	if (r < 0)
		terminal_error("%s: %s", path ? path : "standard output", strerror(-r));
	return r < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
}

/* Beside the policy, and called after it. NULL: no memory. */
static char *manifest_path(const char *policy)
{
	size_t len = strlen(policy);
	char *path = NULL;

	if (len > 5 && strcmp(policy + len - 5, ".yaml") == 0)
		len -= 5;
	return asprintf(&path, "%.*s.mtree", (int)len, policy) < 0 ? NULL : path;
}

static int write_all(struct lesson *x, const struct learn *l)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
	CLEANUP(cleanup_mem) char *manifest = x->out ? manifest_path(x->out) : NULL;
	char source[256], name[4096];
	const char *slash;
	int r, status = EXIT_GOOD, judged;

	source_of(x, source, sizeof(source));
	x->options.source = source;
	x->options.application = name_of(x, name);
	slash = manifest ? strrchr(manifest, '/') : NULL;
	if (learn_manifest(l).len > 0)
		x->options.manifest = slash ? slash + 1 : manifest;
	r = learn_write(l, &x->options, &text);
	if (r < 0) {
		terminal_error("the policy: %s", r == -EMSGSIZE ? "it is too long" : strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	judged = check(x, l, &text);
	if (judged != EXIT_GOOD && judged != EXIT_JUDGED_BAD)
		return judged;
	if (x->options.manifest)
		status = write_file(manifest, learn_manifest(l));
	if (status == EXIT_GOOD)
		status = write_file(x->out, bytes_view(&text));
	return status == EXIT_GOOD ? judged : status;
}

static int teach(struct lesson *x)
{
	CLEANUP(learn_freep) struct learn *l = NULL;
	int status;

	if (learn_new(&l) < 0)
		return EXIT_ENVIRONMENT;
	status = gather(x);
	lesson_sort(&x->mis);
	if (status == EXIT_GOOD)
		status = learn_all(x, l);
	return status == EXIT_GOOD ? write_all(x, l) : status;
}

static int check_use(const struct command *c, const struct lesson *x)
{
	int ways = (x->n_paths > 0) + (x->watch.pid > 0) + (x->application != NULL);

	if (ways != 1)
		return command_wrong_use(c, "one of --mi, --pid and --application is needed");
	if (x->store && !x->application)
		return command_wrong_use(c, "--store needs --application: whose measurements?");
	if (x->name && !application_name_valid(x->name))
		return command_wrong_use(c, "'%s' cannot be the name of an application", x->name);
	if (x->application && !application_name_valid(x->application))
		return command_wrong_use(c, "'%s' cannot be the name of an application",
					 x->application);
	if (x->watch.for_ns > FOR_MAX || x->watch.every_ns < EVERY_MIN)
		return command_wrong_use(c, "--for is at most 7d, --every at least 50ms");
	return EXIT_GOOD;
}

enum {
	OPTION_FOR = 256,
	OPTION_EVERY,
	OPTION_STORE,
	OPTION_SOCKET,
	OPTION_PARTIAL,
	OPTION_FOLDERS
};

/* EXIT_GOOD: it was taken. */
static int take_option(const struct command *c, struct lesson *x, int o)
{
	uint64_t n = 0;

	if (o == 'm' && x->n_paths == PATHS_MAX)
		return command_wrong_use(c, "more than %d files and folders", PATHS_MAX);
	if (o == 'm')
		x->paths[x->n_paths++] = optarg;
	else if (o == 'p' && command_number(optarg, INT32_MAX, &n) < 0)
		return command_wrong_use(c, "'%s' is not a process id", optarg);
	else if (o == 'p')
		x->watch.pid = (pid_t)n;
	else if (o == 'a')
		x->application = optarg;
	else if (o == 'n')
		x->name = optarg;
	else if (o == 'o')
		x->out = strcmp(optarg, "-") == 0 ? NULL : optarg;
	else if (o == 's' && strcmp(optarg, "0") != 0 &&
		 command_number(optarg, LEARN_SLACK_MAX, &n) < 0)
		return command_wrong_use(c, "'%s' is not a slack in per cent (0 to %d)", optarg,
					 LEARN_SLACK_MAX);
	else if (o == 's')
		x->options.slack = (unsigned int)n;
	else if (o == OPTION_FOR && quantity_duration(optarg, &x->watch.for_ns) < 0)
		return command_wrong_use(c, "'%s' is not " QUANTITY_DURATION, optarg);
	else if (o == OPTION_EVERY && quantity_duration(optarg, &x->watch.every_ns) < 0)
		return command_wrong_use(c, "'%s' is not " QUANTITY_DURATION, optarg);
	else if (o == OPTION_STORE)
		x->store = optarg;
	else if (o == OPTION_SOCKET)
		x->socket = optarg;
	else if (o == OPTION_PARTIAL)
		x->options.accept_partial = true;
	else if (o == OPTION_FOLDERS)
		x->options.folders = true;
	else if (o != OPTION_FOR && o != OPTION_EVERY)
		return -1;
	return EXIT_GOOD;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "mi", required_argument, NULL, 'm' },
		{ "pid", required_argument, NULL, 'p' },
		{ "application", required_argument, NULL, 'a' },
		{ "name", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ "slack", required_argument, NULL, 's' },
		{ "for", required_argument, NULL, OPTION_FOR },
		{ "every", required_argument, NULL, OPTION_EVERY },
		{ "store", required_argument, NULL, OPTION_STORE },
		{ "socket", required_argument, NULL, OPTION_SOCKET },
		{ "accept-partial", no_argument, NULL, OPTION_PARTIAL },
		{ "folders", no_argument, NULL, OPTION_FOLDERS },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(cleanup_mem) struct lesson *x = calloc(1, sizeof(*x));
	int o, status;

	if (!x)
		return EXIT_ENVIRONMENT;
	x->watch.for_ns = UINT64_C(60) * 1000000000;
	x->watch.every_ns = 1000000000;
	while ((o = getopt_long(argc, argv, "m:p:a:n:o:s:h", options, NULL)) != -1) {
		status = take_option(c, x, o);
		if (status < 0)
			return command_other_option(c, o);
		if (status != EXIT_GOOD)
			return status;
	}
	/* --mi takes what follows it, too. */
	for (; optind < argc; optind++) {
		if (x->n_paths == 0)
			return command_wrong_use(c, "it takes no '%s'", argv[optind]);
		if (x->n_paths == PATHS_MAX)
			return command_wrong_use(c, "more than %d files and folders", PATHS_MAX);
		x->paths[x->n_paths++] = argv[optind];
	}
	status = check_use(c, x);
	if (status == EXIT_GOOD)
		status = teach(x);
	lesson_mis_done(&x->mis);
	return status;
}

const struct command command_learn = {
	.name = "learn",
	.arguments = "--mi PATH...|--pid N|--application NAME [-o FILE]",
	.summary = "Write the policy that accepts what was seen of an application, and no more",
	.options =
		"For a person to review: each rule says where it comes from. The exit status is 1 "
		"when a\n"
		"measurement shows what no policy may accept (changed code, access from "
		"outside).\n\n"
		"  -m, --mi PATH...      MIs as assayd sends them (assay inspect -o), or folders "
		"of "
		"them\n"
		"  -p, --pid N           watch this process and its descendants, as superuser\n"
		"  -a, --application NAME  watch this application of assayd\n"
		"      --store FILE      with -a: learn from the verifier's store instead\n"
		"      --for TIME        watch so long; default 60s\n"
		"      --every TIME      measure so often; default 1s\n"
		"  -o, --output FILE     the policy; reference values go to FILE.mtree beside it\n"
		"  -n, --name NAME       of the application, in the policy\n"
		"  -s, --slack PERCENT   on top of the largest values seen; default 0\n"
		"      --folders         files open for writing by their folders\n"
		"      --accept-partial  accept also what the collectors could not see "
		"whole\n" SOCKET_OPTION_ROW,
	.run = run,
};
