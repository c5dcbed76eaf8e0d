/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_OWN_MOUNTS_H
#define ASSAY_TESTS_OWN_MOUNTS_H

#include "errors.h"

/*
 * A mount namespace of the program's own, in which places of sysfs and /dev exist that this
 * machine does not have. It ends with its last process; nothing of it is seen outside.
 */

/* Before the program has threads. -EPERM: it needs to be root. */
MUST_CHECK int own_mounts_begin(void);

/*
 * The directory exists afterwards and can be mounted over. Where it did not, a tmpfs covers the
 * nearest place above it that did, with all that was in it bound into the tmpfs.
 */
MUST_CHECK int own_mounts_directory(const char *path);

/* A directory of /dev or the like that can be written to: covered as above in any case. */
MUST_CHECK int own_mounts_cover(const char *path);

#endif
