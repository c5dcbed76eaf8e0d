/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "record.h"
#include "terminal.h"

struct log_options {
	struct record record;
	const char *application;
	bool json;
};

static void print_row(json_t *row)
{
	CLEANUP(cleanup_mem)
	char *detail = json_dumps(json_object_get(row, "detail"), JSON_COMPACT | JSON_SORT_KEYS);
	const char *application = json_string_value(json_object_get(row, "application"));
	const char *kind = json_string_value(json_object_get(row, "kind"));
	char time[32];

	printf("%6" PRId64 "  %s  %s%s%s  %s\n",
	       (int64_t)json_integer_value(json_object_get(row, "id")),
	       record_time(json_integer_value(json_object_get(row, "at_ns")), time),
	       kind ? kind : "?", application && *application ? " " : "",
	       application ? application : "", detail ? detail : "");
}

/* One page after the other, until there is none. */
static int do_show(const struct log_options *o)
{
	json_t *all = o->json ? json_array() : NULL, *answer, *rows, *row;
	int status = EXIT_GOOD;
	json_int_t after = 0;
	size_t n, i;

	do {
		json_t *request = json_pack("{s:s, s:I}", "do", "log", "after", after);

		if (o->application)
			json_object_set_new(request, "application", json_string(o->application));
		answer = record_ask(&o->record, request, &status);
		if (!answer) {
			json_decref(all);
			return status;
		}
		rows = json_object_get(answer, "rows");
		n = json_array_size(rows);
		json_array_foreach(rows, i, row)
		{
			after = json_integer_value(json_object_get(row, "id"));
			if (!all)
				print_row(row);
		}
		if (all)
			json_array_extend(all, rows);
		json_decref(answer);
	} while (n > 0);
	return all ? output_json(json_pack("{s:o}", "rows", all), EXIT_GOOD) : EXIT_GOOD;
}

static int do_verify(const struct log_options *o)
{
	json_t *answer, *store, *problem;
	int status = EXIT_GOOD;
	size_t i;

	answer = record_ask(&o->record, json_pack("{s:s}", "do", "verify"), &status);
	if (!answer)
		return status;
	status = json_is_true(json_object_get(answer, "good")) ? EXIT_GOOD : EXIT_JUDGED_BAD;
	if (o->json)
		return output_json(answer, status);
	store = json_object_get(answer, "store");
	json_array_foreach(json_object_get(store, "problems"), i, problem)
	{
		printf("%s (row %" PRId64 ")\n",
		       json_string_value(json_object_get(problem, "what")),
		       (int64_t)json_integer_value(json_object_get(problem, "row")));
	}
	printf("%s: %" PRId64 " rows, %" PRId64 " measurements, %" PRId64 " releases, %" PRId64
	       " receipts, head %s\n",
	       status == EXIT_GOOD ? "whole" : "NOT whole",
	       (int64_t)json_integer_value(json_object_get(store, "rows")),
	       (int64_t)json_integer_value(json_object_get(store, "evidence")),
	       (int64_t)json_integer_value(json_object_get(store, "releases")),
	       (int64_t)json_integer_value(json_object_get(store, "receipts")),
	       json_string_value(json_object_get(store, "head")));
	json_decref(answer);
	return status;
}

static const struct {
	const char *name;
	int (*run)(const struct log_options *o);
} actions[] = {
	{ "show", do_show },
	{ "verify", do_verify },
};

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 'S' },
		{ "store", required_argument, NULL, 'D' },
		{ "application", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct log_options o = { .record.socket = RECORD_SOCKET };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'S')
			o.record.socket = optarg;
		else if (option == 'D')
			o.record.store = optarg;
		else if (option == 'a')
			o.application = optarg;
		else if (option == 'j')
			o.json = true;
		else
			return command_other_option(c, option);
	}
	if (argc - optind != 1)
		return command_wrong_use(c, "one of show, verify was expected");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, argv[optind]) == 0)
			return actions[i].run(&o);
	}
	return command_wrong_use(c, "'%s' is not one of show, verify", argv[optind]);
}

const struct command command_log = {
	.name = "log",
	.arguments = "show | verify",
	.summary = "The verifier's record, and whether it is whole",
	.options = "      --application NAME show: of this one\n" RECORD_HELP_ROWS,
	.run = run,
};
