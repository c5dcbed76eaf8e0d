/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

/* Every command, in the order of the help. */
static const struct command *const commands[] = {
	&command_measure_boot, /* before the command of one word */
	&command_measure,   &command_inspect,	 &command_learn, &command_policy_check, &command_data_split,
	&command_data_join, &command_secret_get, &command_stage_begin,	&command_status,
	&command_fleet,      &command_log,	 &command_evidence_show, &command_evidence_verify,
	&command_evidence_ratls, &command_evidence_wrap,
	&command_endorsements_import, &command_endorsements_list, &command_endorsements_check,
	&command_endorsements_fetch, &command_seal_boot, &command_unseal_boot,
};

static int help(FILE *to)
{
	fputs("Usage: assay COMMAND ...\n\n", to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(to, "  %-19s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n  assay COMMAND --help  more on one command\n"
	      "  assay --version       the version\n\n"
	      "Exit status: 0 good, 1 judged bad, 2 wrong use, 3 the environment failed.\n",
	      to);
	return to == stdout ? EXIT_GOOD : EXIT_WRONG_USE;
}

/* How many words of argv are this command's name; 0: it is another one. */
static int name_words(const struct command *c, int argc, char **argv)
{
	size_t first = strlen(argv[1]);

	if (strcmp(c->name, argv[1]) == 0)
		return 1;
	if (argc > 2 && strncmp(c->name, argv[1], first) == 0 && c->name[first] == ' ' &&
	    strcmp(c->name + first + 1, argv[2]) == 0)
		return 2;
	return 0;
}

static int run(const struct command *c, int words, int argc, char **argv)
{
	char name[64];
	int status;

	snprintf(name, sizeof(name), "assay %s", c->name);
	argv[words] = name; /* getopt's messages begin with it */
	status = c->run(c, argc - words, argv + words);
	/* Output that a full disk swallowed was not given. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		terminal_error("standard output: %s", strerror(errno));
		return status == EXIT_GOOD ? EXIT_ENVIRONMENT : status;
	}
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return help(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return help(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		puts("assay " ASSAY_VERSION);
		return EXIT_GOOD;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		int words = name_words(commands[i], argc, argv);

		if (words > 0)
			return run(commands[i], words, argc, argv);
	}
	terminal_error("there is no command '%s%s%s'; see: assay --help", argv[1],
		       argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
	return EXIT_WRONG_USE;
}
