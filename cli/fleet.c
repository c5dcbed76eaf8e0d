/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "output.h"
#include "record.h"
#include "terminal.h"

struct fleet_options {
	struct record record;
	const char *name;     /* application, or key to forget */
	const char *attester; /* hex of a key's name */
	const char *nonce;    /* for a result; NULL: none */
	bool json;
};

static const char *text_of(json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text ? text : "";
}

static int64_t number_of(json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static bool is_true(json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

static void print_reasons(json_t *reasons)
{
	json_t *one;
	size_t i;

	json_array_foreach(reasons, i, one)
	{
		printf("      %s%s: expected %s, seen %s\n",
		       is_true(one, "warning") ? "warning: " : "", text_of(one, "rule"),
		       text_of(one, "expected"), text_of(one, "seen"));
	}
}

static void print_application(json_t *a)
{
	const char *end = terminal_colour(stdout, COLOUR_NONE);
	bool accepted = is_true(a, "accepted");
	char time[32];

	printf("    %s%s%s  stage %" PRId64 "%s, sequence %" PRId64 ", last verdict %s%s%s at %s\n",
	       terminal_colour(stdout, COLOUR_BOLD), text_of(a, "application"), end,
	       number_of(a, "stage"),
	       number_of(a, "stage") > 0 && !is_true(a, "delivered") ? " (no receipt)" : "",
	       number_of(a, "sequence"),
	       terminal_colour(stdout, accepted ? COLOUR_GREEN : COLOUR_RED),
	       accepted ? "accepted" : "refused", end, record_time(number_of(a, "last_ns"), time));
	if (is_true(a, "latched"))
		printf("      %slatched%s: nothing is released until: assay fleet readmit %s\n",
		       terminal_colour(stdout, COLOUR_RED), end, text_of(a, "application"));
	print_reasons(json_object_get(a, "reasons"));
}

static void print_attester(json_t *m)
{
	json_t *applications = json_object_get(m, "applications"), *one;
	char time[32];
	size_t i;

	printf("%s\n  platform %s%s, enrolled %s, %s\n", text_of(m, "attester"),
	       text_of(m, "platform"), is_true(m, "insecure") ? " (INSECURE: proves nothing)" : "",
	       record_time(number_of(m, "enrolled_ns"), time),
	       number_of(m, "sessions") > 0 ? "connected" : "not connected");
	json_array_foreach(applications, i, one) print_application(one);
}

/* Refused or latched: what an operator must see in the exit status too. */
static bool all_well(json_t *attesters)
{
	json_t *m, *a;
	size_t i, k;

	json_array_foreach(attesters, i, m)
	{
		json_array_foreach(json_object_get(m, "applications"), k, a)
		{
			if (is_true(a, "latched") || !is_true(a, "accepted"))
				return false;
		}
	}
	return true;
}

static int show(const struct fleet_options *o, json_t *request)
{
	json_t *answer, *attesters, *m;
	int status = EXIT_GOOD;
	size_t i;

	answer = record_ask(&o->record, request, &status);
	if (!answer)
		return status;
	attesters = json_object_get(answer, "attesters");
	status = all_well(attesters) ? EXIT_GOOD : EXIT_JUDGED_BAD;
	if (o->json)
		return output_json(answer, status);
	json_array_foreach(attesters, i, m) print_attester(m);
	if (json_array_size(attesters) == 0)
		terminal_note("%s", o->name ? "no machine has shown this application"
					    : "no machine is enrolled");
	json_decref(answer);
	return status;
}

static int do_list(const struct fleet_options *o)
{
	return show(o, json_pack("{s:s}", "do", "fleet"));
}

static int do_show(const struct fleet_options *o)
{
	return show(o, json_pack("{s:s, s:s}", "do", "fleet", "application", o->name));
}

/* Asks for something to be done, and says that it was. */
static int order(const struct fleet_options *o, json_t *request, const char *done)
{
	int status = EXIT_GOOD;
	json_t *answer;

	if (o->attester)
		json_object_set_new(request, "attester", json_string(o->attester));
	answer = record_ask(&o->record, request, &status);
	if (!answer)
		return status;
	if (o->json)
		return output_json(answer, EXIT_GOOD);
	terminal_note("%s: %s", o->name, done);
	json_decref(answer);
	return EXIT_GOOD;
}

static int do_readmit(const struct fleet_options *o)
{
	return order(o, json_pack("{s:s, s:s}", "do", "readmit", "application", o->name),
		     "readmitted");
}

static int do_demand(const struct fleet_options *o)
{
	return order(o, json_pack("{s:s, s:s}", "do", "demand", "application", o->name),
		     "a measurement is demanded of the machines that are connected");
}

static int do_forget(const struct fleet_options *o)
{
	return order(o, json_pack("{s:s, s:s}", "do", "forget", "attester", o->name), "forgotten");
}

static int do_result(const struct fleet_options *o)
{
	json_t *request = json_pack("{s:s, s:s, s:s*, s:s*}", "do", "result", "application",
				    o->name, "attester", o->attester, "nonce", o->nonce);
	int status = EXIT_GOOD;
	json_t *answer, *one;
	size_t i;

	answer = record_ask(&o->record, request, &status);
	if (!answer)
		return status;
	if (o->json)
		return output_json(answer, EXIT_GOOD);
	json_array_foreach(json_object_get(answer, "results"), i, one)
		printf("%s\n", text_of(one, "result"));
	json_decref(answer);
	return EXIT_GOOD;
}

static const struct {
	const char *name;
	bool named; /* takes NAME or KEY */
	int (*run)(const struct fleet_options *o);
} actions[] = {
	{ "list", false, do_list },	 { "show", true, do_show },
	{ "readmit", true, do_readmit }, { "demand", true, do_demand },
	{ "forget", true, do_forget },	 { "result", true, do_result },
};

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 'S' },
		{ "store", required_argument, NULL, 'D' },
		{ "attester", required_argument, NULL, 'a' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct fleet_options o = { .record.socket = RECORD_SOCKET };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'S')
			o.record.socket = optarg;
		else if (option == 'D')
			o.record.store = optarg;
		else if (option == 'a')
			o.attester = optarg;
		else if (option == 'n')
			o.nonce = optarg;
		else if (option == 'j')
			o.json = true;
		else
			return command_other_option(c, option);
	}
	if (optind == argc)
		return command_wrong_use(c, "what is to be done is missing");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, argv[optind]) != 0)
			continue;
		if (argc - optind != 1 + actions[i].named)
			return command_wrong_use(c, "'%s' takes %s", actions[i].name,
						 actions[i].named ? "one name" : "no name");
		o.name = actions[i].named ? argv[optind + 1] : NULL;
		return actions[i].run(&o);
	}
	return command_wrong_use(
		c, "'%s' is not one of list, show, readmit, demand, forget, result", argv[optind]);
}

const struct command command_fleet = {
	.name = "fleet",
	.arguments = "list | show NAME | readmit NAME | demand NAME | forget KEY | result NAME",
	.summary = "The verifier's machines and applications",
	.options = "      --attester KEY    this machine alone: its key's name in "
		   "hex\n"
		   "      --nonce TEXT      result: goes into it, 8 to 88 "
		   "characters\n" RECORD_HELP_ROWS,
	.run = run,
};
