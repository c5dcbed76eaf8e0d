/* SPDX-License-Identifier: Apache-2.0 */
#include "timed.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "cleanup.h"

struct timed {
	pthread_mutex_t lock;
	unsigned int users; /* who asks, and the thread of a call that is out; under lock */
	bool out;	    /* a call is; under lock */
	int ended;	    /* eventfd */
};

/* One call. The thread's once it waits for nobody. */
struct call {
	struct timed *timed;
	int (*work)(void *job);
	void (*release)(void *job);
	void *job;
	int result;    /* under lock, as is: */
	bool ended;    /* the result is there */
	bool deserted; /* nobody waits for it */
};

/* Without a clock of its own. What woke it, settle() finds out. */
static void wait_for(int fd, unsigned int limit_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, (int)limit_ms) < 0 && errno == EINTR)
		;
}

static void drop(struct timed *t)
{
	bool last;

	pthread_mutex_lock(&t->lock);
	last = --t->users == 0;
	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	if (t->ended >= 0)
		close(t->ended);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	struct timed *t = c->timed;
	uint64_t one = 1;
	bool deserted;
	int result = c->work(c->job);

	pthread_mutex_lock(&t->lock);
	c->result = result;
	c->ended = true;
	t->out = false;
	deserted = c->deserted;
	/* It is empty, so there is room; and if not, the limit wakes who waits. */
	if (!deserted && write(t->ended, &one, sizeof(one)) < 0)
		deserted = false;
	pthread_mutex_unlock(&t->lock);
	if (deserted) {
		c->release(c->job);
		free(c);
	}
	drop(t);
	return NULL;
}

static int start(struct call *c)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int r;

	r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attributes, call_thread, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

int timed_new(struct timed **ret)
{
	struct timed *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->users = 1;
	pthread_mutex_init(&t->lock, NULL);
	t->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->ended < 0) {
		int r = neg_errno();

		drop(t);
		return r;
	}
	*ret = t;
	return 0;
}

void timed_free(struct timed *t)
{
	if (t)
		drop(t);
}

/* 0 and the result, or -ETIMEDOUT: nobody waits for it any more. */
static int settle(struct timed *t, struct call *c, int *ret_result)
{
	uint64_t count;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!c->ended) {
		c->deserted = true;
		r = -ETIMEDOUT;
	} else if (read(t->ended, &count, sizeof(count)) < 0 && errno != EAGAIN) {
		c->result = neg_errno();
	}
	if (r == 0)
		*ret_result = c->result;
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* -EBUSY: one is out already. */
static int begin(struct timed *t)
{
	int r = -EBUSY;

	pthread_mutex_lock(&t->lock);
	if (!t->out) {
		t->out = true;
		t->users++;
		r = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static void never_began(struct timed *t)
{
	pthread_mutex_lock(&t->lock);
	t->out = false;
	t->users--;
	pthread_mutex_unlock(&t->lock);
}

int timed_run(struct timed *t, unsigned int limit_ms, int (*work)(void *job),
	      void (*release)(void *job), void *job, int *ret_result)
{
	struct call *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct call){ .timed = t, .work = work, .release = release, .job = job };
	r = begin(t);
	if (r == 0) {
		r = start(c);
		if (r < 0)
			never_began(t);
	}
	if (r < 0) {
		free(c);
		return r;
	}
	wait_for(t->ended, limit_ms);
	r = settle(t, c, ret_result);
	/* A deserted call is the thread's, which may have freed it by now. */
	if (r == 0)
		free(c);
	return r;
}
