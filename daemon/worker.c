/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "cleanup.h"

struct job {
	struct job *next;
	worker_work work;
	worker_done done;
	void *arg;
	int r;
};

struct queue {
	struct job *first, **end;
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct queue waiting, finished; /* under lock */
	bool stop;			/* under lock */
	bool running;
	int wake_fd;
	struct event *wake;
};

CLEANUP_FUNCTION(struct worker *, worker_free)

static void queue_push(struct queue *q, struct job *j)
{
	j->next = NULL;
	*q->end = j;
	q->end = &j->next;
}

static struct job *queue_take_all(struct queue *q)
{
	struct job *j = q->first;

	q->first = NULL;
	q->end = &q->first;
	return j;
}

static struct job *queue_pop(struct queue *q)
{
	struct job *j = q->first;

	if (j) {
		q->first = j->next;
		if (!q->first)
			q->end = &q->first;
	}
	return j;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	uint64_t one = 1;
	struct job *j;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		j = queue_pop(&w->waiting);
		if (!j) {
			pthread_cond_wait(&w->given, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		j->r = j->work(j->arg);
		pthread_mutex_lock(&w->lock);
		queue_push(&w->finished, j);
		/* An eventfd write fails only when its counter is full: it is readable then anyway.
		 */
		if (write(w->wake_fd, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void finish(struct job *j, bool canceled)
{
	struct job *next;

	for (; j; j = next) {
		next = j->next;
		j->done(j->arg, canceled ? -ECANCELED : j->r);
		free(j);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct job *finished;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&w->lock);
	finished = queue_take_all(&w->finished);
	pthread_mutex_unlock(&w->lock);
	finish(finished, false);
}

int worker_new(struct event_base *base, const char *name, struct worker **ret)
{
	CLEANUP(worker_freep) struct worker *w = NULL;
	sigset_t all, old;
	int r;

	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->waiting.end = &w->waiting.first;
	w->finished.end = &w->finished.first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->given, NULL);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0)
		return neg_errno();
	w->wake = event_new(base, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
	if (!w->wake || event_add(w->wake, NULL) < 0)
		return -ENOMEM;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->thread, NULL, worker_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -r;
	w->running = true;
	pthread_setname_np(w->thread, name);
	*ret = TAKE(w);
	return 0;
}

int worker_run(struct worker *w, worker_work work, worker_done done, void *arg)
{
	struct job *j;

	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->work = work;
	j->done = done;
	j->arg = arg;
	pthread_mutex_lock(&w->lock);
	queue_push(&w->waiting, j);
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->given);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	finish(queue_take_all(&w->finished), false);
	finish(queue_take_all(&w->waiting), true);
	if (w->wake)
		event_free(w->wake);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	pthread_cond_destroy(&w->given);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
