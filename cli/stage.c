/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>

#include "socket.h"
#include "terminal.h"

static int begin(const char *path, uint32_t stage, bool wait, int timeout_ms)
{
	CLEANUP(assay_closep) struct assay *a = NULL;
	enum assay_verdict v;
	int r;

	r = socket_connect(path, &a);
	if (r != EXIT_GOOD)
		return r;
	r = assay_begin_stage(a, stage, SOCKET_TIMEOUT_MS);
	if (r < 0)
		return socket_failed(a, r);
	if (!wait)
		return EXIT_GOOD;
	r = assay_wait_stage(a, stage, timeout_ms, &v);
	if (r < 0)
		return socket_failed(a, r);
	if (v == ASSAY_ACCEPTED)
		return EXIT_GOOD;
	terminal_error("stage %u is refused: %s", stage, assay_message(a));
	return EXIT_JUDGED_BAD;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", no_argument, NULL, 'w' },
		{ "timeout", required_argument, NULL, 't' },
		{ "socket", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int timeout_ms = ASSAY_FOREVER, o;
	const char *path = NULL;
	bool wait = false;
	uint64_t stage;

	while ((o = getopt_long(argc, argv, "wt:S:h", options, NULL)) != -1) {
		if (o == 'w')
			wait = true;
		else if (o == 't' && command_timeout(optarg, &timeout_ms) < 0)
			return command_wrong_use(c, "'%s' is not a number of seconds", optarg);
		else if (o == 'S')
			path = optarg;
		else if (o != 't')
			return command_other_option(c, o);
	}
	if (argc - optind != 1 || command_number(argv[optind], UINT32_MAX, &stage) < 0)
		return command_wrong_use(c, "which stage? One number from 1");
	return begin(path, (uint32_t)stage, wait, timeout_ms);
}

const struct command command_stage_begin = {
	.name = "stage begin",
	.arguments = "N [--wait]",
	.summary = "Begin stage N: the application is measured, and its secret released if that "
		   "passes",
	.options =
		"  -w, --wait            until it was judged; exit status 1 when it was refused\n"
		"  -t, --timeout SECONDS no longer than that\n" SOCKET_OPTION_ROW,
	.run = run,
};
