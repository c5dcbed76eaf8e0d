/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_BATCH_H
#define ASSAY_DAEMON_BATCH_H

#include "application.h"

/*
 * Measurements that wait for the chip report that will cover them (report: every N).
 * The next round with a report of its own takes them along; when the run ends first, they get one
 * over the last of them.
 */

/* Claims and MI of one batch, at most; then the next measurement has its own report. */
#define BATCH_BYTES_MAX (4 * 1024 * 1024)

/* Adds a measurement, which is taken over. */
void batch_add(struct application *a, struct queued_measurement *m);

/* Takes all of them, oldest first, and says how many. */
struct queued_measurement *batch_take(struct application *a, size_t *ret_n);

/* Forgets them. */
void batch_drop(struct application *a);

/*
 * The run ends: asks the chip for a report over the last Claims of the batch and
 * queues the evidence when it is there. Does nothing for an empty batch. What cannot be
 * reported is said in the log.
 */
void batch_close(struct application *a);

#endif
