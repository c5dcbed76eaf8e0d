/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_ENDORSEMENTS_H
#define ASSAY_CLI_ENDORSEMENTS_H

#include <stdbool.h>

#include "endorsement_store.h"

/* What the commands of `assay endorsements` share. */

#define ENDORSEMENTS_STORE_DEFAULT "/var/lib/assay-verifierd/endorsements"

#define ENDORSEMENTS_STORE_HELP                                                                    \
	"  -s, --store PATH        the store, a directory; " ENDORSEMENTS_STORE_DEFAULT "\n"

/* What became of them. */
struct endorsements_import {
	const char *directory;
	int64_t now;
	struct endorsement_store *store; /* what is in the directory */
	size_t added, known, left_out;
};

/* An empty store where the directory is not there. A message and a negative errno on failure. */
MUST_CHECK int endorsements_open(const char *path, struct endorsement_store **ret);

MUST_CHECK int endorsements_import_begin(struct endorsements_import *i, const char *directory,
					 int64_t now);
void endorsements_import_done(struct endorsements_import *i);

/*
 * Writes each that is not there yet; a revocation list that is out of force is left out, with a
 * word. name is for messages. A message and a negative errno on failure.
 */
MUST_CHECK int endorsements_import_set(struct endorsements_import *i, const struct endorsements *e,
				       const char *name);

/* The time of --at, or now. -EINVAL. */
MUST_CHECK int endorsements_time(const char *at, int64_t *ret);

#endif
