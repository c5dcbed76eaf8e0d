/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <string.h>

#include "output.h"
#include "socket.h"
#include "terminal.h"

struct request {
	const char *name; /* or */
	uint64_t stage;
	const char *socket, *out;
	bool wait, force;
	int timeout_ms;
};

static int write_secret(const struct assay_secret *s, const char *path)
{
	struct output o = OUTPUT_NONE;
	int r;

	r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, assay_secret_data(s), assay_secret_size(s));
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	if (r < 0) {
		terminal_error("%s: %s", path ? path : "standard output", strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int get(const struct request *q)
{
	CLEANUP(assay_secret_freep) struct assay_secret *s = NULL;
	CLEANUP(assay_closep) struct assay *a = NULL;
	int r;

	r = socket_connect(q->socket, &a);
	if (r != EXIT_GOOD)
		return r;
	if (q->name)
		r = assay_get_secret(a, q->name, q->wait, q->timeout_ms, &s);
	else
		r = assay_get_stage_secret(a, (uint32_t)q->stage, q->wait, q->timeout_ms, &s);
	if (r < 0)
		return socket_failed(a, r);
	return write_secret(s, q->out);
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "stage", required_argument, NULL, 's' },
		{ "wait", no_argument, NULL, 'w' },
		{ "timeout", required_argument, NULL, 't' },
		{ "out", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "socket", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct request q = { .timeout_ms = -2 };
	int o;

	while ((o = getopt_long(argc, argv, "s:wt:o:fS:h", options, NULL)) != -1) {
		if (o == 's' && command_number(optarg, UINT32_MAX, &q.stage) < 0)
			return command_wrong_use(c, "'%s' is not a stage", optarg);
		else if (o == 't' && command_timeout(optarg, &q.timeout_ms) < 0)
			return command_wrong_use(c, "'%s' is not a number of seconds", optarg);
		else if (o == 'w')
			q.wait = true;
		else if (o == 'o')
			q.out = optarg;
		else if (o == 'f')
			q.force = true;
		else if (o == 'S')
			q.socket = optarg;
		else if (o != 's' && o != 't')
			return command_other_option(c, o);
	}
	if (argc - optind > 1 || (q.stage > 0) == (argc - optind == 1))
		return command_wrong_use(c, "either NAME or --stage N is needed");
	q.name = argv[optind];
	if (q.name && (!q.name[0] || strlen(q.name) > 255))
		return command_wrong_use(c, "a secret's name has 1 to 255 bytes");
	if (q.timeout_ms == -2)
		q.timeout_ms = q.wait ? ASSAY_FOREVER : SOCKET_TIMEOUT_MS;
	if ((!q.out || strcmp(q.out, "-") == 0) && isatty(STDOUT_FILENO) && !q.force)
		return command_wrong_use(c, "standard output is a terminal; --force shows the "
					    "secret there");
	return get(&q);
}

const struct command command_secret_get = {
	.name = "secret get",
	.arguments = "NAME|--stage N [--wait] [--out FILE]",
	.summary = "Get one of the application's secrets, as it is, on standard output",
	.options = "For a program that assayd started, or a child of one.\n\n"
		   "  -s, --stage N         the secret of stage N, instead of one by name\n"
		   "  -w, --wait            until it is released or refused\n"
		   "  -t, --timeout SECONDS no longer than that\n"
		   "  -o, --out FILE        into a file that only its owner reads\n"
		   "  -f, --force           also onto a terminal\n" SOCKET_OPTION_ROW,
	.run = run,
};
