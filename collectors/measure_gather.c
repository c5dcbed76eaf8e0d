/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_parts.h"

#include <string.h>

unsigned int measure_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n < MEASURE_THREADS_MAX ? (unsigned int)n : MEASURE_THREADS_MAX;
}

void gathered_done(struct gathered *g)
{
	for (size_t i = 0; i < g->n_paths; i++)
		free(g->paths[i]);
	free(g->paths);
	walk_roots_done(&g->roots);
	found_list_done(&g->found);
	*g = (struct gathered){ 0 };
}

static int keep_paths(struct gathered *g, const char *const *paths, size_t n)
{
	g->paths = calloc(n + 1, sizeof(char *));
	if (!g->paths)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		g->paths[i] = strdup(paths[i]);
		if (!g->paths[i])
			return -ENOMEM;
		g->n_paths++;
	}
	return 0;
}

int gathered_copy(const struct gathered *from, struct gathered *ret)
{
	CLEANUP(gathered_cleanup) struct gathered g = { .dependencies = from->dependencies };
	int r;

	r = keep_paths(&g, (const char *const *)from->paths, from->n_paths);
	if (r < 0)
		return r;
	r = walk_roots_copy(&from->roots, &g.roots);
	if (r < 0)
		return r;
	r = found_list_copy(&from->found, &g.found);
	if (r < 0)
		return r;
	*ret = g;
	g = (struct gathered){ 0 };
	return 0;
}

static int on_dependency(void *arg, const char *path)
{
	return walk_roots_add(arg, path, false, NULL);
}

/* True if the configuration names it, and not just a tree that it is in. */
static bool is_given(const struct gathered *g, const char *path)
{
	for (size_t i = 0; i < g->roots.n; i++) {
		if (g->roots.items[i].tree && strcmp(g->roots.items[i].path, path) == 0)
			return true;
	}
	return false;
}

/* Programs, and libraries that a program may load itself (plug-ins). */
static bool brings_files(const struct found *f)
{
	if (!S_ISREG(f->mode))
		return false;
	return f->head == HEAD_ELF || (f->head == HEAD_SCRIPT && (f->mode & 0111) != 0);
}

static int add_dependencies(struct gathered *g, const struct walk_options *o, char **ret_path)
{
	CLEANUP(found_list_cleanup) struct found_list more = { 0 };
	CLEANUP(loader_freep) struct loader *l = NULL;
	size_t from = g->roots.n;
	int r;

	for (size_t i = 0; i < g->found.n; i++) {
		const struct found *f = g->found.items[i];
		char *path = NULL;

		if (!brings_files(f))
			continue;
		if (!l) {
			r = loader_new(&l);
			if (r < 0)
				return r;
		}
		r = loader_resolve(l, f->path, on_dependency, &g->roots, &path);
		/* A program that cannot be started, in a tree: it stands in the manifest, and so it
		 * is. */
		if (r == -ENOENT && (o->may_miss || !is_given(g, f->path)))
			r = 0;
		if (r < 0) {
			*ret_path = path ? path : strdup(f->path);
			return r;
		}
		free(path);
	}
	if (g->roots.n == from)
		return 0;
	r = walk(&g->roots, from, o, &more, &g->read, ret_path);
	if (r < 0)
		return r;
	return found_list_merge(&g->found, &more, ret_path);
}

int gather(const char *const *paths, size_t n, bool dependencies, const struct walk_options *o,
	   struct gathered *ret, char **ret_path)
{
	CLEANUP(gathered_cleanup) struct gathered g = { .dependencies = dependencies };
	int r;

	r = keep_paths(&g, paths, n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		r = walk_roots_add(&g.roots, paths[i], true, NULL);
		if (r == -ENOENT && o->may_miss)
			continue;
		if (r < 0) {
			*ret_path = strdup(paths[i]);
			return r;
		}
	}
	r = walk(&g.roots, 0, o, &g.found, &g.read, ret_path);
	if (r < 0)
		return r;
	if (dependencies) {
		r = add_dependencies(&g, o, ret_path);
		if (r < 0)
			return r;
	}
	*ret = g;
	g = (struct gathered){ 0 };
	return 0;
}
