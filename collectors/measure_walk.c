/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks trees and reads what is in them, on several threads. Work waits in two
 * places. Tasks are directories and portions of their entries, taken last in,
 * first out: deep before wide, so that few directories are open at a time. Files that are
 * large wait apart and the largest is taken first, by every thread but one while tasks are
 * left: a large file met late would keep one thread busy after the others are done.
 * Small files are opened, read and hashed where they are met, relative to their directory.
 */
#include "measure_parts.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* Directory entries of one task, as getdents64 writes them: some 250 files. */
#define PORTION_SIZE (8 * 1024)

/* Files from this size on wait apart. */
#define LARGE_FROM (1024 * 1024)

#define PROGRESS_EVERY 512 /* files */

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* A directory that tasks are left for. */
struct folder {
	const char *path; /* in a worker's arena */
	struct stat before;
	int fd;
	atomic_uint users;
};

struct worker;

struct task {
	struct task *next;
	int (*run)(struct worker *w, struct task *t);
	struct folder *in;
	struct found *what;	      /* the directory to list */
	const struct walk_root *root; /* or the root to begin with */
	size_t len;
	_Alignas(struct dirent64) uint8_t entries[];
};

struct crew {
	const struct walk_options *options;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct task *tasks;
	struct found **large; /* a heap, the largest first */
	size_t n_large, room_large;
	unsigned int on_tasks, on_large, waiting; /* workers */
	unsigned int threads;
	atomic_bool stop;
	int error;
	char *error_path;
	atomic_uint_least64_t n_found, files, bytes;
};

struct worker {
	struct crew *crew;
	struct content_reader *reader;
	struct arena *arena;
	struct found **items;
	size_t n, room;
	uint64_t files, bytes, reported;
	bool first; /* on the caller's own thread */
};

