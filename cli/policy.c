/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "quantity.h"
#include "terminal.h"

CLEANUP_FUNCTION(struct policy *, policy_free)
CLEANUP_FUNCTION(struct mi *, mi_free)

static int read_file(const char *path, size_t max, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	*ret = BYTES_INIT(max);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

/* A manifest that the policy names, relative to the policy's own place: of an update, or (-1) of
 * all. */
static int attach(struct policy *p, const char *policy_path, const char *name, int update)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *path = NULL, *error = NULL;
	const char *slash = strrchr(policy_path, '/');
	int r;

	if (!name || !name[0])
		return EXIT_GOOD;
	if (name[0] == '/' || !slash)
		r = asprintf(&path, "%s", name);
	else
		r = asprintf(&path, "%.*s/%s", (int)(slash - policy_path), policy_path, name);
	if (r < 0 || read_file(path, MANIFEST_MAX, &text) < 0)
		return EXIT_ENVIRONMENT;
	if (update < 0)
		r = policy_attach_manifest(p, bytes_view(&text), &error);
	else
		r = policy_attach_update(p, (size_t)update, bytes_view(&text), &error);
	if (r < 0) {
		terminal_error("%s: %s", path, error ? error : strerror(-r));
		return EXIT_WRONG_USE;
	}
	return EXIT_GOOD;
}

static int load(const char *path, struct policy **ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(0);
	CLEANUP(policy_freep) struct policy *p = NULL;
	CLEANUP(cleanup_mem) char *error = NULL;
	int r, status;

	if (read_file(path, POLICY_TEXT_MAX, &text) < 0)
		return EXIT_ENVIRONMENT;
	r = policy_parse(bytes_view(&text), path, &p, &error);
	if (r < 0) {
		fputs(error ? error : strerror(-r), stderr);
		return EXIT_WRONG_USE;
	}
	status = attach(p, path, policy_manifest_file(p), -1);
	for (size_t i = 0; status == EXIT_GOOD && i < policy_update_count(p); i++)
		status = attach(p, path, policy_update_file(p, i), (int)i);
	if (status == EXIT_GOOD)
		*ret = TAKE(p);
	return status;
}

static bool is_manifest(struct view v)
{
	return v.len >= 6 && memcmp(v.data, "#mtree", 6) == 0;
}

/* A manifest is the MI of a static measurement, anything else must be that of a dynamic one. */
static int judge(const struct policy *p, const char *path, int64_t at, struct appraisal *a)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(0);
	CLEANUP(mi_freep) struct mi *mi = NULL;
	int r;

	if (read_file(path, MANIFEST_MAX, &packed) < 0)
		return EXIT_ENVIRONMENT;
	if (is_manifest(bytes_view(&packed))) {
		policy_judge_static(p, bytes_view(&packed), at, a);
		appraisal_finish(a);
		return EXIT_GOOD;
	}
	r = mi_unpack(bytes_view(&packed), &mi);
	if (r < 0) {
		terminal_error("%s: neither an MI nor an mtree manifest", path);
		return EXIT_JUDGED_BAD;
	}
	policy_judge_dynamic(p, mi, NULL, at, a);
	appraisal_finish(a);
	return EXIT_GOOD;
}

static void print_reasons(const struct appraisal *a)
{
	const char *end = terminal_colour(stdout, COLOUR_NONE);

	for (size_t i = 0; i < a->n; i++) {
		const struct reason *r = &a->reasons[i];

		printf("%s%s%s %s\n  expected  %s\n  seen      %s\n",
		       terminal_colour(stdout, r->warning ? COLOUR_YELLOW : COLOUR_RED),
		       r->warning ? "warns  " : "refuses", end, r->rule, r->expected, r->seen);
	}
	if (a->uncounted > 0)
		printf("and %zu more reasons\n", a->uncounted);
	printf("%s%s%s: %zu checks made, %zu reasons\n",
	       terminal_colour(stdout, appraisal_accepted(a) ? COLOUR_GREEN : COLOUR_RED),
	       appraisal_accepted(a) ? "accepted" : "refused", end, a->checks, a->n + a->uncounted);
}

static json_t *appraisal_json(const struct policy *p, const struct appraisal *a)
{
	json_t *reasons = json_array();

	for (size_t i = 0; i < a->n; i++) {
		const struct reason *r = &a->reasons[i];

		json_array_append_new(reasons, json_pack("{s:s, s:s, s:s, s:b}", "rule", r->rule,
							 "expected", r->expected, "seen", r->seen,
							 "warning", r->warning));
	}
	return json_pack("{s:s, s:I, s:b, s:I, s:I, s:o}", "application", policy_application(p),
			 "version", (json_int_t)policy_version(p), "accepted",
			 appraisal_accepted(a), "checks", (json_int_t)a->checks,
			 "reasons_uncounted", (json_int_t)a->uncounted, "reasons", reasons);
}

static int check(const char *policy_path, const char *mi_path, int64_t at, bool json)
{
	CLEANUP(policy_freep) struct policy *p = NULL;
	struct appraisal a;
	int status;

	status = load(policy_path, &p);
	if (status != EXIT_GOOD)
		return status;
	appraisal_init(&a);
	status = judge(p, mi_path, at, &a);
	if (status == EXIT_GOOD) {
		status = appraisal_accepted(&a) ? EXIT_GOOD : EXIT_JUDGED_BAD;
		if (json)
			status = output_json(appraisal_json(p, &a), status);
		else
			print_reasons(&a);
	}
	appraisal_done(&a);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "mi", required_argument, NULL, 'm' },
		{ "at", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int64_t at = (int64_t)time(NULL);
	const char *mi = NULL;
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "m:jh", options, NULL)) != -1) {
		if (o == 'm')
			mi = optarg;
		else if (o == 't' && quantity_instant(optarg, &at) < 0)
			return command_wrong_use(c, "'%s' is not " QUANTITY_INSTANT, optarg);
		else if (o == 'j')
			json = true;
		else if (o != 't')
			return command_other_option(c, o);
	}
	if (argc - optind != 1)
		return command_wrong_use(c, "which policy? One file");
	if (!mi)
		return command_wrong_use(c, "--mi FILE is missing: what is to be judged");
	return check(argv[optind], mi, at, json);
}

const struct command command_policy_check = {
	.name = "policy check",
	.arguments = "POLICY --mi FILE [--at TIME] [--json]",
	.summary = "Judge a measurement by a policy: how many checks pass, which fail and why",
	.options = "The boot values and the chip's signature are not part of it. Rules that "
		   "compare with\n"
		   "the measurement before pass.\n\n"
		   "  -m, --mi FILE         MI as assayd sends it, or a manifest (assay measure)\n"
		   "      --at TIME         as if it were then (updates); default now\n"
		   "  -j, --json            as one JSON object\n",
	.run = run,
};
