/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

void manifest_init(struct manifest *m)
{
	*m = (struct manifest){ 0 };
}

static void entry_done(struct manifest_entry *e)
{
	free(e->path);
	free(e->link);
}

void manifest_done(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++)
		entry_done(&m->entries[i]);
	free(m->entries);
	manifest_init(m);
}

/*
 * Absolute, and the only way to write it: one file under two names would be found
 * under one of them and missing under the other.
 */
static bool path_valid(const char *path)
{
	if (path[0] != '/')
		return false;
	if (path[1] == '\0')
		return true;
	for (const char *at = path; *at; at += strcspn(at, "/")) {
		size_t len = strcspn(++at, "/");

		if (len == 0 || (len == 1 && at[0] == '.') ||
		    (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
	}
	return true;
}

static int grow(struct manifest *m)
{
	size_t room = m->room ? 2 * m->room : 64;
	struct manifest_entry *grown;

	if (room > MANIFEST_ENTRIES_MAX)
		room = MANIFEST_ENTRIES_MAX;
	grown = reallocarray(m->entries, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->entries = grown;
	m->room = room;
	return 0;
}

int manifest_add(struct manifest *m, const struct manifest_entry *e)
{
	struct manifest_entry copy = *e;
	int r;

	if (!path_valid(e->path))
		return -EINVAL;
	if (m->n >= MANIFEST_ENTRIES_MAX)
		return -EMSGSIZE;
	if (m->n == m->room) {
		r = grow(m);
		if (r < 0)
			return r;
	}
	copy.path = strdup(e->path);
	copy.link = e->link ? strdup(e->link) : NULL;
	if (!copy.path || (e->link && !copy.link)) {
		entry_done(&copy);
		return -ENOMEM;
	}
	m->entries[m->n++] = copy;
	return 0;
}

/* By bytes, as strcmp(3) compares them in every locale. */
static int by_path(const void *left, const void *right)
{
	const struct manifest_entry *l = left, *r = right;

	return strcmp(l->path, r->path);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The first field, in the order of the text, in which two entries differ; NULL: in none. */
static const char *difference(const struct manifest_entry *l, const struct manifest_entry *r)
{
	if (l->type != r->type)
		return "type";
	if (l->mode != r->mode)
		return "mode";
	if (l->uid != r->uid)
		return "uid";
	if (l->gid != r->gid)
		return "gid";
	if (l->type == MANIFEST_FILE && l->size != r->size)
		return "size";
	if (l->type == MANIFEST_FILE && !digest_equal(&l->sha256, &r->sha256))
		return "sha256";
	if (l->type == MANIFEST_LINK && !same_text(l->link, r->link))
		return "link";
	return NULL;
}

int manifest_sort(struct manifest *m)
{
	size_t kept = 0;

	if (m->n == 0)
		return 0;
	qsort(m->entries, m->n, sizeof(*m->entries), by_path);
	for (size_t i = 1; i < m->n; i++) {
		if (by_path(&m->entries[i - 1], &m->entries[i]) == 0 &&
		    difference(&m->entries[i - 1], &m->entries[i]))
			return -EEXIST;
	}
	for (size_t i = 1; i < m->n; i++) {
		if (by_path(&m->entries[kept], &m->entries[i]) == 0)
			entry_done(&m->entries[i]);
		else
			m->entries[++kept] = m->entries[i];
	}
	m->n = kept + 1;
	return 0;
}

const struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
	const struct manifest_entry key = { .path = (char *)path };

	if (m->n == 0)
		return NULL;
	return bsearch(&key, m->entries, m->n, sizeof(*m->entries), by_path);
}

size_t manifest_compare(const struct manifest *left, const struct manifest *right,
			void (*on_difference)(void *arg, const struct manifest_entry *left,
					      const struct manifest_entry *right, const char *what),
			void *arg)
{
	size_t l = 0, r = 0, differ = 0;

	while (l < left->n || r < right->n) {
		const struct manifest_entry *a = l < left->n ? &left->entries[l] : NULL;
		const struct manifest_entry *b = r < right->n ? &right->entries[r] : NULL;
		int order = !a ? 1 : !b ? -1 : by_path(a, b);
		const char *what = order == 0 ? difference(a, b) : "path";

		if (order <= 0)
			l++;
		if (order >= 0)
			r++;
		if (!what)
			continue;
		differ++;
		on_difference(arg, order <= 0 ? a : NULL, order >= 0 ? b : NULL, what);
	}
	return differ;
}
