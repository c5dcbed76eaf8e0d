/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_crew.h"

#include <signal.h>
#include <string.h>

#define PROGRESS_EVERY 512 /* files */

int crew_fail(struct crew *c, int r, const char *path)
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

void crew_push(struct crew *c, struct task *t)
{
	pthread_mutex_lock(&c->lock);
	t->next = c->tasks;
	c->tasks = t;
	if (c->waiting > 0)
		pthread_cond_signal(&c->change);
	pthread_mutex_unlock(&c->lock);
}

int crew_push_large(struct crew *c, struct found *f)
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

void folder_hold(struct folder *f)
{
	atomic_fetch_add(&f->users, 1);
}

/* The last one out looks whether anything came or went while the directory was in use. */
int folder_release(struct worker *w, struct folder *f)
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

int worker_open(struct worker *w, struct crew *c)
{
	w->crew = c;
	return arena_new(MEASURE_MEMORY_MAX, &w->arena);
}

static int by_path(const void *a, const void *b)
{
	const struct found *const *left = a, *const *right = b;

	return strcmp((*left)->path, (*right)->path);
}

void worker_sort(struct worker *w)
{
	if (w->n > 0)
		qsort(w->items, w->n, sizeof(struct found *), by_path);
}

int worker_yield(struct worker *w, struct found_list *ret, char **ret_path)
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

void worker_done(struct worker *w)
{
	content_reader_free(w->reader);
	arena_free(w->arena);
	free(w->items);
}

void worker_report(struct worker *w)
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

			pthread_mutex_unlock(&c->lock);
			r = c->read_large(w, f);
			if (r < 0)
				crew_fail(c, r, f->path);
			worker_report(w);
			pthread_mutex_lock(&c->lock);
		} else if (c->tasks) {
			struct task *t = c->tasks;

			c->tasks = t->next;
			c->on_tasks++;
			pthread_mutex_unlock(&c->lock);
			/* Failures are noted where they happen. */
			(void)t->run(w, t);
			(void)folder_release(w, t->in);
			free(t);
			worker_report(w);
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
	worker_sort(w);
	return NULL;
}

void crew_run(struct crew *c, struct worker *workers)
{
	pthread_t threads[MEASURE_THREADS_MAX];
	unsigned int started = 0;
	sigset_t all, before;

	/* Signals are for the thread that has handlers. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned int i = 1; i < c->threads; i++) {
		if (pthread_create(&threads[started], NULL, work, &workers[i]) != 0)
			break; /* continuing without: fewer threads find the same */
		started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(&workers[0]);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

void crew_done(struct crew *c, struct worker *w)
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
