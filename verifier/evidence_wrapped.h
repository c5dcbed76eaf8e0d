/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_WRAPPED_H
#define ASSAY_VERIFIER_EVIDENCE_WRAPPED_H

#include "evidence.h"

/* Files of evidence taken out of the wrappers that they may be in (cmw.h). */

/* One of them. */
struct evidence_piece {
	size_t file;	      /* it came from */
	bool not_evidence;    /* the wrapper says that it is something else */
	struct view provider; /* of configfs-tsm, as the wrapper says; empty: not said */
};

struct evidence_pieces {
	struct evidence_file *files; /* of n; the name is that of the file it came in */
	struct evidence_piece *of;   /* of n */
	size_t n;
};

/*
 * A file that a platform knows, or that is no wrapper, is one piece as it is. All is the arena's.
 * -ENOMEM.
 */
MUST_CHECK int evidence_unwrap(const struct evidence_file *files, size_t n, struct arena *arena,
			       struct evidence_pieces *ret);

/* True unless the piece is said to come from another platform's provider. */
bool evidence_piece_is_of(const struct evidence_piece *p, const char *platform);

#endif
