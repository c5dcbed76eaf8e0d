/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SANDBOX_H
#define ASSAY_VERIFIER_SANDBOX_H

#include <stdbool.h>

#include "errors.h"

/*
 * What the appraiser does before it reads the first byte from the network: it becomes
 * that user (when it is root), can gain no privilege any more, and under a seccomp filter can
 * open no file, start no process and make no memory executable. dials: it may make connections of
 * its own. -ENOENT: no such user; errors of the kernel.
 */
MUST_CHECK int sandbox_enter(const char *user, bool dials);

#endif
