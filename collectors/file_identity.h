/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_FILE_IDENTITY_H
#define ASSAY_FILE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * What the kernel says of a file without its content being read. Two equal
 * identities mean that nobody wrote to the file through the file system, as far as
 * its time stamps reach: never that the content is the same, which is why whoever relies on
 * one also reads the content again now and then. (The kernel's change cookie would say it
 * better, but no kernel gives it to user space.)
 */
struct file_identity {
	uint64_t device, inode, size;
	uint64_t ctime_ns, mtime_ns;
};

struct file_identity file_identity_of(const struct stat *st);
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/*
 * False while a later write could get the very time stamps the file has now: kernels
 * before 6.13 stamp files with the time of the last clock tick, so an identity taken within a
 * tick of a change says nothing of the next one. Reads the clock that stamps files.
 */
bool file_identity_settled(const struct file_identity *id);

#endif
