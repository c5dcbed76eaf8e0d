/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_parts.h"

#include <string.h>

void found_list_done(struct found_list *l)
{
	for (size_t i = 0; i < l->n_arenas; i++)
		arena_free(l->arenas[i]);
	free(l->arenas);
	free(l->items);
	*l = (struct found_list){ 0 };
}

const struct found *found_list_find(const struct found_list *l, const char *path)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, l->items[middle]->path);

		if (order == 0)
			return l->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool same_link(const struct found *a, const struct found *b)
{
	if (!a->link || !b->link)
		return a->link == b->link;
	return strcmp(a->link, b->link) == 0;
}

bool found_differs(const struct found *a, const struct found *b)
{
	if (!a || !b)
		return a != b;
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || !same_link(a, b))
		return true;
	return S_ISREG(a->mode) &&
	       (a->id.size != b->id.size || memcmp(a->sha256, b->sha256, sizeof(a->sha256)) != 0);
}

/*
 * The next entry of two sorted lists: of one of them, or of both where the path is
 * the same. False at the end.
 */
static bool next_of(const struct found_list *a, const struct found_list *b, size_t *i, size_t *j,
		    struct found **ret_a, struct found **ret_b)
{
	struct found *left = *i < a->n ? a->items[*i] : NULL;
	struct found *right = *j < b->n ? b->items[*j] : NULL;
	int order;

	if (!left && !right)
		return false;
	order = !left ? 1 : !right ? -1 : strcmp(left->path, right->path);
	*ret_a = order <= 0 ? left : NULL;
	*ret_b = order >= 0 ? right : NULL;
	*i += order <= 0;
	*j += order >= 0;
	return true;
}

size_t found_list_compare(const struct found_list *a, const struct found_list *b,
			  void (*on_difference)(void *arg, const char *path), void *arg)
{
	size_t i = 0, j = 0, n = 0;
	struct found *left, *right;

	while (next_of(a, b, &i, &j, &left, &right)) {
		if (!found_differs(left, right))
			continue;
		n++;
		on_difference(arg, left ? left->path : right->path);
	}
	return n;
}

static int keep_arenas(struct found_list *to, struct found_list *from)
{
	struct arena **grown;

	grown = realloc(to->arenas, (to->n_arenas + from->n_arenas) * sizeof(struct arena *));
	if (!grown)
		return -ENOMEM;
	to->arenas = grown;
	memcpy(grown + to->n_arenas, from->arenas, from->n_arenas * sizeof(struct arena *));
	to->n_arenas += from->n_arenas;
	from->n_arenas = 0;
	return 0;
}

int found_list_merge(struct found_list *to, struct found_list *from, char **ret_path)
{
	struct found *left, *right, **merged;
	size_t i = 0, j = 0, n = 0;
	int r;

	if (to->n == 0 && to->n_arenas == 0) {
		*to = *from;
		*from = (struct found_list){ 0 };
		return 0;
	}
	if (from->n > 0) {
		merged = malloc((to->n + from->n) * sizeof(struct found *));
		if (!merged)
			return -ENOMEM;
		while (next_of(to, from, &i, &j, &left, &right)) {
			if (left && right && found_differs(left, right)) {
				*ret_path = strdup(left->path);
				free(merged);
				return -ESTALE;
			}
			merged[n++] = left ? left : right;
		}
		r = keep_arenas(to, from);
		if (r < 0) {
			free(merged);
			return r;
		}
		free(to->items);
		to->items = merged;
		to->n = n;
	}
	found_list_done(from);
	return 0;
}

int found_list_copy(const struct found_list *from, struct found_list *ret)
{
	CLEANUP(found_list_cleanup) struct found_list copy = { 0 };
	int r;

	copy.arenas = calloc(1, sizeof(struct arena *));
	copy.items = malloc((from->n + 1) * sizeof(struct found *));
	if (!copy.arenas || !copy.items)
		return -ENOMEM;
	r = arena_new(MEASURE_MEMORY_MAX, &copy.arenas[0]);
	if (r < 0)
		return r;
	copy.n_arenas = 1;
	for (size_t i = 0; i < from->n; i++) {
		struct found *f = arena_copy(copy.arenas[0], from->items[i], sizeof(*f));

		if (!f)
			return -ENOMEM;
		f->path = arena_text(copy.arenas[0], f->path);
		if (!f->path)
			return -ENOMEM;
		if (f->link) {
			f->link = arena_text(copy.arenas[0], f->link);
			if (!f->link)
				return -ENOMEM;
		}
		copy.items[copy.n++] = f;
	}
	*ret = copy;
	copy = (struct found_list){ 0 };
	return 0;
}

static enum manifest_type type_of(mode_t mode)
{
	if (S_ISREG(mode))
		return MANIFEST_FILE;
	if (S_ISDIR(mode))
		return MANIFEST_DIR;
	if (S_ISLNK(mode))
		return MANIFEST_LINK;
	return MANIFEST_OTHER;
}

int found_list_manifest(const struct found_list *l, struct manifest *ret)
{
	struct manifest m;
	int r = 0;

	manifest_init(&m);
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct found *f = l->items[i];
		struct manifest_entry e = {
			.path = (char *)f->path,
			.type = type_of(f->mode),
			.mode = f->mode & 07777,
			.uid = f->uid,
			.gid = f->gid,
			.link = (char *)f->link,
		};

		if (e.type == MANIFEST_FILE) {
			e.size = f->id.size;
			r = digest_from(HASH_SHA256, view_of(f->sha256, sizeof(f->sha256)),
					&e.sha256);
		}
		if (r == 0)
			r = manifest_add(&m, &e);
	}
	/* In order already, each path once: there is nothing to sort. */
	if (r < 0) {
		manifest_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}
