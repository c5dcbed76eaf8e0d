/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <stdarg.h>
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
	&command_evidence_ratls,
	&command_endorsements_import, &command_endorsements_list, &command_endorsements_check,
	&command_endorsements_fetch, &command_seal_boot, &command_unseal_boot,
};

int command_other_option(const struct command *c, int option)
{
	if (option != 'h') {
		fprintf(stderr, "See: assay %s --help\n", c->name);
		return EXIT_WRONG_USE;
	}
	printf("Usage: assay %s %s\n\n%s.\n\n%s" COMMAND_HELP_ROW, c->name, c->arguments,
	       c->summary, c->options ? c->options : "");
	return EXIT_GOOD;
}

int command_wrong_use(const struct command *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	terminal_verror(format, args);
	va_end(args);
	fprintf(stderr, "See: assay %s --help\n", c->name);
	return EXIT_WRONG_USE;
}

int command_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long n;

	/* strtoull takes signs and blanks. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || n < 1 || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

int command_size(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		int shift;
	} units[] = { { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	size_t digits = strspn(text, "0123456789");
	char number[24];
	int shift = 0, r;
	uint64_t n;

	if (digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i].name) == 0)
			shift = units[i].shift;
	if (text[digits] && shift == 0)
		return -EINVAL;
	r = command_number(number, INT64_MAX >> shift, &n);
	if (r < 0)
		return r;
	*ret = n << shift;
	return 0;
}

int command_timeout(const char *text, int *ret_ms)
{
	uint64_t n = 0;
	int r;

	if (strcmp(text, "0") != 0) {
		r = command_number(text, 1000000, &n);
		if (r < 0)
			return r;
	}
	*ret_ms = (int)(n * 1000);
	return 0;
}

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
