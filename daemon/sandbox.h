/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_SANDBOX_H
#define ASSAY_DAEMON_SANDBOX_H

#include "errors.h"

/*
 * Gives up what the net process does not need: becomes the user (a name, or a
 * number where there is no user database), loses every capability and any way to a new one,
 * is not dumpable, and from then on may only make the system calls of a TLS client: no file is
 * opened, no program executed, nobody traced. -ENOENT: no such user; -EINVAL: it is root. When not started as root
 * the user stays as it is.
 */
MUST_CHECK int sandbox_enter(const char *user);

#endif
