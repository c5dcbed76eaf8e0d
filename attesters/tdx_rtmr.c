/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_rtmr.h"

#include <fcntl.h>
#include <unistd.h>

#include "cleanup.h"

#define SIZE	48
#define TEXT(n) #n
#define PATH(n) TDX_MEASUREMENTS "/rtmr" TEXT(n) ":sha384"

static const char path[] = PATH(TDX_RTMR);

int tdx_rtmr_read(struct digest *ret)
{
	CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(SIZE);
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	r = fd < 0 ? neg_errno() : bytes_read_fd(&value, fd);
	if (r < 0)
		return r == -EMSGSIZE ? -EIO : r;
	if (value.len != SIZE)
		return -EIO;
	return digest_from(HASH_SHA384, bytes_view(&value), ret);
}

int tdx_rtmr_extend(const struct digest *d)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct digest of_size = *d;
	ssize_t n;
	int r;

	if (d->alg != HASH_SHA384) {
		r = digest_of(HASH_SHA384, digest_view(d), &of_size);
		if (r < 0)
			return r;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	/* Not tried again: only one extension may come of it. */
	n = pwrite(fd, of_size.bytes, of_size.size, 0);
	if (n < 0)
		return neg_errno();
	return (size_t)n == of_size.size ? 0 : -EIO;
}
