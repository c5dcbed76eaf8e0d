/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/mappings.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/types.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "cleanup.h"

/* linux/fs.h of Linux 6.11 and 6.7; the headers we build with may be older. */
struct query {
	__u64 size, flags, address;
	__u64 start, end, vma_flags, page_size, offset, inode;
	__u32 major, minor, name_size, build_id_size;
	__u64 name, build_id;
};
_Static_assert(sizeof(struct query) == 104, "struct procmap_query of the kernel");
#define QUERY		   _IOWR('f', 17, struct query)
#define QUERY_READABLE	   0x01
#define QUERY_WRITABLE	   0x02
#define QUERY_EXECUTABLE   0x04
#define QUERY_SHARED	   0x08
#define QUERY_THIS_OR_NEXT 0x10

struct region {
	__u64 start, end, categories;
};

struct scan {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 inverted, mask, anyof_mask, return_mask;
};
_Static_assert(sizeof(struct scan) == 96, "struct pm_scan_arg of the kernel");
#define SCAN	     _IOWR('f', 16, struct scan)
#define PAGE_FILE    (1 << 2)
#define PAGE_PRESENT (1 << 3)
#define PAGE_SWAPPED (1 << 4)

/* Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_SWAPPED (1ULL << 62)
#define ENTRY_FILE    (1ULL << 61)

/* What is asked for: mappings with these properties (QUERY_...), and with a file's inode. */
struct wanted {
	uint64_t flags;
	bool file;
};

static const struct wanted executable = { QUERY_EXECUTABLE, false };
static const struct wanted written = { QUERY_WRITABLE | QUERY_SHARED, true };

static void take_answer(const struct query *q, const char *name, struct proc_mapping *ret)
{
	*ret = (struct proc_mapping){
		.start = q->start,
		.end = q->end,
		.offset = q->offset,
		.device = makedev(q->major, q->minor),
		.inode = q->inode,
		.name = view_of(name, q->name_size ? q->name_size - 1 : 0),
	};
	ret->protection[0] = q->vma_flags & QUERY_READABLE ? 'r' : '-';
	ret->protection[1] = q->vma_flags & QUERY_WRITABLE ? 'w' : '-';
	ret->protection[2] = q->vma_flags & QUERY_EXECUTABLE ? 'x' : '-';
	ret->protection[3] = q->vma_flags & QUERY_SHARED ? 's' : 'p';
}

/* The name costs as much as all the rest: where the caller knows the file, it is left out. */
static int add_name(int maps_fd, struct query *q, char *name, size_t size, struct proc_mapping *m)
{
	q->flags &= ~(__u64)QUERY_THIS_OR_NEXT;
	q->address = q->start;
	q->name = (uintptr_t)name;
	q->name_size = (__u32)size;
	if (ioctl(maps_fd, QUERY, q) < 0)
		return neg_errno();
	/* It may be another one by now, as wanted: then all of it is. */
	take_answer(q, name, m);
	return 0;
}

static int by_query(int maps_fd, const struct wanted *w, bool *ret_unknown,
		    const struct mappings_ways *ways,
		    int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	char name[PATH_MAX + 16];
	struct proc_mapping m;
	uint64_t at = 0;
	int r;

	for (size_t i = 0;; i++) {
		struct query q = { .size = sizeof(q),
				   .flags = w->flags | QUERY_THIS_OR_NEXT,
				   .address = at };

		if (ioctl(maps_fd, QUERY, &q) < 0) {
			*ret_unknown = i == 0 && (errno == ENOTTY || errno == EINVAL);
			return errno == ENOENT ? 0 : neg_errno();
		}
		if (i == MAPPINGS_MAX)
			return -E2BIG;
		take_answer(&q, NULL, &m);
		r = 0;
		if (!ways->is_known || m.inode == 0 ||
		    !ways->is_known(ways->known_arg, m.device, m.inode))
			r = add_name(maps_fd, &q, name, sizeof(name), &m);
		if (r == -ENOENT) /* gone meanwhile */
			continue;
		if (r == 0 && !(w->file && m.inode == 0))
			r = on_mapping(arg, &m);
		if (r < 0)
			return r;
		if (m.end <= at)
			return -EBADMSG;
		at = m.end;
	}
}

static bool is_wanted(const struct wanted *w, const struct proc_mapping *m)
{
	/* The kernel's own page at a fixed place, which queries do not show either. */
	return !((w->flags & QUERY_EXECUTABLE && m->protection[2] != 'x') ||
		 (w->flags & QUERY_WRITABLE && m->protection[1] != 'w') ||
		 (w->flags & QUERY_SHARED && m->protection[3] != 's') ||
		 (w->file && m->inode == 0) || view_is(m->name, "[vsyscall]"));
}

