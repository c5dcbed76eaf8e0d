/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_MAPPED_H
#define ASSAY_COLLECTORS_MAPPED_H

#include "bytes.h"
#include "collectors/mappings.h"
#include "target.h"

/*
 * The mappings of all processes of an application, read in one pass where the kernel can be walked
 * there, and one by one (mappings.h) where it cannot or a process was busy changing them.
 */
struct mapped;

/* ways and text are lent for its life, as in mappings.h. The caller owns *ret. -ENOMEM. */
MUST_CHECK int mapped_new(struct mappings_ways *ways, struct bytes *text, struct mapped **ret);
void mapped_free(struct mapped *m); /* accepts NULL */

/* The pass, after target_scan; where there is none, all is asked one by one. -ENOMEM. */
MUST_CHECK int mapped_pass(struct mapped *m, struct target *t);

/* From here on, until the next pass, this process is asked for what it has mapped by now. */
void mapped_forget(struct mapped *m, const struct target_process *p);

/*
 * mappings_executable and mappings_written of a process of the target's, with the same errors.
 * Files that ways.is_known does not know, and all that are written, are asked for once more, by
 * place: where one file stands for another, as in overlayfs, the pass tells of the one below.
 */
MUST_CHECK int mapped_executable(struct mapped *m, const struct target_process *p,
				 int (*on_mapping)(void *arg, const struct proc_mapping *m),
				 void *arg);
MUST_CHECK int mapped_written(struct mapped *m, const struct target_process *p,
			      int (*on_mapping)(void *arg, const struct proc_mapping *m),
			      void *arg);

#endif
