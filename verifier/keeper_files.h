/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_KEEPER_FILES_H
#define ASSAY_VERIFIER_KEEPER_FILES_H

#include "config.h"

/*
 * The endorsements that the configuration names, read anew and sent to the appraiser as they are:
 * it cannot open files any more, and the keeper does not parse them. The appraiser changes over
 * when all of it has come; what could not be read leaves it with what it has.
 */

struct keeper_files_sink {
	/* Sends one message, as keeper_write made it. */
	int (*send)(void *arg, struct view message);
	void *arg;
};

/* What cannot be read is logged here. -ENOMEM, or what send returns: the appraiser has to be ended.
 */
MUST_CHECK int keeper_files_send(const struct verifier_config *config, const char *directory,
				 const struct keeper_files_sink *to);

#endif
