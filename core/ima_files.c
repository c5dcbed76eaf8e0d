/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_files.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cleanup.h"

#define FIRST_ROOM 256

struct ima_files {
	struct arena *arena; /* of the paths */
	struct ima_file *files;
	size_t n, room;
	/* Numbers of files in order of path, and in order of content; of the first `sorted`. */
	uint32_t *by_path, *by_content;
	size_t sorted;
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

void ima_files_free(struct ima_files *f)
{
	if (!f)
		return;
	arena_free(f->arena);
	free(f->files);
	free(f->by_path);
	free(f->by_content);
	free(f);
}

static int grow(struct ima_files *f)
{
	size_t room = f->room ? 2 * f->room : FIRST_ROOM;
	struct ima_file *files;

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
 * The kernel writes '_' for each white space, or a name would end its field: ours have to be
 * spelt alike (ima_template_lib.c, ima_write_template_field_data: a blank only; its ASCII form is
 * parted by blanks too).
 */
static char *spelt(struct arena *arena, struct view path)
{
	char *to = arena_alloc(arena, path.len + 1);

	for (size_t i = 0; to && i < path.len; i++)
		to[i] = path.data[i] == ' ' ? '_' : (char)path.data[i];
	return to;
}

int ima_files_add(struct ima_files *f, struct view path, const struct ima_file *file)
{
	int r;

	if (path.len > 0 && memchr(path.data, '\0', path.len))
		return -EINVAL;
	r = grow(f);
	if (r < 0)
		return r;
	f->files[f->n] = *file;
	f->files[f->n].path = spelt(f->arena, path);
	if (!f->files[f->n].path)
		return -ENOMEM;
	f->n++;
	return 0;
}

size_t ima_files_count(const struct ima_files *f)
{
	return f->n;
}

const struct ima_file *ima_files_at(const struct ima_files *f, size_t i)
{
	return &f->files[i];
}

static int compare_content(const struct digest *a, struct view b)
{
	if (a->size != b.len)
		return a->size < b.len ? -1 : 1;
	return b.len ? memcmp(a->bytes, b.data, b.len) : 0;
}

static int order_by_path(const void *a, const void *b, void *files)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct ima_file *all = files;
	int order = strcmp(all[x].path, all[y].path);

	/* Among equals as they came, so that the last one is the newest. */
	return order ? order : (x > y) - (x < y);
}

static int order_by_content(const void *a, const void *b, void *files)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct ima_file *all = files;

	return compare_content(&all[x].sha256, digest_view(&all[y].sha256));
}

/* Sorts again what was added since. */
static int settle(struct ima_files *f)
{
	CLEANUP(cleanup_mem) uint32_t *by_path = NULL, *by_content = NULL;

	if (f->sorted == f->n)
		return 0;
	by_path = calloc(f->n, sizeof(*by_path));
	by_content = calloc(f->n, sizeof(*by_content));
	if (!by_path || !by_content)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++)
		by_path[i] = by_content[i] = (uint32_t)i;
	qsort_r(by_path, f->n, sizeof(*by_path), order_by_path, f->files);
	qsort_r(by_content, f->n, sizeof(*by_content), order_by_content, f->files);
	free(f->by_path);
	free(f->by_content);
	f->by_path = TAKE(by_path);
	f->by_content = TAKE(by_content);
	f->sorted = f->n;
	return 0;
}

static bool has_content(const struct ima_files *f, struct view sha256)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_content(&f->files[f->by_content[middle]].sha256, sha256);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The last entry of that path; NULL: there is none. */
static const struct ima_file *last_of(const struct ima_files *f, const char *path)
{
	const struct ima_file *found;
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(f->files[f->by_path[middle]].path, path) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	found = &f->files[f->by_path[low - 1]];
	return strcmp(found->path, path) == 0 ? found : NULL;
}

int ima_files_find(struct ima_files *f, const char *path, struct view sha256, enum ima_seen *ret,
		   const struct ima_file **ret_other)
{
	CLEANUP(cleanup_mem) char *name = strdup(path);
	const struct ima_file *other;
	int r;

	if (!name)
		return -ENOMEM;
	r = settle(f);
	if (r < 0)
		return r;
	if (sha256.len > 0 && has_content(f, sha256)) {
		*ret = IMA_SEEN_SAME;
		return 0;
	}
	for (char *at = name; *at; at++)
		*at = *at == ' ' ? '_' : *at;
	other = last_of(f, name);
	*ret = other ? IMA_SEEN_OTHER : IMA_SEEN_NOT;
	if (other && ret_other)
		*ret_other = other;
	return 0;
}
