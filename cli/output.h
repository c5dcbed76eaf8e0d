/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_OUTPUT_H
#define ASSAY_CLI_OUTPUT_H

#include <jansson.h>
#include <stddef.h>

#include "errors.h"

/* A file that is there whole, under its name, or not at all. Mode 0600. */
struct output {
	const char *path; /* lent; NULL: standard output */
	char *temporary;  /* beside path, until output_commit */
	int fd;
};

#define OUTPUT_NONE                                                                                \
	(struct output)                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* path NULL or "-": standard output, which is not undone. Errors of mkostemp(3). */
MUST_CHECK int output_open(const char *path, struct output *ret);
MUST_CHECK int output_write(struct output *o, const void *data, size_t len);

/* To the disk, then under its name; what was there is replaced. */
MUST_CHECK int output_commit(struct output *o);

/* Removes what was not committed. May be called again. */
void output_done(struct output *o);

/* All of it to a descriptor. */
MUST_CHECK int output_write_fd(int fd, const void *data, size_t len);

/* The one object of --json, on standard output; takes j over. Returns status, or EXIT_ENVIRONMENT.
 */
int output_json(json_t *j, int status);

#endif
