/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_MEASURE_PARTS_H
#define ASSAY_MEASURE_PARTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "arena.h"
#include "cleanup.h"
#include "digest.h"
#include "file_identity.h"
#include "manifest.h"
#include "measure.h"

/*
 * The parts of a static measurement. The way of the data: paths as configured ->
 * resolved to roots (measure_path.c) -> walked and read into a list of what was
 * found (measure_walk.c, measure_read.c) -> what the loader would add, as further
 * roots (measure_loader.c, measure_elf.c, ld_cache.c, measure_script.c) -> manifest, text, M
 * (measure.c).
 */

#define MEASURE_THREADS_MAX 8
#define MEASURE_FILE_MAX    (64ULL << 30) /* bytes of one file: a sparse one can claim any size */
#define MEASURE_LINKS_MAX   40		  /* symbolic links on the way to one path, as the kernel */
#define MEASURE_MEMORY_MAX  (1ULL << 30)  /* for one thread's share of what is found */

/* What a file begins with, as far as it brings further files. */
enum content_head { HEAD_PLAIN, HEAD_ELF, HEAD_SCRIPT };

/* Reads and hashes files, one after the other. One a thread. */
struct content_reader;
MUST_CHECK int content_reader_new(struct content_reader **ret);
void content_reader_free(struct content_reader *c);

/*
 * SHA-256 of the regular file behind fd, of which before is what fstat said. -ESTALE: it
 * changed since, or while it was read. -EFBIG: larger than MEASURE_FILE_MAX. -EOPNOTSUPP: its
 * file system has no sizes, so nobody can say what belongs to the file (proc, sysfs).
 */
MUST_CHECK int content_read(struct content_reader *c, int fd, const struct stat *before,
			    struct digest *ret, enum content_head *ret_head);

/* Something in the file system, under one of its names. */
struct found {
	const char *path, *link; /* link: of symbolic links, their target */
	struct file_identity id;
	mode_t mode; /* type and permissions */
	uid_t uid;
	gid_t gid;
	bool settled; /* the identity was old enough to be relied on: file_identity_settled */
	enum content_head head;
	uint32_t
		due; /* regular files: read again at this time node, or when the identity differs */
	uint8_t sha256[32]; /* regular files */
};

/* In order of path, each path once. Owns all that it points to. */
struct found_list {
	struct found **items;
	size_t n;
	struct arena **arenas;
	size_t n_arenas;
};

void found_list_done(struct found_list *l);
const struct found *found_list_find(const struct found_list *l, const char *path);

/*
 * Moves everything into *to and leaves from empty. Where a path is in both, to's
 * stays; -ESTALE: and they are not the same, path in *ret_path.
 */
MUST_CHECK int found_list_merge(struct found_list *to, struct found_list *from, char **ret_path);
MUST_CHECK int found_list_copy(const struct found_list *from, struct found_list *ret);

/* True if a manifest tells the two apart. Either may be NULL. */
bool found_differs(const struct found *a, const struct found *b);

/*
 * Calls on_difference with the path of each entry that a
 * manifest tells apart, in order, and returns how many there are.
 */
size_t found_list_compare(const struct found_list *a, const struct found_list *b,
			  void (*on_difference)(void *arg, const char *path), void *arg);

/* The sorted manifest of what was found; the caller ends it. */
MUST_CHECK int found_list_manifest(const struct found_list *l, struct manifest *ret);

/* A path to be measured as such: links on the way to it are roots of their own. */
struct walk_root {
	char *path;    /* absolute, normal */
	char *same_as; /* another name of this root, through directories that are links; or NULL */
	bool tree;     /* a directory with everything below; others are recorded alone */
};

struct walk_roots {
	struct walk_root *items;
	size_t n, room;
};

void walk_roots_done(struct walk_roots *r);
MUST_CHECK int walk_roots_copy(const struct walk_roots *from, struct walk_roots *ret);

/*
 * Follows the links on the way to path and adds each, the path itself and what it
 * leads to. Nothing is added twice. *ret_real (may be NULL) is where it ends; free() it.
 * -ENOENT and the like; -ELOOP; -ENAMETOOLONG; -EINVAL: not absolute.
 */
