/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_STATIC_FILES_H
#define ASSAY_STATIC_FILES_H

#include "collector.h"
#include "measure.h"

/*
 * MI item 7: the static measurement of the application's files, repeated at each
 * time node. What looks untouched is not read again, but for a share by turns: every file
 * is read at least once in STATIC_FILES_NODES nodes.
 */
#define STATIC_FILES_NODES 64

extern const struct collector_ops collector_static_files;

/*
 * Hands over the measurement made before the application started: from then on its
 * paths are measured, `changed` is what differs from it, and nothing is read twice at the start.
 * Without one, the first time node measures the configured files and is the baseline. m is
 * only read. -ENOMEM.
 */
MUST_CHECK int static_files_baseline(struct collector *c, const struct measured *m);

#endif
