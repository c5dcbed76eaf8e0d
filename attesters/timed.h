/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TIMED_H
#define ASSAY_ATTESTERS_TIMED_H

#include "errors.h"

/*
 * A call to the kernel that may take long (it asks the host, who may not answer). It is
 * made on a thread of its own, one at a time, so that who asks can stop waiting.
 */
struct timed;

MUST_CHECK int timed_new(struct timed **ret);

/* A call that is still out ends by itself, and with it what it needs. Accepts NULL. */
void timed_free(struct timed *t);

/*
 * Runs work(job); 0, and what it gave in *ret_result. -ETIMEDOUT: it did not end within limit_ms;
 * the job is then the thread's, which ends with release(job). -EBUSY: an earlier call has not
 * come back. -ENOMEM, -EAGAIN: no thread. But for -ETIMEDOUT the job stays the caller's.
 */
MUST_CHECK int timed_run(struct timed *t, unsigned int limit_ms, int (*work)(void *job),
			 void (*release)(void *job), void *job, int *ret_result);

#endif
