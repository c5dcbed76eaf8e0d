/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_COVERAGE_H
#define ASSAY_COLLECTORS_COVERAGE_H

#include "collectors/follow.h"
#include "mi.h"

/*
 * The capability matrix: which attacks of the catalogue would show, with the hooks and scans that
 * are there on this kernel. Writes covers and not_covered; f may be NULL. After the other collectors
 * of the node, whose scans may have failed. -ENOMEM.
 */
MUST_CHECK int coverage_write(const struct follow *f, struct mi *mi, Assay__KernelEvents *out);

/*
 * The hook of that name or, where it is not attached, the one that sees the same and is. NULL: neither
 * is wanted here (hooks: full). Lent for f's life.
 */
const struct follow_hook *coverage_hook(const struct follow *f, const char *name);

#endif
