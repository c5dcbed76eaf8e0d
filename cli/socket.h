/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_SOCKET_H
#define ASSAY_CLI_SOCKET_H

#include "assay/assay.h"
#include "cleanup.h"
#include "command.h"

/* The commands that talk to assayd over the application socket. */

#define SOCKET_TIMEOUT_MS 10000 /* for what assayd answers at once */

#define SOCKET_OPTION_ROW                                                                          \
	"  -S, --socket PATH      instead of $ASSAY_SOCKET or " ASSAY_SOCKET_DEFAULT "\n"

/* Connects; on failure says why and gives the exit status, EXIT_GOOD otherwise. */
int socket_connect(const char *path, struct assay **ret);

/* Says what came back from a call, with the words of assayd, and gives the exit status. */
int socket_failed(const struct assay *a, int r);

CLEANUP_FUNCTION(struct assay *, assay_close)
CLEANUP_FUNCTION(struct assay_secret *, assay_secret_free)
CLEANUP_FUNCTION(struct assay_status_list *, assay_status_free)

#endif
