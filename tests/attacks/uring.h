/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTACKS_URING_H
#define ASSAY_ATTACKS_URING_H

/*
 * The little of io_uring that attacks need: one operation at a time, waited for. There is no
 * library in it so that nothing but the kernel's own interface is used.
 */
#include <linux/io_uring.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct uring {
	int fd;
	unsigned char *rings;
	size_t rings_size;
	struct io_uring_sqe *entries;
	size_t entries_size;
	struct io_uring_params parameters;
};

/* 0 or a negative errno (-ENOSYS, -EPERM: io_uring is switched off). */
int uring_open(struct uring *ret);
void uring_close(struct uring *u);

/* Each: what the operation gave, or a negative errno. */
int uring_openat(struct uring *u, const char *path, int flags);
int uring_write(struct uring *u, int fd, const void *data, size_t size, uint64_t offset);
int uring_connect(struct uring *u, int fd, const void *address, size_t size);

#endif
