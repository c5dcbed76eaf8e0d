/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "collectors/proc_text.h"

/* As the kernel hands them out; the C library's own reading allocates for each directory. */
struct entry {
	uint64_t inode, offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static int visit_write(const struct descriptor_visitor *v, size_t process, int fds,
		       const char *name, const char *path)
{
	struct stat st;

	/* The link's own mode says how the file was opened (proc(5)). */
	if (path[0] != '/' || fstatat(fds, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !(st.st_mode & S_IWUSR))
		return 0;
	if (fstatat(fds, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return v->on_write(v->arg, process, path);
}

static int visit_one(const struct descriptor_visitor *v, size_t process, int fds, const char *name)
{
	char target[PATH_MAX];
	uint64_t inode;
	ssize_t len;

	len = readlinkat(fds, name, target, sizeof(target) - 1);
	if (len < 0)
		return 0; /* closed meanwhile */
	target[len] = '\0';
	if (proc_parse_socket(target, &inode))
		return v->on_socket ? v->on_socket(v->arg, process, inode) : 0;
	return v->on_write ? visit_write(v, process, fds, name, target) : 0;
}

static int visit_process(const struct target *t, const struct descriptor_visitor *v, size_t process,
			 size_t *seen, bool *complete)
{
	_Alignas(struct entry) char list[8192];
	CLEANUP(cleanup_fd) int fds = -1;
	ssize_t n;
	int r;

	fds = openat(t->processes[process].proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds < 0) {
		*complete = false;
		return 0;
	}
	while ((n = syscall(SYS_getdents64, fds, list, sizeof(list))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct entry *e = (const void *)(list + at);

			at += e->size;
			if (e->name[0] == '.')
				continue;
			if (++*seen > DESCRIPTORS_MAX) {
				*complete = false;
				return 0;
			}
			r = visit_one(v, process, fds, e->name);
			if (r < 0)
				return r;
		}
	}
	if (n < 0)
		*complete = false;
	return 0;
}

int descriptors_visit(const struct target *t, const struct descriptor_visitor *v,
		      bool *ret_complete)
{
	bool complete = true;
	size_t seen = 0;
	int r;

	for (size_t i = 0; i < t->n_processes; i++) {
		r = visit_process(t, v, i, &seen, &complete);
		if (r < 0)
			return r;
	}
	*ret_complete = complete;
	return 0;
}
