/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_FUSE_MOUNT_H
#define ASSAY_TESTS_FUSE_MOUNT_H

#define FUSE_USE_VERSION 31
#include <fuse.h>

#include "errors.h"

/* A file system of a test's, served by a thread of the test. */
struct fuse_mount;

/* Its functions find arg in fuse_get_context()->private_data. */
MUST_CHECK int fuse_mount_start(const char *path, const struct fuse_operations *ops, void *arg,
				struct fuse_mount **ret);

/* Nothing in it may be open. Accepts NULL. */
void fuse_mount_stop(struct fuse_mount *m);

#endif
