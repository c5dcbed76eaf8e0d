/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_LEARNT_H
#define ASSAY_LEARNT_H

#include "arena.h"
#include "judge.h"
#include "learn.h"

/* What was learnt: filled in by learn.c, written out by learn_write.c. */

/* One entry of a list. */
struct learnt {
	const char *text;
	const char *note;  /* for its comment; NULL: none */
	uint64_t nodes;	   /* in which it was seen */
	uint64_t last;	   /* the last of them */
	uint64_t sum, max; /* of a counter: what it counted, and most in one node */
	uint64_t total;	   /* of a counter, at the last node */
	bool varies;	   /* note was not always this */
};

/* Ordered by the bytes of their texts. */
struct learnt_list {
	struct learnt *items;
	size_t n, room, max;
};

struct learnt_range {
	uint64_t min, max, nodes;
};

/* Items of the MI that rules are about; each is in every MI or there is no rule. */
enum learnt_item {
	LEARNT_START_TIME,
	LEARNT_RESOURCES,
	LEARNT_NETWORK,
	LEARNT_STORAGE,
	LEARNT_ENVIRONMENT,
	LEARNT_LOGS,
	LEARNT_STATIC_FILES,
	LEARNT_CODE,
	LEARNT_KERNEL,
	LEARNT_CREDENTIALS,
	LEARNT_MACHINE,
	LEARNT_DESCRIPTORS,
	LEARNT_ITEMS,
};

struct learnt_status {
	uint64_t seen, partial; /* nodes in which it was to be used; of them, not complete */
	const char *why;	/* the first time that it was not */
};

struct learn {
	struct arena *arena;
	char *application;
	uint64_t nodes;
	char why[256];

	struct learnt_status items[LEARNT_ITEMS];
	struct learnt_range processes, resident, proportional, share, sent, received;
	struct learnt_range jit_bytes, jit_regions, disk_used, missed;
	struct learnt_list users, executables, capabilities;
	struct learnt_list files, listeners, outgoing, incoming, writes, names, logs;
	struct learnt_list odd_addresses; /* of sockets, which no pattern stands for */
	struct learnt nameless; /* what an empty name is counted in, and nobody reads */
	struct learnt_list counters, execs, covers, descriptors, settings, programs, lockdown;
	const char *unhashed_file; /* code or an executable that had no digest */
	/* Nodes in which there was */
	uint64_t wx, aliases, memory_files, remote_files; /* such code */
	uint64_t dumpable, no_seccomp, no_no_new_privs;	  /* a process or thread of that sort */
	uint64_t swap, taint, modules;
	uint64_t execs_unlisted; /* a program executed that the list of events does not have */
	uint64_t trees;		 /* a size of the application's data */

	struct view manifest;
	struct view manifest_m; /* SHA-384 of it, as measured */
};

/* Names of the collectors, by item. */
extern const char *const learnt_collectors[LEARNT_ITEMS];

/* The entry of that text, NULL: there is none. */
const struct learnt *learnt_find(const struct learnt_list *list, const char *text);

#endif
