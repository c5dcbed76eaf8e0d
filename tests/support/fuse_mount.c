/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse_mount.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

struct fuse_mount {
	const struct fuse_operations *ops;
	void *arg;
	char *path;
	pthread_t thread;
	sem_t tried;
	int result; /* of mounting, once tried */
};

static struct fuse *mount_here(struct fuse_mount *m)
{
	char program[] = "stand-in", option[] = "-o", options[] = "allow_other,default_permissions";
	char *argv[] = { program, option, options };
	struct fuse_args args = FUSE_ARGS_INIT(ARRAY_LEN(argv), argv);
	struct fuse *fuse;

	fuse = fuse_new(&args, m->ops, sizeof(*m->ops), m->arg);
	fuse_opt_free_args(&args);
	m->result = fuse ? 0 : -ENOMEM;
	if (fuse && fuse_mount(fuse, m->path) != 0) {
		m->result = neg_errno();
		fuse_destroy(fuse);
		fuse = NULL;
	}
	return fuse;
}

/*
 * With a table of files of its own: if the program is killed, this thread's end closes the
 * connection, and those that wait for an answer get an error. With one table for all they
 * would wait for one another for ever.
 */
static void *serve(void *arg)
{
	struct fuse_mount *m = arg;
	struct fuse *fuse = NULL;

	m->result = unshare(CLONE_FILES) < 0 ? neg_errno() : 0;
	if (m->result == 0)
		fuse = mount_here(m);
	sem_post(&m->tried);
	if (!fuse)
		return NULL;
	fuse_loop(fuse);
	fuse_unmount(fuse);
	fuse_destroy(fuse);
	return NULL;
}

static void end(struct fuse_mount *m)
{
	pthread_join(m->thread, NULL);
	sem_destroy(&m->tried);
	free(m->path);
	free(m);
}

int fuse_mount_start(const char *path, const struct fuse_operations *ops, void *arg,
		     struct fuse_mount **ret)
{
	struct fuse_mount *m = calloc(1, sizeof(*m));
	sigset_t all, before;
	int r;

	if (!m)
		return -ENOMEM;
	m->ops = ops;
	m->arg = arg;
	m->path = strdup(path);
	sem_init(&m->tried, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = m->path ? -pthread_create(&m->thread, NULL, serve, m) : -ENOMEM;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		free(m->path);
		free(m);
		return r;
	}
	while (sem_wait(&m->tried) < 0)
		;
	r = m->result;
	if (r < 0) {
		end(m);
		return r;
	}
	*ret = m;
	return 0;
}

void fuse_mount_stop(struct fuse_mount *m)
{
	if (!m)
		return;
	/* The thread's work ends with the mount. */
	if (umount2(m->path, MNT_DETACH) < 0)
		abort();
	end(m);
}
