/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_MEASURE_CREW_H
#define ASSAY_MEASURE_CREW_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "measure_parts.h"

/*
 * The threads of one walk. Work waits in two places. Tasks are directories and portions of
 * their entries, taken last in, first out: deep before wide, so that few directories are
 * open at a time. Files that are large wait apart and the largest is taken first, by every
 * thread but one while tasks are left: a large file met late would keep one thread busy
 * after the others are done.
 */

/* A directory that tasks are left for. */
struct folder {
	const char *path; /* in a worker's arena */
	struct stat before;
	int fd;
	atomic_uint users;
};

struct worker;

struct task {
	struct task *next;
	int (*run)(struct worker *w, struct task *t);
	struct folder *in;
	struct found *what;	      /* the directory to list */
	const struct walk_root *root; /* or the root to begin with */
	size_t len;
	_Alignas(struct dirent64) uint8_t entries[];
};

struct crew {
	const struct walk_options *options;
	int (*read_large)(struct worker *w, struct found *f);
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct task *tasks;
	struct found **large; /* a heap, the largest first */
	size_t n_large, room_large;
	unsigned int on_tasks, waiting; /* workers */
	unsigned int threads;
	atomic_bool stop;
	int error;
	char *error_path;
	atomic_uint_least64_t n_found, files, bytes;
};

struct worker {
	struct crew *crew;
	struct content_reader *reader; /* once there is something to read */
	struct arena *arena;
	struct found **items;
	size_t n, room;
	uint64_t files, bytes, reported;
	bool first; /* on the caller's own thread */
};

/* Notes the first failure and tells the others to stop; returns r. */
int crew_fail(struct crew *c, int r, const char *path);

/* Leaves work for whoever is free next. A task's folder is held by it. */
void crew_push(struct crew *c, struct task *t);
MUST_CHECK int crew_push_large(struct crew *c, struct found *f);

/* Works all of it off on c->threads threads, the caller's among them. */
void crew_run(struct crew *c, struct worker *workers);

/* Frees what was left undone, while the workers' arenas are there. */
void crew_done(struct crew *c, struct worker *w);

void folder_hold(struct folder *f);

/* -ESTALE, noted: the directory changed while it was in use. f may be NULL. */
int folder_release(struct worker *w, struct folder *f);

MUST_CHECK int worker_open(struct worker *w, struct crew *c);
void worker_done(struct worker *w);

/* Puts what the worker found in order; each does it for its own, at the end of a run. */
void worker_sort(struct worker *w);

/* Hands over what the worker found, in order. */
MUST_CHECK int worker_yield(struct worker *w, struct found_list *ret, char **ret_path);

/* Adds what the worker read to the crew's count, and tells progress. */
void worker_report(struct worker *w);

#endif