/* The first failure stays; the others are told to stop. */
static int crew_fail(struct crew *c, int r, const char *path)
{
	pthread_mutex_lock(&c->lock);
	if (c->error == 0) {
		c->error = r;
		c->error_path = strdup(path);
	}
	atomic_store(&c->stop, true);
	pthread_cond_broadcast(&c->change);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void crew_push(struct crew *c, struct task *t)
{
	pthread_mutex_lock(&c->lock);
	t->next = c->tasks;
	c->tasks = t;
	if (c->waiting > 0)
		pthread_cond_signal(&c->change);
	pthread_mutex_unlock(&c->lock);
}

static int crew_push_large(struct crew *c, struct found *f)
{
	int r = 0;
	size_t i;

	pthread_mutex_lock(&c->lock);
	if (c->n_large == c->room_large) {
		size_t room = c->room_large ? 2 * c->room_large : 64;
		struct found **grown = realloc(c->large, room * sizeof(struct found *));

		if (!grown) {
			r = -ENOMEM;
			goto out;
		}
		c->large = grown;
		c->room_large = room;
	}
	for (i = c->n_large++; i > 0 && c->large[(i - 1) / 2]->id.size < f->id.size;
	     i = (i - 1) / 2)
		c->large[i] = c->large[(i - 1) / 2];
	c->large[i] = f;
	if (c->waiting > 0)
		pthread_cond_signal(&c->change);
out:
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* Takes the largest out of the heap; there is one, and the lock is held. */
static struct found *crew_take_large(struct crew *c)
{
	struct found *top = c->large[0], *last = c->large[--c->n_large];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < c->n_large) {
		if (child + 1 < c->n_large &&
		    c->large[child + 1]->id.size > c->large[child]->id.size)
			child++;
		if (c->large[child]->id.size <= last->id.size)
			break;
		c->large[i] = c->large[child];
		i = child;
	}
	c->large[i] = last;
	return top;
}

static void folder_hold(struct folder *f)
{
	atomic_fetch_add(&f->users, 1);
}

/* The last one out looks whether anything came or went while the directory was in use. */
static int folder_release(struct worker *w, struct folder *f)
{
	struct stat st;
	int r = 0;

	if (!f || atomic_fetch_sub(&f->users, 1) != 1)
		return 0;
	if (!atomic_load(&w->crew->stop)) {
		struct file_identity then = file_identity_of(&f->before), now;

		if (fstat(f->fd, &st) < 0) {
			r = crew_fail(w->crew, neg_errno(), f->path);
		} else {
			now = file_identity_of(&st);
			if (!file_identity_equal(&then, &now))
				r = crew_fail(w->crew, -ESTALE, f->path);
		}
	}
	close(f->fd);
	free(f);
	return r;
}

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

static void report(struct worker *w)
{
	const struct walk_options *o = w->crew->options;
	uint64_t files, bytes;

	files = atomic_fetch_add(&w->crew->files, w->files) + w->files;
	bytes = atomic_fetch_add(&w->crew->bytes, w->bytes) + w->bytes;
	w->files = 0;
	w->bytes = 0;
	if (!w->first || !o->progress || files < w->reported + PROGRESS_EVERY)
		return;
	w->reported = files;
	o->progress(o->progress_arg, files, bytes);
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

/* Work until there is none: no task, no large file, and nobody who could make one. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct crew *c = w->crew;

	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->stop)) {
		/* One of the others, at least, goes on finding files. */
		bool found_by_others = c->on_tasks > 0 || !c->tasks;

		if (c->n_large > 0 && found_by_others) {
			struct found *f = crew_take_large(c);
			int r;

			c->on_large++;
			pthread_mutex_unlock(&c->lock);
			r = read_noted(w, f);
			if (r < 0)
				crew_fail(c, r, f->path);
			report(w);
			pthread_mutex_lock(&c->lock);
			c->on_large--;
		} else if (c->tasks) {
			struct task *t = c->tasks;

			c->tasks = t->next;
			c->on_tasks++;
			pthread_mutex_unlock(&c->lock);
			/* Failures are noted where they happen. */
			(void)t->run(w, t);
			(void)folder_release(w, t->in);
			free(t);
			report(w);
			pthread_mutex_lock(&c->lock);
			c->on_tasks--;
		} else if (c->on_tasks > 0) {
			c->waiting++;
			pthread_cond_wait(&c->change, &c->lock);
			c->waiting--;
			continue;
		} else {
			break;
		}
		if (c->on_tasks == 0 && !c->tasks)
			pthread_cond_broadcast(&c->change);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int by_path(const void *a, const void *b)
{
	const struct found *const *left = a, *const *right = b;

	return strcmp((*left)->path, (*right)->path);
}

static void *work_then_sort(void *arg)
{
	struct worker *w = arg;

	work(w);
	if (w->n > 0)
		qsort(w->items, w->n, sizeof(struct found *), by_path);
	return NULL;
}

static int worker_open(struct worker *w, struct crew *c)
{
	int r;

	w->crew = c;
	r = arena_new(MEASURE_MEMORY_MAX, &w->arena);
	if (r < 0)
		return r;
	return content_reader_new(&w->reader);
}

/* Hands over what the worker found. */
static int worker_yield(struct worker *w, struct found_list *ret, char **ret_path)
{
	CLEANUP(found_list_cleanup) struct found_list own = { 0 };

	own.arenas = malloc(sizeof(struct arena *));
	if (!own.arenas)
		return -ENOMEM;
	own.arenas[0] = TAKE(w->arena);
	own.n_arenas = 1;
	own.items = TAKE(w->items);
	own.n = w->n;
	return found_list_merge(ret, &own, ret_path);
}

static void worker_done(struct worker *w)
{
	content_reader_free(w->reader);
	arena_free(w->arena);
	free(w->items);
}

static void run_crew(struct crew *c, struct worker *workers)
{
	pthread_t threads[MEASURE_THREADS_MAX];
	unsigned int started = 0;
	sigset_t all, before;

	/* Signals are for the thread that has handlers. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned int i = 1; i < c->threads; i++) {
		if (pthread_create(&threads[started], NULL, work_then_sort, &workers[i]) != 0)
			break; /* continuing without: fewer threads find the same */
		started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work_then_sort(&workers[0]);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static void crew_done(struct crew *c, struct worker *w)
{
	struct task *next;

	for (struct task *t = c->tasks; t; t = next) {
		next = t->next;
		(void)folder_release(w, t->in);
		free(t);
	}
	free(c->large);
	free(c->error_path);
	pthread_cond_destroy(&c->change);
	pthread_mutex_destroy(&c->lock);
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
	report(&w);
	if (r == 0) {
		if (w.n > 0)
			qsort(w.items, w.n, sizeof(struct found *), by_path);
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
		run_crew(&c, workers);
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