static int by_text(int maps_fd, const struct wanted *w, struct bytes *text,
		   int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	struct proc_mapping m;
	struct view rest;
	size_t n = 0;
	int r;

	bytes_reset(text);
	r = bytes_read_fd(text, maps_fd);
	if (r < 0)
		return r;
	rest = bytes_view(text);
	while ((r = proc_parse_mapping(&rest, &m)) == 0) {
		if (!is_wanted(w, &m))
			continue;
		if (n++ == MAPPINGS_MAX)
			return -E2BIG;
		r = on_mapping(arg, &m);
		if (r < 0)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

int mappings_again(int maps_fd, char *name, size_t size, struct proc_mapping *m)
{
	struct query q = { .size = sizeof(q), .start = m->start };
	struct proc_mapping before = *m;
	int r = add_name(maps_fd, &q, name, size, m);

	if (r == 0)
		m->no_copies = before.no_copies && m->start == before.start &&
			       m->end == before.end && m->inode == before.inode &&
			       m->device == before.device;
	return r;
}

int mappings_open(int proc_fd, int *ret)
{
	*ret = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	return errno == ENOENT ? -ESRCH : neg_errno();
}

static int each(struct mappings_ways *ways, int proc_fd, const struct wanted *w, struct bytes *text,
		int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	CLEANUP(cleanup_fd) int fd = -1;
	bool unknown = false;
	int r;

	r = mappings_open(proc_fd, &fd);
	if (r < 0)
		return r;
	if (!ways->no_query) {
		r = by_query(fd, w, &unknown, ways, on_mapping, arg);
		if (!unknown)
			return r;
		ways->no_query = true;
	}
	return by_text(fd, w, text, on_mapping, arg);
}

int mappings_executable(struct mappings_ways *ways, int proc_fd, struct bytes *text,
			int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	return each(ways, proc_fd, &executable, text, on_mapping, arg);
}

int mappings_written(struct mappings_ways *ways, int proc_fd, struct bytes *text,
		     int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	return each(ways, proc_fd, &written, text, on_mapping, arg);
}

static int at_by_text(int maps_fd, struct bytes *text, uint64_t address, struct proc_mapping *ret)
{
	struct view rest;
	int r;

	bytes_reset(text);
	r = bytes_read_fd(text, maps_fd);
	if (r < 0)
		return r;
	rest = bytes_view(text);
	while ((r = proc_parse_mapping(&rest, ret)) == 0) {
		if (address >= ret->start && address < ret->end)
			break;
	}
	ret->name = (struct view){ 0 };
	return r;
}

int mappings_at(struct mappings_ways *ways, int proc_fd, struct bytes *text, uint64_t address,
		struct proc_mapping *ret)
{
	struct query q = { .size = sizeof(q), .address = address };
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	r = mappings_open(proc_fd, &fd);
	if (r < 0)
		return r;
	if (!ways->no_query) {
		if (ioctl(fd, QUERY, &q) == 0) {
			take_answer(&q, NULL, ret);
			return 0;
		}
		if (errno != ENOTTY && errno != EINVAL)
			return neg_errno();
		ways->no_query = true;
	}
	return at_by_text(fd, text, address, ret);
}

static int by_scan(int pagemap_fd, uint64_t start, uint64_t end, bool *ret_unknown,
		   int (*on_pages)(void *arg, uint64_t start, uint64_t pages), void *arg)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct region found[32];
	int n, r;

	while (start < end) {
		struct scan s = {
			.size = sizeof(s),
			.start = start,
			.end = end,
			.vec = (uintptr_t)found,
			.vec_len = ARRAY_LEN(found),
			/* Not the file's, and there: in memory or swapped out. */
			.inverted = PAGE_FILE,
			.mask = PAGE_FILE,
			.anyof_mask = PAGE_PRESENT | PAGE_SWAPPED,
			.return_mask = PAGE_PRESENT | PAGE_SWAPPED,
		};

		n = ioctl(pagemap_fd, SCAN, &s);
		if (n < 0) {
			*ret_unknown = errno == ENOTTY;
			return neg_errno();
		}
		for (int i = 0; i < n; i++) {
			r = on_pages(arg, found[i].start, (found[i].end - found[i].start) / page);
			if (r < 0)
				return r;
		}
		if (s.walk_end <= start)
			return -EBADMSG;
		start = s.walk_end;
	}
	return 0;
}

static int by_entries(int pagemap_fd, uint64_t start, uint64_t end,
		      int (*on_pages)(void *arg, uint64_t start, uint64_t pages), void *arg)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), run = 0;
	uint64_t entries[512];
	int r;

	while (start < end) {
		size_t want = (end - start) / page;
		ssize_t n;

		if (want > ARRAY_LEN(entries))
			want = ARRAY_LEN(entries);
		n = pread(pagemap_fd, entries, want * sizeof(*entries),
			  (off_t)(start / page * sizeof(*entries)));
		if (n < 0)
			return neg_errno();
		if (n < (ssize_t)sizeof(*entries))
			return -ESRCH; /* no memory any more */
		for (size_t i = 0; i < (size_t)n / sizeof(*entries); i++, start += page) {
			bool copy = entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED) &&
				    !(entries[i] & ENTRY_FILE);

			if (copy) {
				run++;
				continue;
			}
			r = run ? on_pages(arg, start - run * page, run) : 0;
			if (r < 0)
				return r;
			run = 0;
		}
	}
	return run ? on_pages(arg, end - run * page, run) : 0;
}

int mappings_private_pages(struct mappings_ways *ways, int pagemap_fd, uint64_t start, uint64_t end,
			   int (*on_pages)(void *arg, uint64_t start, uint64_t pages), void *arg)
{
	bool unknown = false;
	int r;

	if (!ways->no_scan) {
		r = by_scan(pagemap_fd, start, end, &unknown, on_pages, arg);
		if (!unknown)
			return r;
		ways->no_scan = true;
	}
	return by_entries(pagemap_fd, start, end, on_pages, arg);
}
