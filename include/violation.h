/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VIOLATION_H
#define ASSAY_VIOLATION_H

#include "bytes.h"
#include "claims.h"
#include "digest.h"

/*
 * A violation that assayd noticed, as one entry of the runtime register. It is extended before
 * anything else is done with it: from then on nobody on the machine, root and a patched assayd
 * included, can make the verifier believe that it did not happen. The entry says by itself what it
 * is, so that nothing beside the register has to survive. docs/protocol.md, "Violations".
 *
 * 32 bytes: "assay!v1", kind (1), 0, 0, 0, the first 12 bytes of SHA-256 of the application's
 * name, the first 8 of the run's id. No M's digest begins like that but for one in 2^64.
 */
enum violation_kind {
	VIOLATION_FOREIGN_ACCESS = 1, /* another process reached into the application's memory */
	VIOLATION_MODIFIED_TEXT = 2,  /* text in memory that is not the file's any more */
	VIOLATION_FILE_CHANGED = 3,   /* a measured file was written */
	VIOLATION_LOST = 4,	      /* events of the kernel were lost */
	VIOLATION_KINDS,
};

#define VIOLATION_ENTRY_SIZE 32

struct violation {
	uint8_t kind; /* one that is not known is a violation all the same */
	uint8_t application[12];
	uint8_t run[8];
};

/* The entry. -EINVAL: no such kind. -ENOMEM. */
MUST_CHECK int violation_entry(enum violation_kind kind, const char *application,
			       const uint8_t run_id[RUN_ID_SIZE], struct digest *ret);

/* True if the entry is a violation. */
bool violation_read(struct view entry, struct violation *ret);

/* True if it is of the application of that name. */
bool violation_is_of(const struct violation *v, const char *application);

/* "foreign_access" and so on, as the policy's rules are called; "unknown" for another. */
const char *violation_name(uint8_t kind);

#endif
