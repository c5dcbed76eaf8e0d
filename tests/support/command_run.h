/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_COMMAND_RUN_H
#define ASSAY_TESTS_COMMAND_RUN_H

#include "bytes.h"

/* A program as its users meet it, run in the working directory. What goes wrong fails the test. */
#define COMMAND_ARGS_MAX 32

struct command_run {
	const char *program;
	const char *word;  /* its first argument, before those that are given; NULL: none */
	const char *input; /* file; NULL: nothing */
};

/*
 * Runs it with args, which end with NULL or after COMMAND_ARGS_MAX; what it wrote goes to the
 * files out and err. Returns its exit status.
 */
int command_run(const struct command_run *c, const char *const *args);

/* All of a file. The caller's to end with bytes_done. */
struct bytes command_file(const char *name);

/* True if the text is in the file. */
bool command_file_has(const char *name, const char *text);

#endif
