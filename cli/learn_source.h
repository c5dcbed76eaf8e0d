/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_LEARN_SOURCE_H
#define ASSAY_CLI_LEARN_SOURCE_H

#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/* The MIs that assay learn learns from, as they were packed, in the order in which they were taken.
 */

#define LESSON_MIS_MAX (512 * 1024 * 1024) /* bytes of all of them */

struct lesson_mis {
	struct lesson_mi {
		uint64_t taken_ns, order;
		char *name; /* for messages */
		struct bytes packed;
	} * items;
	size_t n, room;
	uint64_t bytes;
};

void lesson_mis_done(struct lesson_mis *g);

/*
 * Each says on standard error what is wrong, and returns an exit status of assay; EXIT_GOOD: at
 * least one MI more is there.
 */
MUST_CHECK int lesson_file(struct lesson_mis *g,
			   const char *path); /* a file, or each of a folder */
MUST_CHECK int lesson_store(struct lesson_mis *g, const char *store, const char *application);

struct lesson_watch {
	pid_t pid;
	uint64_t for_ns, every_ns;
};

/* Until the time is over, the process ended or SIGINT came. program gets its executable's name. */
MUST_CHECK int lesson_watched(struct lesson_mis *g, const struct lesson_watch *how,
			      char program[4096]);

/* Puts them into order. */
void lesson_sort(struct lesson_mis *g);

#endif
