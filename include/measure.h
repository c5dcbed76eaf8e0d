/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_MEASURE_H
#define ASSAY_MEASURE_H

#include <stdbool.h>

#include "digest.h"
#include "manifest.h"

/*
 * Static measurement: files and trees on disk to a manifest. Files are read by
 * several threads, biggest first; symbolic links are recorded, and followed only
 * where a given path itself is one. An ELF program brings its interpreter and the libraries
 * that its loader would resolve (DT_NEEDED, RUNPATH, RPATH, ld.so.cache, default directories,
 * $ORIGIN); a script its interpreter.
 */

struct measure_options {
	unsigned int threads; /* 0: as many as there are processors, at most 8 */
	bool dependencies;    /* of programs: add interpreter and libraries */
	/* Called now and then from the calling thread; may be NULL. */
	void (*progress)(void *arg, uint64_t files, uint64_t bytes);
	void *progress_arg;
};

/* Identity of a file as measured, to find out later whether it was touched. */
struct measured_file {
	char *path;
	uint64_t device, inode, size;
	uint64_t ctime_ns, mtime_ns;
	int fd; /* kept open for the program itself (keep_open); -1 otherwise */
};

struct measured {
	struct manifest manifest;
	struct bytes text;  /* of the manifest */
	struct digest m;    /* SHA-384 of text */
	struct measured_file *files; /* regular files, in manifest order */
	size_t n_files;
	uint64_t bytes_read;
};

/*
 * Measures. Paths are absolute. -ENOENT and other errors of the file system, with
 * the path in *ret_path (free() it); -ESTALE: a file changed while it was read;
 * -EMSGSIZE: too many files. *ret is to be ended with measured_free.
 */
MUST_CHECK int measure_paths(const char *const *paths, size_t n,
			     const struct measure_options *options, struct measured **ret,
			     char **ret_path);
void measured_free(struct measured *m);

/*
 * Opens a program for measuring and executing through the same descriptor and
 * finds it in m (measured before): -ESTALE when what the descriptor shows is not what was
 * measured. *ret_fd is to be executed with execveat(AT_EMPTY_PATH).
 */
MUST_CHECK int measured_open_program(const struct measured *m, const char *path, int *ret_fd);

/*
 * Looks at every measured file's identity again. 0: none was touched; -ESTALE: one was, and its
 * path is in *ret_path (free() it).
 */
MUST_CHECK int measured_check(const struct measured *m, char **ret_path);

/*
 * SHA-256 of a file's content by descriptor, from the start; *ret_bytes gets how
 * many bytes. -ESTALE: it changed while it was read.
 */
MUST_CHECK int measure_fd(int fd, struct digest *ret, uint64_t *ret_bytes);

#endif
