/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_files.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cleanup.h"

#define FIRST_ROOM 256

/*
 * Balanced trees, as whoever writes the list chooses what is in it: no order of paths or digests
 * makes them slow.
 */
struct ima_files {
	struct arena *arena; /* of the files and their paths */
	struct ima_file **files;
	size_t n, room;
	void *by_path; /* the last one of each path */
	void *by_content;
};

CLEANUP_FUNCTION(struct ima_files *, ima_files_free)

int ima_files_new(struct ima_files **ret)
{
	CLEANUP(ima_files_freep) struct ima_files *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	r = arena_new(IMA_FILES_BYTES, &f->arena);
	if (r < 0)
		return r;
	*ret = TAKE(f);
	return 0;
}

static void keep(void *file)
{
	/* The arena's. */
}

void ima_files_free(struct ima_files *f)
{
	if (!f)
		return;
	tdestroy(f->by_path, keep);
	tdestroy(f->by_content, keep);
	arena_free(f->arena);
	free(f->files);
	free(f);
}

static int grow(struct ima_files *f)
{
	size_t room = f->room ? 2 * f->room : FIRST_ROOM;
	struct ima_file **files;

	if (f->n == IMA_FILES_MAX)
		return -EMSGSIZE;
	if (f->n < f->room)
		return 0;
	files = realloc(f->files, room * sizeof(*files));
	if (!files)
		return -ENOMEM;
	f->files = files;
	f->room = room;
	return 0;
}

/*
 * The kernel writes '_' for each blank of a name (ima_template_lib.c,
 * ima_write_template_field_data), so the two are the same here.
 */
static int compare_paths(const void *a, const void *b)
{
	const char *x = ((const struct ima_file *)a)->path, *y = ((const struct ima_file *)b)->path;
	unsigned char c, d;

	do {
		c = *x == ' ' ? '_' : (unsigned char)*x;
		d = *y == ' ' ? '_' : (unsigned char)*y;
		x++;
		y++;
	} while (c == d && c != '\0');
	return (c > d) - (c < d);
}

static int compare_contents(const void *a, const void *b)
{
	const struct ima_file *x = a, *y = b;

	return memcmp(x->sha256.bytes, y->sha256.bytes, hash_size(HASH_SHA256));
}

static int add_to_trees(struct ima_files *f, struct ima_file *file)
{
	struct ima_file **of_path = tsearch(file, &f->by_path, compare_paths);

	if (!of_path)
		return -ENOMEM;
	*of_path = file;
	if (file->sha256.size > 0 && !tsearch(file, &f->by_content, compare_contents))
		return -ENOMEM;
	return 0;
}

int ima_files_add(struct ima_files *f, struct view path, const struct ima_file *file)
{
	struct ima_file *to;
	char *name;
	int r;

	if ((path.len > 0 && memchr(path.data, '\0', path.len)) ||
	    (file->sha256.size > 0 && file->sha256.alg != HASH_SHA256))
		return -EINVAL;
	r = grow(f);
	if (r < 0)
		return r;
	to = arena_alloc(f->arena, sizeof(*to));
	name = arena_alloc(f->arena, path.len + 1);
	if (!to || !name)
		return -ENOMEM;
	if (path.len > 0)
		memcpy(name, path.data, path.len);
	*to = *file;
	to->path = name;
	r = add_to_trees(f, to);
	if (r == 0)
		f->files[f->n++] = to;
	return r;
}

size_t ima_files_count(const struct ima_files *f)
{
	return f->n;
}

const struct ima_file *ima_files_at(const struct ima_files *f, size_t i)
{
	return f->files[i];
}

enum ima_seen ima_files_find(const struct ima_files *f, const char *path, struct view sha256,
			     const struct ima_file **ret_other)
{
	struct ima_file key = { .path = path };
	struct ima_file *const *found;

	if (digest_from(HASH_SHA256, sha256, &key.sha256) == 0 &&
	    tfind(&key, &f->by_content, compare_contents))
		return IMA_SEEN_SAME;
	found = tfind(&key, &f->by_path, compare_paths);
	if (!found)
		return IMA_SEEN_NOT;
	if (ret_other)
		*ret_other = *found;
	return IMA_SEEN_OTHER;
}
