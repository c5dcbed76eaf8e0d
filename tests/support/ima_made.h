/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_IMA_MADE_H
#define ASSAY_TESTS_IMA_MADE_H

#include "bytes.h"
#include "digest.h"

/*
 * IMA's binary list as a kernel writes it (template ima-ng, template hashes of SHA-1), and PCR 10
 * of the SHA-256 bank as it extends it.
 */
struct ima_made {
	struct bytes list;
	struct digest pcr;
};

void ima_made_begin(struct ima_made *m);
void ima_made_done(struct ima_made *m);

/* One entry: alg is what the list calls it, "sha256". */
void ima_made_entry(struct ima_made *m, const char *path, const char *alg, struct view digest);

/* The same with a SHA-256 of 32 times this byte. */
void ima_made_file(struct ima_made *m, const char *path, int byte);

/* A violation at this path. */
void ima_made_violation(struct ima_made *m, const char *path);

#endif
