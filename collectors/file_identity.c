/* SPDX-License-Identifier: Apache-2.0 */
#include "file_identity.h"

#include <time.h>

#define NS_PER_S 1000000000ULL

/* Two ticks of the slowest clock a kernel is built with (CONFIG_HZ=100). */
#define SETTLE_NS 20000000ULL

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

struct file_identity file_identity_of(const struct stat *st)
{
	return (struct file_identity){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.ctime_ns = ns_of(st->st_ctim),
		.mtime_ns = ns_of(st->st_mtim),
	};
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->ctime_ns == b->ctime_ns && a->mtime_ns == b->mtime_ns;
}

bool file_identity_settled(const struct file_identity *id)
{
	struct timespec t;
	uint64_t now;

	/* The clock the kernel stamps files with; compared with nothing else, so no time is told.
	 */
	if (clock_gettime(CLOCK_REALTIME_COARSE, &t) < 0)
		return false;
	now = ns_of(t);
	/* A stamp from the future could come again as well: it never counts as settled. */
	return id->ctime_ns < now && now - id->ctime_ns > SETTLE_NS;
}
