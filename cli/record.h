/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_RECORD_H
#define ASSAY_CLI_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "errors.h"

/*
 * The verifier's record, for its owner: through the control socket of assay-verifierd, or
 * read from its store, which works while it does not run too.
 */
struct record {
	const char *socket; /* used where store is NULL */
	const char *store;
};

#define RECORD_SOCKET "/run/assay-verifierd/control.sock"

#define RECORD_HELP_ROWS                                                                           \
	"      --socket PATH     control socket, " RECORD_SOCKET "\n"                              \
	"      --store FILE      read this store instead; nothing is changed\n"                    \
	"      --json            one JSON object\n"

/*
 * Asks; takes request over. The answer, which is the caller's; or NULL after it said why on
 * standard error, and *ret_status is the exit status.
 */
json_t *record_ask(const struct record *r, json_t *request, int *ret_status);

/* Nanoseconds since 1970 as "2026-01-31 12:00:00Z". */
const char *record_time(int64_t ns, char to[32]);

#endif
