/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks trees and reads what is in them. Small files are opened, read and hashed where they are
 * met, relative to their directory: no path is resolved twice, and none is looked at before
 * it is opened unless an earlier walk may know it.
 */
#include "measure_crew.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* Directory entries of one task, as getdents64 writes them: some 250 files. */
#define PORTION_SIZE (8 * 1024)

/* Files from this size on wait apart. */
#define LARGE_FROM (1024 * 1024)

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int worker_fail(struct worker *w, int r, const struct folder *in, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", in ? in->path : "",
		 in && in->path[1] != '\0' ? "/" : "", name);
	return crew_fail(w->crew, r, path);
}

static const char *path_in(struct worker *w, const struct folder *in, const char *name)
{
	size_t left = in ? strlen(in->path) : 0, right = strlen(name);
	char *path;

	if (!in)
		return arena_copy(w->arena, name, right + 1);
	path = arena_alloc(w->arena, left + right + 2);
	if (!path)
		return NULL;
	memcpy(path, in->path, left);
	if (left > 1) /* not of "/" */
		path[left++] = '/';
	memcpy(path + left, name, right);
	return path;
}

/* Notes what was found. The path is built here and nowhere else. */
static int note(struct worker *w, const struct folder *in, const char *name, const struct stat *st,
		struct found **ret)
{
	struct found *f;

	if (atomic_fetch_add_explicit(&w->crew->n_found, 1, memory_order_relaxed) >=
	    MANIFEST_ENTRIES_MAX)
		return -EMSGSIZE;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct found **grown = realloc(w->items, room * sizeof(struct found *));

		if (!grown)
			return -ENOMEM;
		w->items = grown;
		w->room = room;
	}
	f = arena_alloc(w->arena, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->path = path_in(w, in, name);
	if (!f->path)
		return -ENOMEM;
	if (strlen(f->path) >= PATH_MAX)
		return -ENAMETOOLONG;
	f->id = file_identity_of(st);
	f->mode = st->st_mode;
	f->uid = st->st_uid;
	f->gid = st->st_gid;
	w->items[w->n++] = f;
	*ret = f;
	return 0;
}

static int note_link(struct worker *w, int fd, const char *name, struct found *f)
{
	char target[PATH_MAX];
	ssize_t n;

	n = readlinkat(fd, name, target, sizeof(target));
	if (n < 0)
		/* It was a link when it was looked at. */
		return errno == EINVAL || errno == ENOENT ? -ESTALE : neg_errno();
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	f->link = arena_copy(w->arena, target, (size_t)n + 1);
	return f->link ? 0 : -ENOMEM;
}

static int read_content(struct worker *w, int fd, const struct stat *st, struct found *f)
{
	const struct walk_options *o = w->crew->options;
	struct digest d;
	int r;

	if (!w->reader) {
		r = content_reader_new(&w->reader);
		if (r < 0)
			return r;
	}
	r = content_read(w->reader, fd, st, &d, &f->head);
	if (r < 0)
		return r;
	memcpy(f->sha256, d.bytes, sizeof(f->sha256));
	f->settled = file_identity_settled(&f->id);
	f->due = o->node + o->due_after;
	w->files++;
	w->bytes += f->id.size;
	return 0;
}

/* The digest of an earlier walk, if the file is still the one it was then. */
static bool take_known(const struct walk_options *o, struct found *f)
{
	const struct found *k;

	if (!o->known)
		return false;
	k = found_list_find(o->known, f->path);
	if (!k || !S_ISREG(k->mode) || !k->settled || o->node >= k->due ||
	    !file_identity_equal(&k->id, &f->id))
		return false;
	memcpy(f->sha256, k->sha256, sizeof(f->sha256));
	f->head = k->head;
	f->settled = true;
	f->due = k->due;
	return true;
}

/* Opens a file that was there a moment ago. */
static int open_seen(int at, const char *name)
{
	int fd = openat(at, name, OPEN_FILE);

	if (fd >= 0)
		return fd;
	/* Gone, or a link by now. */
	return errno == ENOENT || errno == ELOOP ? -ESTALE : neg_errno();
}

