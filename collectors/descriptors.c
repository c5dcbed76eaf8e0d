/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "collectors/proc_text.h"
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

static int by_pid(const void *key, const void *element)
{
	pid_t pid = *(const pid_t *)key, other = ((const struct target_process *)element)->pid;

	return pid < other ? -1 : pid > other;
}

/* One pass of the iterator under way. */
struct telling {
	const struct target *target;
	struct descriptors *d;
	size_t seen;
};

static int keep_text(struct descriptors *d, struct view text, uint32_t *ret)
{
	int r;

	*ret = (uint32_t)d->paths.len;
	r = bytes_append(&d->paths, text.data, text.len);
	if (r == 0)
		r = bytes_append(&d->paths, "", 1);
	return r;
}

static int add_notable(struct descriptors *d, const struct scan_descriptor *from, struct view text,
		       uint32_t process)
{
	struct descriptor_notable *to;
	int r;

	if (d->n_notable == DESCRIPTORS_NOTABLE_MAX) {
		d->complete = false;
		return 0;
	}
	if (d->n_notable == d->room_notable) {
		size_t room = d->room_notable ? 2 * d->room_notable : 64;
		struct descriptor_notable *grown = realloc(d->notable, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->notable = grown;
		d->room_notable = room;
	}
	to = &d->notable[d->n_notable];
	*to = (struct descriptor_notable){ .d = *from,
					   .process = process,
					   .text_len = (uint32_t)text.len };
	r = text.len > 0 ? keep_text(d, text, &to->text) : 0;
	if (r == -EMSGSIZE) {
		d->complete = false;
		return 0;
	}
	if (r == 0)
		d->n_notable++;
	return r;
}

static int add_written(struct descriptors *d, struct descriptor one, struct view path)
{
	int r;

	if (path.len == 0) { /* longer than the kernel makes paths, or not made in time */
		d->complete = false;
		return 0;
	}
	r = keep_text(d, path, &one.path);
	if (r == -EMSGSIZE) {
		d->complete = false;
		return 0;
	}
	return r < 0 ? r : add(d, one);
}

static int on_descriptor(void *arg, const struct scan_descriptor *from, struct view text)
{
	struct telling *x = arg;
	const pid_t pid = (pid_t)from->tgid;
	const struct target_process *p =
		bsearch(&pid, x->target->processes, x->target->n_processes, sizeof(*p), by_pid);
	struct descriptor one = { .number = (int)from->number };
	size_t before = x->d->n_notable;
	int r;

	if (from->foreign)
		return add_notable(x->d, from, text, 0);
	if (!p)
		return 0;
	if (++x->seen > DESCRIPTORS_MAX) {
		x->d->complete = false;
		return 0;
	}
	one.process = (uint32_t)(p - x->target->processes);
	if (from->kind == SCAN_WRITTEN)
		return add_written(x->d, one, text);
	r = add_notable(x->d, from, text, one.process);
	if (r < 0 || from->kind != SCAN_SOCKET)
		return r;
	one.socket = from->inode;
	one.about = x->d->n_notable > before ? (uint32_t)x->d->n_notable : 0;
	return add(x->d, one);
}

/* What the iterator tells. False: it cannot be had, or broke off. */
static bool ask_iterator(struct target *t, struct descriptors *d, int *ret_error)
{
	struct telling x = { .target = t, .d = d };
	struct scan *iterators;
	int r;

	*ret_error = target_iterators(t, &iterators, &d->why);
	if (*ret_error < 0 || !iterators)
		return false;
	r = scan_descriptors(iterators, on_descriptor, &x);
	if (r == 0)
		return true;
	*ret_error = r == -ENOMEM ? r : 0;
	d->why = "the iterator over descriptors broke off";
	return false;
}

static int look_at(struct descriptors *d, uint32_t process, int fds, const char *name)
{
	struct descriptor one = { .process = process };
	char target[PATH_MAX];
	struct stat st;
	uint64_t number;
	ssize_t len;

	if (proc_parse_number(view_text(name), INT_MAX, &number) < 0)
		return 0; /* a descriptor has no other name */
	len = readlinkat(fds, name, target, sizeof(target) - 1);
	if (len < 0)
		return 0; /* closed meanwhile */
	target[len] = '\0';
	one.number = (int)number;
	if (proc_parse_socket(target, &one.socket))
		return add(d, one);
	/* The link's own mode says how the file was opened (proc(5)). */
	if (target[0] != '/' || fstatat(fds, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !(st.st_mode & S_IWUSR))
		return 0;
	if (fstatat(fds, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return add_written(d, one, view_of(target, (size_t)len));
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

static void begin(struct descriptors *d)
{
	d->n = d->n_notable = 0;
	d->complete = true;
	d->scan = 0;
	bytes_reset(&d->paths);
}

static int gather(struct target *t, struct descriptors *d)
{
	size_t seen = 0;
	int r;

	begin(d);
	d->told = ask_iterator(t, d, &r);
	if (r < 0 || d->told)
		return r;
	begin(d);
	for (uint32_t i = 0; i < t->n_processes && r == 0; i++)
		r = look_at_process(t, d, i, &seen);
	return r;
}

int descriptors_of(struct target *t, const struct descriptors **ret)
{
	struct target_state *s = (struct target_state *)t;
	struct descriptors *d = s->descriptors;
	int r;

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->paths = BYTES_INIT(DESCRIPTOR_PATHS_MAX);
		s->descriptors = d;
	}
	if (d->scan != s->scans) {
		r = gather(t, d);
		if (r < 0)
			return r;
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
	free(d->notable);
	bytes_done(&d->paths);
	free(d);
}
