/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_list.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "ima_log.h"

struct ima_list {
	pthread_mutex_t lock;
	char *path;
	int fd;
	struct bytes list;
	uint64_t known;
	int error; /* of reading; stays, as what follows would have a hole before it */
};

CLEANUP_FUNCTION(struct ima_list *, ima_list_free)

/* A file of securityfs goes on where it ended once there are more entries, as any that grows. */
static void read_on(struct ima_list *l)
{
	if (l->error == 0)
		l->error = bytes_read_fd(&l->list, l->fd);
	if (l->error < 0) {
		bytes_done(&l->list);
		l->known = 0;
	}
}

int ima_list_open(const char *path, struct ima_list **ret)
{
	CLEANUP(ima_list_freep) struct ima_list *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->list = BYTES_INIT(IMA_LOG_MAX);
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (l->fd < 0)
		return errno == ENOTDIR ? -ENOENT : neg_errno();
	l->path = strdup(path);
	if (!l->path)
		return -ENOMEM;
	read_on(l);
	if (l->error < 0 && l->error != -EMSGSIZE)
		return l->error;
	*ret = TAKE(l);
	return 0;
}

void ima_list_free(struct ima_list *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	bytes_done(&l->list);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l);
}

uint64_t ima_list_read(struct ima_list *l)
{
	uint64_t end;

	pthread_mutex_lock(&l->lock);
	read_on(l);
	end = l->list.len;
	pthread_mutex_unlock(&l->lock);
	return end;
}

void ima_list_known(struct ima_list *l, uint64_t bytes)
{
	pthread_mutex_lock(&l->lock);
	if (bytes <= l->list.len)
		l->known = bytes;
	pthread_mutex_unlock(&l->lock);
}

int ima_list_slice(struct ima_list *l, uint64_t end, struct bytes *ret, uint64_t *ret_first,
		   char ret_why[IMA_LIST_WHY_MAX])
{
	uint64_t first;
	int r;

	pthread_mutex_lock(&l->lock);
	r = l->error;
	if (r == 0) {
		if (end > l->list.len)
			end = l->list.len;
		first = l->known <= end ? l->known : 0;
		if (end > first)
			r = bytes_append(ret, l->list.data + first, (size_t)(end - first));
	}
	if (r == 0)
		*ret_first = first;
	else if (r == -EMSGSIZE)
		snprintf(ret_why, IMA_LIST_WHY_MAX, "%s: more than %d bytes", l->path, IMA_LOG_MAX);
	else
		snprintf(ret_why, IMA_LIST_WHY_MAX, "%s: %s", l->path, strerror(-r));
	pthread_mutex_unlock(&l->lock);
	return r;
}
