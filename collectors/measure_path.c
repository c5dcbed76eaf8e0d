/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_parts.h"

#include <string.h>

void walk_roots_done(struct walk_roots *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->items[i].path);
		free(r->items[i].same_as);
	}
	free(r->items);
	*r = (struct walk_roots){ 0 };
}

static bool is_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 &&
	       (path[len] == '/' || (len == 1 && path[1] != '\0'));
}

/* What a tree holds it brings itself. */
static void drop_below(struct walk_roots *r, const char *tree)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (!r->items[i].same_as && is_below(r->items[i].path, tree)) {
			free(r->items[i].path);
			continue;
		}
		r->items[kept++] = r->items[i];
	}
	r->n = kept;
}

static int push(struct walk_roots *r, const char *path, const char *same_as, bool tree)
{
	struct walk_root root = { .tree = tree };

	if (tree)
		drop_below(r, path);
	for (size_t i = 0; i < r->n; i++) {
		if (!same_as && r->items[i].tree && is_below(path, r->items[i].path))
			return 0;
		if (strcmp(r->items[i].path, path) == 0) {
			r->items[i].tree |= tree;
			return 0;
		}
	}
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct walk_root *grown = realloc(r->items, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		r->items = grown;
		r->room = room;
	}
	root.path = strdup(path);
	root.same_as = same_as ? strdup(same_as) : NULL;
	if (!root.path || (same_as && !root.same_as)) {
		free(root.path);
		free(root.same_as);
		return -ENOMEM;
	}
	r->items[r->n++] = root;
	return 0;
}

int walk_roots_copy(const struct walk_roots *from, struct walk_roots *ret)
{
	struct walk_roots copy = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n; i++)
		r = push(&copy, from->items[i].path, from->items[i].same_as, from->items[i].tree);
	if (r < 0) {
		walk_roots_done(&copy);
		return r;
	}
	*ret = copy;
	return 0;
}

/* A path on its way: what is resolved (no links in it) and what is left. */
struct way {
	char done[PATH_MAX], left[PATH_MAX];
	unsigned int links;
};

/* Takes the next component off what is left into name; false at the end. */
static bool way_next(struct way *w, char name[NAME_MAX + 1], int *ret_error)
{
	size_t skip = strspn(w->left, "/"), len = strcspn(w->left + skip, "/");

	*ret_error = 0;
	if (len == 0)
		return false;
	if (len > NAME_MAX) {
		*ret_error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, w->left + skip, len);
	name[len] = '\0';
	memmove(w->left, w->left + skip + len, strlen(w->left + skip + len) + 1);
	return true;
}

static int way_append(struct way *w, const char *name)
{
	size_t len = strlen(w->done), more = strlen(name);

	if (len + more + 2 > sizeof(w->done))
		return -ENAMETOOLONG;
	w->done[len] = '/';
	memcpy(w->done + len + 1, name, more + 1);
	return 0;
}

static void way_up(struct way *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash)
		*slash = '\0';
}

/* Puts a link's target in front of what is left. */
static int way_follow(struct way *w, const char *target)
{
	char rest[PATH_MAX];
	int n;

	if (++w->links > MEASURE_LINKS_MAX)
		return -ELOOP;
	memcpy(rest, w->left, strlen(w->left) + 1);
	n = snprintf(w->left, sizeof(w->left), "%s/%s", target, rest);
	if (n < 0 || (size_t)n >= sizeof(w->left))
		return -ENAMETOOLONG;
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		way_up(w);
	return 0;
}

/*
 * True for the form that a path has once it is resolved, links aside: no empty component, no
 * "." and no "..".
 */
static bool is_normal(const char *path)
{
	const char *at = path;

	while (*at == '/') {
		size_t len = strcspn(at + 1, "/");

		if (len == 0 || (len == 1 && at[1] == '.') ||
		    (len == 2 && at[1] == '.' && at[2] == '.'))
			return false;
		at += 1 + len;
	}
	return *at == '\0';
}

/* Resolves what is left; each link on the way becomes a root. */
static int way_run(struct way *w, struct walk_roots *roots)
{
	char name[NAME_MAX + 1], target[PATH_MAX];
	ssize_t n;
	int r;

	while (way_next(w, name, &r)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			way_up(w);
			continue;
		}
		r = way_append(w, name);
		if (r < 0)
			return r;
		n = readlink(w->done, target, sizeof(target));
		if (n < 0 && errno == EINVAL)
			continue; /* not a link */
		if (n < 0)
			return neg_errno();
		if ((size_t)n == sizeof(target))
			return -ENAMETOOLONG;
		target[n] = '\0';
		r = push(roots, w->done, NULL, false);
		if (r < 0)
			return r;
		r = way_follow(w, target);
		if (r < 0)
			return r;
	}
	return r;
}

int walk_roots_add(struct walk_roots *roots, const char *path, bool tree, char **ret_real)
{
	struct way w = { .links = 0 };
	const char *last;
	char *real;
	int r;

	if (path[0] != '/')
		return -EINVAL;
	if (strlen(path) >= sizeof(w.left))
		return -ENAMETOOLONG;

	last = path;
	if (is_normal(path)) {
		/* The directories first: through a link, they give one thing two names. */
		last = strrchr(path, '/') + 1;
		memcpy(w.left, path, (size_t)(last - path));
		r = way_run(&w, roots);
		if (r < 0)
			return r;
		if (strncmp(w.done, path, strlen(w.done)) != 0 ||
		    path + strlen(w.done) + 1 != last) {
			char direct[2 * PATH_MAX];

			snprintf(direct, sizeof(direct), "%s/%s", w.done, last);
			r = push(roots, path, direct, false);
			if (r < 0)
				return r;
		}
	}
	memcpy(w.left, last, strlen(last) + 1);
	r = way_run(&w, roots);
	if (r < 0)
		return r;
	if (w.done[0] == '\0')
		memcpy(w.done, "/", 2);
	r = push(roots, w.done, NULL, tree);
	if (r < 0)
		return r;
	if (ret_real) {
		real = strdup(w.done);
		if (!real)
			return -ENOMEM;
		*ret_real = real;
	}
	return 0;
}
