/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "collectors/target_state.h"

/* As the kernel hands them out; the C library's own reading allocates for each directory. */
struct entry {
	uint64_t inode, offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static int add(struct descriptors *d, struct descriptor one)
{
	if (d->n == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		struct descriptor *grown = realloc(d->all, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->all = grown;
		d->room = room;
	}
	d->all[d->n++] = one;
	return 0;
}

static int look_at(struct descriptors *d, uint32_t process, int fds, const char *name)
{
	struct descriptor one = { .process = process };
	char target[PATH_MAX];
	struct stat st;
	ssize_t len;
	int r;

	len = readlinkat(fds, name, target, sizeof(target) - 1);
	if (len < 0)
		return 0; /* closed meanwhile */
	target[len] = '\0';
	one.number = atoi(name);
	if (proc_parse_socket(target, &one.socket))
		return add(d, one);
	/* The link's own mode says how the file was opened (proc(5)). */
	if (target[0] != '/' || fstatat(fds, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !(st.st_mode & S_IWUSR))
		return 0;
	if (fstatat(fds, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return 0;
	one.path = (uint32_t)d->paths.len;
	r = bytes_append(&d->paths, target, (size_t)len + 1);
	if (r == -EMSGSIZE) {
		d->complete = false;
		return 0;
	}
	return r < 0 ? r : add(d, one);
}

static int look_at_process(const struct target *t, struct descriptors *d, uint32_t process,
			   size_t *seen)
{
	_Alignas(struct entry) char list[8192];
	CLEANUP(cleanup_fd) int fds = -1;
	ssize_t n;
	int r;

	fds = openat(t->processes[process].proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds < 0) {
		d->complete = false;
		return 0;
	}
	while ((n = syscall(SYS_getdents64, fds, list, sizeof(list))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct entry *e = (const void *)(list + at);

			at += e->size;
			if (e->name[0] == '.')
				continue;
			if (++*seen > DESCRIPTORS_MAX) {
				d->complete = false;
				return 0;
			}
			r = look_at(d, process, fds, e->name);
			if (r < 0)
				return r;
		}
	}
	if (n < 0)
		d->complete = false;
	return 0;
}

int descriptors_of(struct target *t, const struct descriptors **ret)
{
	struct target_state *s = (struct target_state *)t;
	struct descriptors *d = s->descriptors;
	size_t seen = 0;
	int r;

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->paths = BYTES_INIT(DESCRIPTOR_PATHS_MAX);
		s->descriptors = d;
	}
	if (d->scan != s->scans) {
		d->n = 0;
		d->complete = true;
		d->scan = 0;
		bytes_reset(&d->paths);
		for (uint32_t i = 0; i < t->n_processes; i++) {
			r = look_at_process(t, d, i, &seen);
			if (r < 0)
				return r;
		}
		d->scan = s->scans;
	}
	*ret = d;
	return 0;
}

void descriptors_free(struct descriptors *d)
{
	if (!d)
		return;
	free(d->all);
	bytes_done(&d->paths);
	free(d);
}
