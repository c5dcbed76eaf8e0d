/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_DOCUMENTED_H
#define ASSAY_TESTS_DOCUMENTED_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

/*
 * The example in a document of the source tree: what stands between the first line that is begin
 * and the next that is end. 0 and bytes that the caller ends, or a negative errno.
 */
static inline int documented(const char *name, const char *begin, const char *end,
			     struct bytes *ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(1024 * 1024);
	CLEANUP(cleanup_fd) int fd = -1;
	char path[4096], line[256];
	const char *from, *to;
	int r;

	snprintf(path, sizeof(path), "%s/%s", ASSAY_SOURCE, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	r = bytes_read_fd(&text, fd);
	if (r == 0)
		r = bytes_append(&text, "", 1);
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "\n%s\n", begin);
	from = strstr((const char *)text.data, line);
	if (!from)
		return -ENOENT;
	from += strlen(line);
	snprintf(line, sizeof(line), "\n%s\n", end);
	to = strstr(from, line);
	if (!to)
		return -ENOENT;
	*ret = BYTES_INIT(1024 * 1024);
	return bytes_append(ret, from, (size_t)(to + 1 - from));
}

#endif
