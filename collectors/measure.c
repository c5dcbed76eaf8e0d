/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <fcntl.h>
#include <string.h>

#include "measure_parts.h"

CLEANUP_FUNCTION(struct measured *, measured_free)

/* Nothing is read again by turns here: a check reads what it cannot rely on. */
#define NEVER_DUE UINT32_MAX

static const struct measurement *measurement_of(const struct measured *m)
{
	return (const struct measurement *)m;
}

void measured_free(struct measured *m)
{
	struct measurement *own = (struct measurement *)m;

	if (!m)
		return;
	manifest_done(&m->manifest);
	bytes_done(&m->text);
	free(m->files); /* their paths are in what was gathered */
	gathered_done(&own->gathered);
	free(own);
}

static int list_files(struct measurement *m)
{
	const struct found_list *l = &m->gathered.found;

	m->measured.files = calloc(l->n + 1, sizeof(struct measured_file));
	if (!m->measured.files)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		const struct found *f = l->items[i];

		if (!S_ISREG(f->mode))
			continue;
		m->measured.files[m->measured.n_files++] = (struct measured_file){
			.path = (char *)f->path,
			.device = f->id.device,
			.inode = f->id.inode,
			.size = f->id.size,
			.ctime_ns = f->id.ctime_ns,
			.mtime_ns = f->id.mtime_ns,
			.fd = -1,
		};
	}
	return 0;
}

int measure_paths(const char *const *paths, size_t n, const struct measure_options *options,
		  struct measured **ret, char **ret_path)
{
	const struct walk_options o = {
		.threads = options->threads ? options->threads : measure_threads(),
		.due_after = NEVER_DUE,
		.progress = options->progress,
		.progress_arg = options->progress_arg,
	};
	CLEANUP(measured_freep) struct measured *m = NULL;
	struct measurement *own;
	int r;

	*ret_path = NULL;
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	m = &own->measured;
	manifest_init(&m->manifest);
	m->text = BYTES_INIT(MANIFEST_MAX);

	r = gather(paths, n, options->dependencies, &o, &own->gathered, ret_path);
	if (r < 0)
		return r;
	m->bytes_read = own->gathered.read.bytes;
	r = list_files(own);
	if (r < 0)
		return r;
	r = found_list_manifest(&own->gathered.found, &m->manifest);
	if (r < 0)
		return r;
	r = manifest_write(&m->manifest, &m->text);
	if (r < 0)
		return r;
	r = digest_of(HASH_SHA384, bytes_view(&m->text), &m->m);
	if (r < 0)
		return r;
	*ret = TAKE(m);
	return 0;
}

/* A measured file that is what the descriptor shows, whatever its name. */
static const struct found *find_identity(const struct found_list *l, const struct stat *st)
{
	struct file_identity id = file_identity_of(st);

	for (size_t i = 0; i < l->n; i++) {
		if (S_ISREG(l->items[i]->mode) && file_identity_equal(&l->items[i]->id, &id))
			return l->items[i];
	}
	return NULL;
}

int measured_open_program(const struct measured *m, const char *path, int *ret_fd)
{
	CLEANUP(cleanup_fd) int fd = -1;
	const struct found *f;
	struct digest d;
	struct stat st;
	uint64_t size;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return neg_errno();
	if (fstat(fd, &st) < 0)
		return neg_errno();
	f = S_ISREG(st.st_mode) ? find_identity(&measurement_of(m)->gathered.found, &st) : NULL;
	if (!f)
		return -ESTALE;
	/* Measured once more through the very descriptor that is executed. */
	r = measure_fd(fd, &d, &size);
	if (r < 0)
		return r;
	if (memcmp(d.bytes, f->sha256, sizeof(f->sha256)) != 0)
		return -ESTALE;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int touched(const char *path, char **ret_path)
{
	*ret_path = strdup(path);
	return -ESTALE;
}

/*
 * The same walk again, so that a file that was added to a tree or a link that leads elsewhere
 * shows as well; content is read only where an identity was too young to be relied on.
 */
int measured_check(const struct measured *m, char **ret_path)
{
	const struct gathered *g = &measurement_of(m)->gathered;
	const struct walk_options o = {
		.threads = 1,
		.known = &g->found,
		.due_after = NEVER_DUE,
		.may_miss = true,
	};
	CLEANUP(found_list_cleanup) struct found_list now = { 0 };
	struct walk_count read = { 0 };
	int r;

	*ret_path = NULL;
	r = walk(&g->roots, 0, &o, &now, &read, ret_path);
	if (r < 0)
		return r;
	for (size_t i = 0; i < g->found.n && i < now.n; i++) {
		const struct found *then = g->found.items[i], *f = now.items[i];
		int order = strcmp(then->path, f->path);

		if (order != 0)
			return touched(order < 0 ? then->path : f->path, ret_path);
		if (found_differs(then, f) ||
		    (S_ISREG(f->mode) && !file_identity_equal(&then->id, &f->id)))
			return touched(f->path, ret_path);
	}
	if (now.n < g->found.n)
		return touched(g->found.items[now.n]->path, ret_path);
	if (now.n > g->found.n)
		return touched(now.items[g->found.n]->path, ret_path);
	return 0;
}
