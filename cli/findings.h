/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_FINDINGS_H
#define ASSAY_CLI_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "mi.h"

/*
 * What in an MI is not as the program's files say: code that no file holds, text that is no
 * longer its file's, files that are gone, libraries forced in, and what could not be seen.
 * Without a policy: what a particular application may do is for its policy.
 */
struct finding {
	const char *kind; /* "code.modified" ... */
	uint32_t pid;	  /* 0: not of one process */
	char what[512];
	bool unseen; /* something could not be looked at */
};

struct findings {
	struct finding *list;
	size_t n, room;
};

/* -ENOMEM. Ends with findings_done, also after a failure. */
MUST_CHECK int findings_of(const Assay__Mi *mi, struct findings *ret);
void findings_done(struct findings *f);

#endif
