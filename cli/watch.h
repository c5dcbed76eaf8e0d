/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_WATCH_H
#define ASSAY_CLI_WATCH_H

#include <sys/types.h>

#include "mi.h"

/*
 * Measures a process that is already running, and its descendants, by the very collectors of
 * assayd. For the superuser.
 */
struct watch;

#define WATCH_FAILED_MAX 512

/*
 * Begins to follow the process. -ESRCH: there is none; else what a collector or the kernel said.
 * failed gets words on it.
 */
MUST_CHECK int watch_open(pid_t pid, struct watch **ret, char failed[WATCH_FAILED_MAX]);
void watch_close(struct watch *w);

/*
 * Takes the next MI; its windows are since the one before, those of the first since the process
 * began. *ret is lent until the next call. -ESRCH: no process is left; watch_failed() has words.
 */
MUST_CHECK int watch_measure(struct watch *w, const struct mi **ret);
const char *watch_failed(const struct watch *w);

/*
 * Waits for so long, and meanwhile takes what the kernel tells of, so that its rings do not
 * overflow on a machine where much is started. -EINTR: a signal came. -EBADMSG as follow_drain.
 */
MUST_CHECK int watch_wait(struct watch *w, uint64_t ns);

/* The file that the process executes; empty where it could not be read. */
const char *watch_program(const struct watch *w);

#endif