/* seen: what fstatat said of it, where somebody looked already. */
static int see_file(struct worker *w, const struct folder *in, const char *name,
		    const struct stat *seen)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct found *f = NULL;
	struct stat st;
	int r;

	if (seen) {
		r = note(w, in, name, seen, &f);
		if (r < 0)
			return r;
		if (take_known(w->crew->options, f))
			return 0;
		if (f->id.size >= LARGE_FROM)
			return crew_push_large(w->crew, f);
	}
	fd = open_seen(in ? in->fd : AT_FDCWD, name);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	if (!seen) {
		r = note(w, in, name, &st, &f);
		if (r < 0)
			return r;
		if (f->id.size >= LARGE_FROM)
			return crew_push_large(w->crew, f);
	}
	return read_content(w, fd, seen ? seen : &st, f);
}

/* A file noted before, opened again by its path. */
static int read_noted(struct worker *w, struct found *f)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct file_identity now;
	struct stat st;

	fd = open_seen(AT_FDCWD, f->path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return neg_errno();
	now = file_identity_of(&st);
	if (!file_identity_equal(&f->id, &now))
		return -ESTALE;
	return read_content(w, fd, &st, f);
}

static int run_portion(struct worker *w, struct task *t);

/* Lists a directory into portions. */
static int run_list(struct worker *w, struct task *t)
{
	CLEANUP(cleanup_fd) int fd = -1;
	const char *name = strrchr(t->what->path, '/') + 1;
	struct folder *f;
	int r;

	fd = t->in ? openat(t->in->fd, name, OPEN_FILE | O_DIRECTORY)
		   : open(t->what->path, OPEN_FILE | O_DIRECTORY);
	if (fd < 0) {
		r = errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? -ESTALE : neg_errno();
		return crew_fail(w->crew, r, t->what->path);
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return crew_fail(w->crew, -ENOMEM, t->what->path);
	f->path = t->what->path;
	f->users = 1;
	if (fstat(fd, &f->before) < 0) {
		r = crew_fail(w->crew, neg_errno(), f->path);
		free(f);
		return r;
	}
	f->fd = TAKE_FD(fd);
	if (f->before.st_ino != t->what->id.inode || f->before.st_dev != t->what->id.device) {
		r = crew_fail(w->crew, -ESTALE, f->path);
		goto out;
	}

	for (;;) {
		struct task *portion = malloc(sizeof(*portion) + PORTION_SIZE);
		ssize_t n;

		if (!portion) {
			r = crew_fail(w->crew, -ENOMEM, f->path);
			break;
		}
		n = getdents64(f->fd, portion->entries, PORTION_SIZE);
		if (n <= 0) {
			r = n < 0 ? crew_fail(w->crew, neg_errno(), f->path) : 0;
			free(portion);
			break;
		}
		*portion = (struct task){ .run = run_portion, .in = f, .len = (size_t)n };
		folder_hold(f);
		crew_push(w->crew, portion);
		r = atomic_load(&w->crew->stop) ? -ECANCELED : 0;
		if (r < 0)
			break;
	}
out:
	if (r < 0)
		(void)folder_release(w, f); /* the first failure is noted */
	else
		r = folder_release(w, f);
	return r;
}

static int list_later(struct worker *w, struct folder *in, struct found *f)
{
	struct task *t = malloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct task){ .run = run_list, .in = in, .what = f };
	if (in)
		folder_hold(in);
	crew_push(w->crew, t);
	return 0;
}