MUST_CHECK int walk_roots_add(struct walk_roots *r, const char *path, bool tree, char **ret_real);

struct walk_options {
	unsigned int threads;
	/* From an earlier walk: a file found there with the same identity, settled, and not due
	 * at this time node, is not read again. NULL: every file is read. */
	const struct found_list *known;
	uint32_t node, due_after;
	/* A root that is not there is left out instead of an error. */
	bool may_miss;
	void (*progress)(void *arg, uint64_t files, uint64_t bytes);
	void *progress_arg;
};

struct walk_count {
	uint64_t files, bytes; /* whose content was read */
};

/*
 * Walks roots[from..]. Errors as measure_paths. *count is added to.
 */
MUST_CHECK int walk(const struct walk_roots *roots, size_t from, const struct walk_options *o,
		    struct found_list *ret, struct walk_count *count, char **ret_path);

/* What the loader needs to know of an ELF file; all empty in a static one. */
struct elf_facts {
	uint8_t class, order;
	uint16_t type, machine;
	bool no_default_directories; /* DF_1_NODEFLIB */
	char *interpreter, *soname, *rpath, *runpath;
	char **needed;
	size_t n_needed;
};

#define ELF_NEEDED_MAX 1024

/* -ENOEXEC: not an ELF file, or a broken one. -ENOMEM. */
MUST_CHECK int elf_facts_read(int fd, struct elf_facts *ret);
MUST_CHECK int elf_facts_parse(struct view image, struct elf_facts *ret);
void elf_facts_done(struct elf_facts *f);

/*
 * Calls found with each path that the dynamic loader's cache has for a library, the loader's
 * first choice first, until it returns other than 0; returns that. -EBADMSG: not a cache
 * (the loader goes on without one as well). Lent to found until it returns.
 */
MUST_CHECK int ld_cache_find(struct view cache, const char *library,
			     int (*found)(void *arg, const char *path, bool special), void *arg);

/*
 * The interpreter in the first line of a script, and where that is env(1) the program that env
 * would look for in the default path (else NULL). -ENOEXEC: there is none. free() both.
 */
MUST_CHECK int script_parse(struct view start, char **ret_interpreter, char **ret_program);

/* Finds what programs need; keeps what it learned of each file. */
struct loader;
MUST_CHECK int loader_new(struct loader **ret);
void loader_free(struct loader *l);

/*
 * Calls on_path with each path that running the ELF file or script would open: interpreter and
 * libraries, theirs included. What is not found is left out: whatever is found at run time after
 * all shows in the memory of the process (MI item 8). -ENOENT only where the interpreter
 * is missing, with its path in *ret_path. Errors of on_path.
 */
MUST_CHECK int loader_resolve(struct loader *l, const char *path,
			      int (*on_path)(void *arg, const char *path), void *arg,
			      char **ret_path);

/* The programs' processors, at most MEASURE_THREADS_MAX. */
unsigned int measure_threads(void);

/* Everything measured at one time: the configured paths and what programs in them bring. */
struct gathered {
	char **paths; /* as configured */
	size_t n_paths;
	bool dependencies;
	struct walk_roots roots;
	struct found_list found;
	struct walk_count read; /* at the last walk */
};

/* Errors as measure_paths. */
MUST_CHECK int gather(const char *const *paths, size_t n, bool dependencies,
		      const struct walk_options *o, struct gathered *ret, char **ret_path);
MUST_CHECK int gathered_copy(const struct gathered *from, struct gathered *ret);
void gathered_done(struct gathered *g);

/* What measure_paths returns is the first member of this. */
struct measurement {
	struct measured measured;
	struct gathered gathered;
};

CLEANUP_FUNCTION(struct content_reader *, content_reader_free)
CLEANUP_FUNCTION(struct loader *, loader_free)

static inline void found_list_cleanup(struct found_list *l)
{
	found_list_done(l);
}

static inline void gathered_cleanup(struct gathered *g)
{
	gathered_done(g);
}

#endif
