/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_EVIDENCE_FILES_H
#define ASSAY_CLI_EVIDENCE_FILES_H

#include <stdbool.h>

#include "evidence.h"

/* Files that hold evidence or endorsements, in memory. */

#define EVIDENCE_FILES_MAX 512

struct evidence_files {
	size_t n;
	struct {
		char *name;
		struct bytes content;
		bool from_folder; /* not named itself: whatever it is, nobody said that it is of use
				   */
		bool is_report;
		bool is_endorsement;
	} at[EVIDENCE_FILES_MAX];
};

/*
 * Reads a file, or the files that lie in a folder (not those in folders within). A message on
 * standard error and a negative errno where that fails.
 */
MUST_CHECK int evidence_files_add(struct evidence_files *f, const char *path);
void evidence_files_done(struct evidence_files *f);

/* Which of them is a report, of that platform or any (NULL). */
MUST_CHECK int evidence_files_find_reports(struct evidence_files *f, const char *platform,
					   size_t *ret);

/*
 * Adds what is an endorsement among them, reports aside, and marks it. Keys that no one signed for
 * count only where with_keys: from whoever sends evidence they would vouch for anything.
 */
MUST_CHECK int evidence_files_endorse(struct evidence_files *f, bool with_keys,
				      struct endorsements *e);

/*
 * The files that go with one report: itself, and those whose name up to its first dot is its
 * own, or no report's. Lent into to, which has room for all; returns how many.
 */
size_t evidence_files_of(const struct evidence_files *f, size_t report, struct evidence_file *to);

#endif
