/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_FILE_DIGEST_H
#define ASSAY_FILE_DIGEST_H

#include <stdbool.h>
#include <sys/stat.h>

#include "digest.h"

/*
 * SHA-256 of files by their identity (device, inode, size, ctime, mtime), so that a
 * file that nobody touched is read once. It holds FILE_DIGEST_ENTRIES files and
 * forgets those that were not asked for the longest. Times can be set back by
 * whoever writes to the disk below the file system: ask with fresh now and then.
 *
 * For one thread. One cache may serve any number of collectors.
 */
#define FILE_DIGEST_ENTRIES 2048

struct file_digest_cache;

/* The caller owns *ret. -ENOMEM. */
MUST_CHECK int file_digest_cache_new(struct file_digest_cache **ret);
void file_digest_cache_free(struct file_digest_cache *c);

/*
 * SHA-256 of the whole file behind fd, which is open for reading; its place does not
 * move. fresh: reads the content even where the identity is known. *ret_read (may be NULL)
 * says whether the content was read. -EINVAL: not a regular file; -ESTALE: it changed while
 * it was read; -EFBIG: larger than MEASURE_FILE_MAX; what reading gave.
 */
MUST_CHECK int file_digest_by_fd(struct file_digest_cache *c, int fd, bool fresh,
				 struct digest *ret_sha256, bool *ret_read);

/*
 * The same without opening the file, by what fstatat said of it: false where its content would have
 * to be read.
 */
bool file_digest_known(struct file_digest_cache *c, const struct stat *st,
		       struct digest *ret_sha256);

#endif
