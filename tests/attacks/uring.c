/* SPDX-License-Identifier: Apache-2.0 */
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int uring_open(struct uring *ret)
{
	struct uring u = { .fd = -1 };
	int r;

	u.fd = (int)syscall(SYS_io_uring_setup, 4, &u.parameters);
	if (u.fd < 0)
		return -errno;
	if (!(u.parameters.features & IORING_FEAT_SINGLE_MMAP)) {
		close(u.fd);
		return -ENOTSUP;
	}
	u.rings_size =
		u.parameters.cq_off.cqes + u.parameters.cq_entries * sizeof(struct io_uring_cqe);
	u.rings = mmap(NULL, u.rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd,
		       IORING_OFF_SQ_RING);
	u.entries_size = u.parameters.sq_entries * sizeof(struct io_uring_sqe);
	u.entries = mmap(NULL, u.entries_size, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd,
			 IORING_OFF_SQES);
	if (u.rings == MAP_FAILED || u.entries == MAP_FAILED) {
		r = -errno;
		close(u.fd);
		return r;
	}
	*ret = u;
	return 0;
}

void uring_close(struct uring *u)
{
	munmap(u->entries, u->entries_size);
	munmap(u->rings, u->rings_size);
	close(u->fd);
}

static unsigned *in_rings(struct uring *u, uint32_t offset)
{
	return (unsigned *)(void *)(u->rings + offset);
}

static int submit(struct uring *u, const struct io_uring_sqe *entry)
{
	unsigned tail = *in_rings(u, u->parameters.sq_off.tail);
	unsigned index = tail & (u->parameters.sq_entries - 1), head;
	const struct io_uring_cqe *done;

	u->entries[index] = *entry;
	in_rings(u, u->parameters.sq_off.array)[index] = index;
	__atomic_store_n(in_rings(u, u->parameters.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	head = *in_rings(u, u->parameters.cq_off.head);
	if (head == __atomic_load_n(in_rings(u, u->parameters.cq_off.tail), __ATOMIC_ACQUIRE))
		return -EIO;
	done = (const struct io_uring_cqe *)(void *)(u->rings + u->parameters.cq_off.cqes);
	done += head & (u->parameters.cq_entries - 1);
	__atomic_store_n(in_rings(u, u->parameters.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return done->res;
}

int uring_openat(struct uring *u, const char *path, int flags)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT,
				  .fd = AT_FDCWD,
				  .addr = (uint64_t)(uintptr_t)path,
				  .open_flags = (uint32_t)flags };

	return submit(u, &e);
}

int uring_write(struct uring *u, int fd, const void *data, size_t size, uint64_t offset)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_WRITE,
				  .fd = fd,
				  .addr = (uint64_t)(uintptr_t)data,
				  .len = (uint32_t)size,
				  .off = offset };

	return submit(u, &e);
}

int uring_connect(struct uring *u, int fd, const void *address, size_t size)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_CONNECT,
				  .fd = fd,
				  .addr = (uint64_t)(uintptr_t)address,
				  .off = size };

	return submit(u, &e);
}
