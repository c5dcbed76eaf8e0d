/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_COMMAND_H
#define ASSAY_CLI_COMMAND_H

#include <stdint.h>

#include "errors.h"

/* How every command ends. */
enum {
	EXIT_GOOD = 0,
	EXIT_JUDGED_BAD = 1, /* refused, or not genuine */
	EXIT_WRONG_USE = 2,
	EXIT_ENVIRONMENT = 3, /* no chip, no assayd, no file */
};

/* One row of the table in assay.c. */
struct command {
	const char *name; /* "status", "data split": one word or two */
	const char *arguments, *summary;
	const char *options; /* for --help: one line an option, indented; NULL: none */
	/* argv[0] is "assay NAME". Returns the exit status. */
	int (*run)(const struct command *c, int argc, char **argv);
};

extern const struct command command_measure_boot, command_seal_boot, command_unseal_boot;
extern const struct command command_measure, command_inspect, command_learn, command_policy_check,
	command_data_split, command_data_join, command_secret_get, command_stage_begin,
	command_status, command_fleet, command_log, command_evidence_show, command_evidence_verify,
	command_evidence_ratls, command_evidence_wrap,
	command_endorsements_import, command_endorsements_list, command_endorsements_check,
	command_endorsements_fetch;

/* What getopt_long's result means where the command does not know it: help, or wrong use. */
int command_other_option(const struct command *c, int option);

/* Says what is wrong with the arguments, and where to read about them: EXIT_WRONG_USE. */
int command_wrong_use(const struct command *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* A number from 1 to max in decimal digits. -EINVAL. */
MUST_CHECK int command_number(const char *text, uint64_t max, uint64_t *ret);

/* Bytes: a number as above, with KiB, MiB or GiB after it or nothing. -EINVAL. */
MUST_CHECK int command_size(const char *text, uint64_t *ret);

/* Seconds (0 to a million) to milliseconds for libassay. -EINVAL. */
MUST_CHECK int command_timeout(const char *text, int *ret_ms);

#define COMMAND_HELP_ROW "  -h, --help            this text\n"

#endif