/* Anything that is not known to be a regular file. */
static int see(struct worker *w, struct folder *in, const char *name, bool tree)
{
	int at = in ? in->fd : AT_FDCWD, r;
	struct found *f;
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return in && errno == ENOENT ? -ESTALE : neg_errno();
	if (S_ISREG(st.st_mode))
		return see_file(w, in, name, &st);
	r = note(w, in, name, &st, &f);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return note_link(w, at, name, f);
	if (S_ISDIR(st.st_mode) && tree)
		return list_later(w, in, f);
	return 0;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int run_portion(struct worker *w, struct task *t)
{
	/* With an earlier walk, looking comes before opening. */
	bool open_first = !w->crew->options->known;
	size_t at = 0;
	int r;

	while (at < t->len && !atomic_load_explicit(&w->crew->stop, memory_order_relaxed)) {
		const struct dirent64 *e = (const struct dirent64 *)(t->entries + at);

		at += e->d_reclen;
		if (is_dots(e->d_name))
			continue;
		if (e->d_type == DT_REG && open_first)
			r = see_file(w, t->in, e->d_name, NULL);
		else
			r = see(w, t->in, e->d_name, true);
		if (r < 0)
			return worker_fail(w, r, t->in, e->d_name);
	}
	return 0;
}

static int run_root(struct worker *w, struct task *t)
{
	int r;

	r = see(w, NULL, t->root->path, t->root->tree);
	if (r == -ENOENT && w->crew->options->may_miss)
		return 0;
	return r < 0 ? worker_fail(w, r, NULL, t->root->path) : 0;
}

/* Another name of something in the list, through directories that are links. */
static int see_alias(struct worker *w, const struct found_list *l, const struct walk_root *root)
{
	const struct found *real = found_list_find(l, root->same_as);
	struct found *f;
	struct stat st;
	int r;

	if (fstatat(AT_FDCWD, root->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	r = note(w, NULL, root->path, &st, &f);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return note_link(w, AT_FDCWD, root->path, f);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (real && file_identity_equal(&real->id, &f->id)) {
		memcpy(f->sha256, real->sha256, sizeof(f->sha256));
		f->settled = real->settled;
		f->due = real->due;
		return 0;
	}
	/* It leads elsewhere by now. */
	return take_known(w->crew->options, f) ? 0 : read_noted(w, f);
}

static int see_aliases(struct crew *c, const struct walk_roots *roots, size_t from,
		       struct found_list *l, char **ret_path)
{
	struct worker w = { 0 };
	int r;

	r = worker_open(&w, c);
	for (size_t i = from; r == 0 && i < roots->n; i++) {
		const struct walk_root *root = &roots->items[i];

		if (!root->same_as)
			continue;
		r = see_alias(&w, l, root);
		if (r == -ENOENT && c->options->may_miss)
			r = 0;
		if (r < 0)
			*ret_path = strdup(root->path);
	}
	worker_report(&w);
	if (r == 0) {
		worker_sort(&w);
		r = worker_yield(&w, l, ret_path);
	}
	worker_done(&w);
	return r;
}

static int push_roots(struct crew *c, const struct walk_roots *roots, size_t from)
{
	/* Last in is first out. */
	for (size_t i = roots->n; i > from; i--) {
		const struct walk_root *root = &roots->items[i - 1];
		struct task *t;

		if (root->same_as)
			continue;
		t = malloc(sizeof(*t));
		if (!t)
			return -ENOMEM;
		*t = (struct task){ .run = run_root, .root = root };
		crew_push(c, t);
	}
	return 0;
}

int walk(const struct walk_roots *roots, size_t from, const struct walk_options *o,
	 struct found_list *ret, struct walk_count *count, char **ret_path)
{
	CLEANUP(found_list_cleanup) struct found_list l = { 0 };
	struct worker workers[MEASURE_THREADS_MAX] = { 0 };
	struct crew c = {
		.options = o,
		.read_large = read_noted,
		.threads = o->threads < MEASURE_THREADS_MAX ? o->threads : MEASURE_THREADS_MAX,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.change = PTHREAD_COND_INITIALIZER,
	};
	int r;

	assert(o->threads > 0);
	r = push_roots(&c, roots, from);
	for (unsigned int i = 0; r == 0 && i < c.threads; i++)
		r = worker_open(&workers[i], &c);
	if (r == 0) {
		workers[0].first = true;
		crew_run(&c, workers);
		r = c.error;
		if (r < 0)
			*ret_path = TAKE(c.error_path);
	}
	for (unsigned int i = 0; r == 0 && i < c.threads; i++)
		r = worker_yield(&workers[i], &l, ret_path);
	if (r == 0)
		r = see_aliases(&c, roots, from, &l, ret_path);
	if (r == 0) {
		count->files += atomic_load(&c.files);
		count->bytes += atomic_load(&c.bytes);
		*ret = l;
		l = (struct found_list){ 0 };
	}
	/* First the tasks that were left, whose paths are in the workers' arenas. */
	crew_done(&c, &workers[0]);
	for (unsigned int i = 0; i < c.threads; i++)
		worker_done(&workers[i]);
	return r;
}
