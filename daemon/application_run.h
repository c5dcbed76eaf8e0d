/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_APPLICATION_RUN_H
#define ASSAY_DAEMON_APPLICATION_RUN_H

#include "application.h"

/* One run of an application, from its start to the end of its last process. */

/* Ends what belongs to a run: round, collectors, secrets, files. Its processes are not touched. */
void application_run_clear(struct application *a);

/* The run could not begin, for this reason (words); it is tried again a little later. */
void application_run_failed(struct application *a, const char *why);

/* A8, B2: executes the program, with the secrets that are delivered at the start. */
void application_run_start(struct application *a);

/* It runs as target.root_pid: delivered to, and from here on measured at its time nodes. */
void application_run_started(struct application *a);

/* Its last process ended. */
void application_run_ended(struct application *a);

/* Are the measured files as they were? -ESTALE: no, which was said. */
MUST_CHECK int application_run_check(struct application *a);

/* Writes released secrets into the credential files, where the configuration wants any. */
MUST_CHECK int application_run_deliver(struct application *a);

/* Receipts for secrets that were delivered as the program started, or into files since. */
void application_run_delivered(struct application *a, bool at_start);

/* What the configuration says shall happen to an application that was refused while it runs. */
void application_run_refused(struct application *a);

/* After the first process ended: looks whether the last one did. For a timer; arg: application. */
void application_run_on_gone(evutil_socket_t fd, short what, void *arg);

void application_retry_in(struct application *a, int seconds);

#endif
