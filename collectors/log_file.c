/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/log_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

#define CHUNK (32 * 1024)

/* O_NONBLOCK: something else than a file in its place must not hold the daemon. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_now(struct log_file *f)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st;

	fd = open(f->path, OPEN_FLAGS);
	if (fd < 0)
		return neg_errno();
	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = TAKE_FD(fd);
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->offset = 0;
	f->tail_len = 0;
	return 0;
}

static void remember_tail(struct log_file *f, off_t offset)
{
	size_t len = offset < LOG_TAIL ? (size_t)offset : LOG_TAIL;
	ssize_t n = pread(f->fd, f->tail, len, offset - (off_t)len);

	f->offset = offset;
	f->tail_len = n > 0 && (size_t)n == len ? len : 0;
}

int log_file_open(const char *path, bool from_end, struct log_file *ret)
{
	struct log_file f = { .fd = -1, .line = BYTES_INIT(LOG_LINE_MAX + 1) };
	struct stat st;

	f.path = strdup(path);
	if (!f.path)
		return -ENOMEM;
	/* One that is not there yet is waited for: all of it will be new. */
	if (from_end && open_now(&f) == 0 && fstat(f.fd, &st) == 0)
		remember_tail(&f, st.st_size);
	*ret = f;
	return 0;
}

void log_file_close(struct log_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	bytes_done(&f->line);
	*f = (struct log_file){ .fd = -1 };
}

static int end_line(struct log_file *f, struct log_reading *reading)
{
	size_t len = f->line.len;
	int r;

	r = bytes_append_u8(&f->line, 0);
	if (r == 0)
		r = reading->on_line(reading->arg, (char *)f->line.data, len);
	bytes_reset(&f->line);
	f->line_cut = false;
	return r;
}

int log_file_lines(struct log_file *f, struct log_reading *reading, struct view data)
{
	int r = 0;

	while (data.len > 0 && r == 0) {
		const uint8_t *end = memchr(data.data, '\n', data.len);
		size_t len = end ? (size_t)(end - data.data) : data.len;
		size_t room = LOG_LINE_MAX - f->line.len;
		size_t taken = len < room ? len : room;

		f->line_cut = f->line_cut || taken < len;
		r = bytes_append(&f->line, data.data, taken);
		if (r == 0 && end)
			r = end_line(f, reading);
		len += end ? 1 : 0;
		data = view_of(data.data + len, data.len - len);
	}
	return r;
}

/* Reads the open file on, to its end or until the node's share is used up. */
static int read_on(struct log_file *f, struct log_reading *reading)
{
	uint8_t chunk[CHUNK];
	off_t offset = f->offset;
	int r = 0;

	while (r == 0) {
		size_t want = LOG_NODE_MAX - reading->bytes;
		ssize_t n;

		if (want == 0) {
			reading->more = true;
			break;
		}
		n = pread(f->fd, chunk, want < sizeof(chunk) ? want : sizeof(chunk), offset);
		if (n < 0)
			r = neg_errno();
		if (n <= 0)
			break;
		offset += n;
		reading->bytes += (uint64_t)n;
		if (reading->on_bytes)
			r = reading->on_bytes(reading->arg, view_of(chunk, (size_t)n));
		if (r == 0)
			r = log_file_lines(f, reading, view_of(chunk, (size_t)n));
	}
	if (offset != f->offset)
		remember_tail(f, offset);
	return r;
}

/* The file ends before the place of reading, or no longer says there what it did. */
static bool was_cut(const struct log_file *f)
{
	uint8_t now[LOG_TAIL];
	struct stat st;

	if (fstat(f->fd, &st) < 0 || st.st_size < f->offset)
		return true;
	if (f->tail_len == 0)
		return false;
	return pread(f->fd, now, f->tail_len, f->offset - (off_t)f->tail_len) !=
		       (ssize_t)f->tail_len ||
	       memcmp(now, f->tail, f->tail_len) != 0;
}

int log_file_read(struct log_file *f, struct log_reading *reading)
{
	struct stat st;
	int r;

	if (f->fd >= 0) {
		if (was_cut(f)) {
			reading->rotated = true;
			f->offset = 0;
			f->tail_len = 0;
			bytes_reset(&f->line);
		}
		r = read_on(f, reading);
		if (r < 0 || reading->more)
			return r;
		if (stat(f->path, &st) < 0)
			return neg_errno(); /* renamed away, and nothing in its place yet */
		if (st.st_dev == f->device && st.st_ino == f->inode)
			return 0;
		reading->rotated = true;
		/* What the old file ends with is a line, ended or not. */
		if (f->line.len > 0) {
			r = end_line(f, reading);
			if (r < 0)
				return r;
		}
	}
	r = open_now(f);
	return r < 0 ? r : read_on(f, reading);
}
