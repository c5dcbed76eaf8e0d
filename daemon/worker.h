/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_WORKER_H
#define ASSAY_DAEMON_WORKER_H

#include <event2/event.h>

#include "errors.h"

/*
 * One thread for slow work of one kind (the chip; reading files), so that the
 * loop never waits. Jobs are done one at a time, in the order they were given.
 */
struct worker;

/* Called in the thread; touches nothing but its argument. Its result goes to done. */
typedef int (*worker_work)(void *arg);

/* Called on the loop, exactly once for each job, in order; with -ECANCELED when the worker ends. */
typedef void (*worker_done)(void *arg, int r);

MUST_CHECK int worker_new(struct event_base *base, const char *name, struct worker **ret);

/* -ENOMEM: the job was not taken and done is not called. */
MUST_CHECK int worker_run(struct worker *w, worker_work work, worker_done done, void *arg);

/* Waits for the job at hand; those not begun are done with -ECANCELED. Accepts NULL. */
void worker_free(struct worker *w);

#endif
