/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse_mount.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

struct fuse_mount {
	struct fuse *fuse;
	pthread_t thread;
	char *path;
};

static void *serve(void *arg)
{
	struct fuse_mount *m = arg;

	fuse_loop(m->fuse);
	return NULL;
}

int fuse_mount_start(const char *path, const struct fuse_operations *ops, void *arg,
		     struct fuse_mount **ret)
{
	char program[] = "stand-in", option[] = "-o", options[] = "allow_other,default_permissions";
	char *argv[] = { program, option, options };
	struct fuse_args args = FUSE_ARGS_INIT(ARRAY_LEN(argv), argv);
	struct fuse_mount *m = calloc(1, sizeof(*m));
	sigset_t all, before;
	int r = -ENOMEM;

	if (!m)
		return -ENOMEM;
	m->path = strdup(path);
	m->fuse = fuse_new(&args, ops, sizeof(*ops), arg);
	fuse_opt_free_args(&args);
	if (m->path && m->fuse)
		r = fuse_mount(m->fuse, path) != 0 ? neg_errno() : 0;
	if (r == 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		r = -pthread_create(&m->thread, NULL, serve, m);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (r < 0)
			fuse_unmount(m->fuse);
	}
	if (r < 0) {
		if (m->fuse)
			fuse_destroy(m->fuse);
		free(m->path);
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void fuse_mount_stop(struct fuse_mount *m)
{
	if (!m)
		return;
	/* The thread reads to the end of what it is asked; the library would take its file away. */
	if (umount2(m->path, MNT_DETACH) < 0)
		fuse_exit(m->fuse);
	pthread_join(m->thread, NULL);
	fuse_unmount(m->fuse);
	fuse_destroy(m->fuse);
	free(m->path);
	free(m);
}
