/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "terminal.h"

int output_open(const char *path, struct output *ret)
{
	struct output o = { .path = path, .fd = STDOUT_FILENO };

	if (!path || strcmp(path, "-") == 0) {
		o.path = NULL;
		*ret = o;
		return 0;
	}
	if (asprintf(&o.temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	o.fd = mkostemp(o.temporary, O_CLOEXEC);
	if (o.fd < 0) {
		int r = neg_errno();

		free(o.temporary);
		return r;
	}
	*ret = o;
	return 0;
}

int output_write_fd(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int output_write(struct output *o, const void *data, size_t len)
{
	return output_write_fd(o->fd, data, len);
}

int output_commit(struct output *o)
{
	if (!o->path)
		return 0;
	if (fsync(o->fd) < 0 || rename(o->temporary, o->path) < 0)
		return neg_errno();
	free(TAKE(o->temporary));
	return 0;
}

void output_done(struct output *o)
{
	if (o->temporary)
		unlink(o->temporary);
	free(o->temporary);
	if (o->path && o->fd >= 0)
		close(o->fd);
	*o = OUTPUT_NONE;
}

int output_json(json_t *j, int status)
{
	int r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

	json_decref(j);
	if (r == 0)
		putchar('\n');
	if (r == 0)
		return status;
	terminal_error("the result could not be written as JSON");
	return EXIT_ENVIRONMENT;
}
