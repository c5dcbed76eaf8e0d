/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_SCAN_H
#define ASSAY_COLLECTORS_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/mapped.h"
#include "bpf/scan.h"
#include "bytes.h"
#include "errors.h"

/*
 * What the kernel's own structures say, read by eBPF iterators: what each thread of an
 * application may do, and what it and others hold open. One a target; one thread uses it.
 */
struct scan;

/* Loads the iterators. On failure (no eBPF, no iterators) ret_why says in words what is missing. */
MUST_CHECK int scan_open(struct scan **ret, char *ret_why, size_t size);
void scan_close(struct scan *s); /* accepts NULL */

/*
 * The processes that the next passes are about: in order, none twice. Costs something only where
 * they are others than before. -E2BIG: more than SCAN_WANTED_MAX.
 */
MUST_CHECK int scan_want(struct scan *s, const pid_t *pids, size_t n);

/*
 * One pass each. The records are lent for the call; an error of the callback ends the
 * pass and is returned. text is not ended by a zero byte. -EBADMSG: what the kernel side
 * wrote is not what it writes.
 */
MUST_CHECK int scan_threads(struct scan *s, int (*on_thread)(void *, const struct scan_thread *),
			    void *arg);
MUST_CHECK int scan_descriptors(struct scan *s,
				int (*on_descriptor)(void *, const struct scan_descriptor *,
						     struct view text),
				void *arg);

/*
 * The same for mappings that are code, and those of files that are shared and writable: of each
 * process in order of address, and then a record that says whether these are all (MAPPED_END). A
 * process without the latter was not looked at. -EOPNOTSUPP: this kernel's cannot be walked.
 */
MUST_CHECK int scan_mappings(struct scan *s,
			     int (*on_mapping)(void *, const struct mapped_record *), void *arg);

#endif
