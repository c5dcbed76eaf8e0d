/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>

#include "output.h"
#include "socket.h"
#include "terminal.h"

static const struct {
	const char *name;
	enum colour colour;
} verdicts[] = {
	[ASSAY_REFUSED] = { "refused", COLOUR_RED },
	[ASSAY_NONE] = { "none", COLOUR_NONE },
	[ASSAY_PENDING] = { "pending", COLOUR_YELLOW },
	[ASSAY_ACCEPTED] = { "accepted", COLOUR_GREEN },
};

/* What an operator should look at. */
static bool is_insecure(const struct assay_status *s)
{
	return s->insecure;
}

static bool is_cut_off(const struct assay_status *s)
{
	return !s->verifier_connected;
}

static bool has_queue(const struct assay_status *s)
{
	return s->queued > 0;
}

static bool has_missed(const struct assay_status *s)
{
	return s->missed > 0;
}

static bool had_foreigners(const struct assay_status *s)
{
	return s->foreign_callers > 0;
}

static const struct {
	bool (*applies)(const struct assay_status *s);
	const char *text;
} findings[] = {
	{ is_insecure, "its attester proves nothing; for development only" },
	{ is_cut_off, "assayd has no connection to the verifier" },
	{ has_queue, "measurements wait for the verifier" },
	{ has_missed, "time nodes fell due and were not measured" },
	{ had_foreigners, "callers that belong to no application were turned away" },
};

static json_t *status_json(const struct assay_status *s)
{
	json_t *found = json_array(), *reasons = json_array();

	for (size_t i = 0; i < s->reason_count; i++)
		json_array_append_new(reasons, json_string(s->reasons[i]));
	for (size_t i = 0; i < ARRAY_LEN(findings); i++)
		if (findings[i].applies(s))
			json_array_append_new(found, json_string(findings[i].text));
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o}",
		"application", s->application, "state", s->state, "platform", s->platform, "stage",
		(json_int_t)s->stage, "stages", (json_int_t)s->stages, "pid", (json_int_t)s->pid,
		"verdict", verdicts[s->verdict].name, "node", (json_int_t)s->node, "queued",
		(json_int_t)s->queued, "missed", (json_int_t)s->missed, "foreign_callers",
		(json_int_t)s->foreign_callers, "insecure", s->insecure, "verifier_connected",
		s->verifier_connected, "reasons", reasons, "findings", found);
}

static void status_print(const struct assay_status *s)
{
	const char *end = terminal_colour(stdout, COLOUR_NONE);

	printf("%s%s%s\n", terminal_colour(stdout, COLOUR_BOLD), s->application, end);
	printf("  state     %s", s->state);
	if (s->pid > 0)
		printf(", process %u", s->pid);
	printf("\n  stage     %u of %u passed\n", s->stage, s->stages);
	printf("  verdict   %s%s%s after time node %" PRIu64 "\n",
	       terminal_colour(stdout, verdicts[s->verdict].colour), verdicts[s->verdict].name, end,
	       s->node);
	for (size_t i = 0; i < s->reason_count; i++)
		printf("  reason    %s\n", s->reasons[i]);
	printf("  chip      %s\n", s->platform);
	for (size_t i = 0; i < ARRAY_LEN(findings); i++)
		if (findings[i].applies(s))
			printf("  %sfinding%s   %s\n", terminal_colour(stdout, COLOUR_YELLOW), end,
			       findings[i].text);
}

static int show(const struct assay_status_list *l, bool json)
{
	json_t *all = json_array();
	int status = EXIT_GOOD;

	for (size_t i = 0; i < assay_status_count(l); i++) {
		const struct assay_status *s = assay_status_at(l, i);

		if (s->verdict == ASSAY_REFUSED)
			status = EXIT_JUDGED_BAD;
		if (json)
			json_array_append_new(all, status_json(s));
		else
			status_print(s);
	}
	if (json)
		return output_json(json_pack("{s:o}", "applications", all), status);
	json_decref(all);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(assay_status_freep) struct assay_status_list *l = NULL;
	CLEANUP(assay_closep) struct assay *a = NULL;
	const char *path = NULL;
	bool json = false;
	int o, r;

	while ((o = getopt_long(argc, argv, "jS:h", options, NULL)) != -1) {
		if (o == 'j')
			json = true;
		else if (o == 'S')
			path = optarg;
		else
			return command_other_option(c, o);
	}
	if (optind != argc)
		return command_wrong_use(c, "it takes no '%s'", argv[optind]);
	r = socket_connect(path, &a);
	if (r != EXIT_GOOD)
		return r;
	r = assay_get_status(a, SOCKET_TIMEOUT_MS, &l);
	if (r < 0)
		return socket_failed(a, r);
	return show(l, json);
}

const struct command command_status = {
	.name = "status",
	.arguments = "[--json]",
	.summary = "Applications, their stage, last time node and verdict",
	.options = "An application sees itself; the superuser sees all of this machine. The exit "
		   "status\n"
		   "is 1 when one of them was refused.\n\n"
		   "  -j, --json            as one JSON object\n" SOCKET_OPTION_ROW,
	.run = run,
};
