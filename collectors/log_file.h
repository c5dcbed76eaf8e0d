/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_LOG_FILE_H
#define ASSAY_COLLECTORS_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/*
 * A log file read on from where it was left, by inode: when another file comes
 * in its place the old one is read to its end first, and when it is cut the reading begins again.
 */

/* Most bytes read of one file at one time node; the rest at the next. */
#define LOG_NODE_MAX (1024 * 1024)
/* A longer line is cut: what is past this is not matched. */
#define LOG_LINE_MAX 8192
/* How much before the reading place is compared, to notice a file that was cut and grew again. */
#define LOG_TAIL 64

struct log_file {
	char *path;
	int fd; /* -1: not there yet */
	dev_t device;
	ino_t inode;
	off_t offset;
	uint8_t tail[LOG_TAIL]; /* the bytes before offset */
	size_t tail_len;
	struct bytes line; /* begun and not ended */
	bool line_cut;
};

struct log_reading {
	uint64_t bytes;
	bool rotated;
	bool more; /* LOG_NODE_MAX was reached */
	/* As it was read, before it is taken into lines; lent for the call. May be NULL. */
	int (*on_bytes)(void *arg, struct view data);
	/* A line without its end, zero-terminated after len bytes; lent for the call. */
	int (*on_line)(void *arg, char *line, size_t len);
	void *arg;
};

/* from_end: what is in the file by now is not of interest. -ENOMEM. */
MUST_CHECK int log_file_open(const char *path, bool from_end, struct log_file *ret);
void log_file_close(struct log_file *f);

/*
 * Reads what was added. -ENOENT: there is no such file; -EINVAL: it is not a regular one;
 * others as opening and reading gave.
 */
MUST_CHECK int log_file_read(struct log_file *f, struct log_reading *reading);

/* Takes bytes into lines: the part of log_file_read that knows no file. */
MUST_CHECK int log_file_lines(struct log_file *f, struct log_reading *reading, struct view data);

#endif
