/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_LEARN_H
#define ASSAY_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "mi.h"

/*
 * Writes the policy that accepts what was seen of an application in a series of MIs, and no
 * more, for a person to review. Three sorts of rules:
 *
 * - lists (listeners, peers, variables, digests of code and executables, users, capabilities,
 *   settings of the kernel, BPF programs) have what was seen;
 * - limits (memory, CPU, traffic, processes, just-in-time code) have the largest value seen,
 * rounded up by the unit that the comment names, plus the slack that was asked for;
 * - what was never seen is denied. What was seen and is a matter of how a program is made (memory
 *   both writable and executable, a memfd, io_uring) is left out, and marked REVIEW. What is a
 *   violation whoever does it (changed code, access from outside, a tracer) stays denied even where
 *   it was seen: a policy learnt from an application that was tampered with refuses it.
 */

#define LEARN_TEXT_MAX	 (1024 * 1024)	     /* of the policy, as policy_parse() takes it */
#define LEARN_LIST_MAX	 4096		     /* entries of a list */
#define LEARN_FILES_MAX	 16384		     /* digests */
#define LEARN_MEMORY_MAX (128 * 1024 * 1024) /* of what was learnt, a manifest included */
#define LEARN_SLACK_MAX	 1000		     /* per cent */

struct learn;

struct learn_options {
	const char *application; /* NULL: as the MIs say */
	const char *source;	 /* "12 nodes of process 7 over 60 s", for the head */
	const char *manifest;	 /* name of the file with learn_manifest(); NULL: not referred to */
	unsigned int slack;	 /* per cent on top of limits */
	bool accept_partial;	 /* "partial: accept" where a collector did not see everything */
	bool folders;		 /* files open for writing by their folder */
};

/* Lets several MIs of one application follow each other. -ENOMEM. */
MUST_CHECK int learn_new(struct learn **ret);
void learn_free(struct learn *l);

/*
 * Learns from one MI, in the order in which they were taken. Nothing of it is kept by reference.
 * -EINVAL: of another application than the first, with no process, or with a manifest that is none;
 * -ESTALE: the application's files are others than in the first; -E2BIG: a list is full, or
 * LEARN_MEMORY_MAX; -ENOMEM. After an error l is only good for learn_free. *ret_why is set with
 * the first three: lent, until l is freed.
 */
MUST_CHECK int learn_add(struct learn *l, const struct mi *mi, const char **ret_why);

/* How many MIs were added. */
uint64_t learn_nodes(const struct learn *l);

/* The static reference values that came with the MIs, as they were; empty: none did. Lent. */
struct view learn_manifest(const struct learn *l);

/*
 * The policy, as YAML: the same text for the same MIs and options. -ENODATA: nothing was added;
 * -EMSGSIZE: more than LEARN_TEXT_MAX; -ENOMEM.
 */
MUST_CHECK int learn_write(const struct learn *l, const struct learn_options *options,
			   struct bytes *ret);

#endif
