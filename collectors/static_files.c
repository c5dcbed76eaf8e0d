/* SPDX-License-Identifier: Apache-2.0 */
#include "static_files.h"

#include <string.h>

#include "measure_parts.h"

/* Times that a tree which changes under the walk is walked again. */
#define ATTEMPTS 3

/* The largest manifest that travels in MI, and the most paths in `changed`. */
#define SHIPPED_MAX (4 * 1024 * 1024)
#define CHANGED_MAX 1000

struct static_files {
	struct collector base;
	struct target *target;
	bool measured; /* now and baseline are set */
	bool differs;  /* now differs from the baseline */
	struct gathered now;
	struct found_list baseline;
	uint32_t turn; /* nodes since then that were not brief */
	struct bytes text;	  /* of now; empty where M is known without it */
	struct digest m, shipped; /* of now, and as last put into MI */
	uint64_t files, bytes;
};

static bool lists_differ(const struct found_list *a, const struct found_list *b)
{
	if (a->n != b->n)
		return true;
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->items[i]->path, b->items[i]->path) != 0 ||
		    found_differs(a->items[i], b->items[i]))
			return true;
	}
	return false;
}

/* Text and M of what was found. */
static int write_text(struct static_files *s)
{
	struct bytes text = BYTES_INIT(MANIFEST_MAX);
	struct manifest manifest;
	struct digest m;
	int r;

	r = found_list_manifest(&s->now.found, &manifest);
	if (r < 0)
		return r;
	r = manifest_write(&manifest, &text);
	manifest_done(&manifest);
	if (r == 0)
		r = digest_of(HASH_SHA384, bytes_view(&text), &m);
	if (r < 0) {
		bytes_done(&text);
		return r;
	}
	bytes_done(&s->text);
	s->text = text;
	s->m = m;
	return 0;
}

static void count_files(struct static_files *s)
{
	s->files = 0;
	s->bytes = 0;
	for (size_t i = 0; i < s->now.found.n; i++) {
		const struct found *f = s->now.found.items[i];

		if (!S_ISREG(f->mode))
			continue;
		s->files++;
		s->bytes += f->id.size;
	}
}

/* Spreads the first reading of what the start has read over the nodes to come. */
static void take_turns(struct found_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->items[i]->due = 1 + (uint32_t)(i % STATIC_FILES_NODES);
}

/* From now on a change of what was measured is an event; directories change with what is in them. */
static int watch_measured(const struct static_files *s)
{
	const struct found_list *l = &s->now.found;
	struct target_file *files;
	size_t n = 0;
	int r;

	if (!s->target->watch)
		return 0;
	files = calloc(l->n + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		const struct found *f = l->items[i];

		if (S_ISREG(f->mode) || S_ISLNK(f->mode))
			files[n++] = (struct target_file){ f->id.device, f->id.inode };
	}
	r = s->target->watch(s->target, TARGET_FILES_MEASURED, files, n);
	free(files);
	return r;
}

/* From now on this is what the files are and should be. Takes g over. */
static int begin_with(struct static_files *s, struct gathered *g)
{
	struct found_list baseline;
	int r;

	take_turns(&g->found);
	r = found_list_copy(&g->found, &baseline);
	if (r < 0)
		return r;
	gathered_done(&s->now);
	found_list_done(&s->baseline);
	bytes_done(&s->text);
	s->now = *g;
	*g = (struct gathered){ 0 };
	s->baseline = baseline;
	s->measured = true;
	s->differs = false;
	s->turn = 0;
	s->shipped = (struct digest){ 0 };
	count_files(s);
	return watch_measured(s);
}

int static_files_baseline(struct collector *c, const struct measured *m)
{
	CLEANUP(gathered_cleanup) struct gathered g = { 0 };
	struct static_files *s = (struct static_files *)c;
	int r;

	r = gathered_copy(&((const struct measurement *)m)->gathered, &g);
	if (r < 0)
		return r;
	return begin_with(s, &g);
}

static int measure_first(struct static_files *s, struct walk_count *read, char **ret_path)
{
	const struct target_config *config = s->target->config;
	const struct walk_options o = {
		.threads = measure_threads(),
		.due_after = STATIC_FILES_NODES,
	};
	CLEANUP(gathered_cleanup) struct gathered g = { 0 };
	int r;

	r = gather(config->files, config->n_files, true, &o, &g, ret_path);
	if (r < 0)
		return r;
	*read = g.read;
	return begin_with(s, &g);
}

/* Takes over a later state of the files. */
static int go_on_with(struct static_files *s, struct found_list *l)
{
	bool changed = lists_differ(&s->now.found, l);

	if (changed) {
		bytes_done(&s->text);
		s->m = (struct digest){ 0 };
	}
	found_list_done(&s->now.found);
	s->now.found = *l;
	*l = (struct found_list){ 0 };
	s->differs = lists_differ(&s->baseline, &s->now.found);
	count_files(s);
	return changed ? watch_measured(s) : 0;
}

/* What programs need, found anew: where a file changed, other libraries may be loaded. */
static int resolve_again(struct static_files *s, const struct walk_options *o,
			 struct walk_count *read, char **ret_path)
{
	CLEANUP(gathered_cleanup) struct gathered g = { 0 };
	int r;

	r = gather((const char *const *)s->now.paths, s->now.n_paths, s->now.dependencies, o, &g,
		   ret_path);
	if (r < 0)
		return r;
	read->files += g.read.files;
	read->bytes += g.read.bytes;
	walk_roots_done(&s->now.roots);
	s->now.roots = g.roots;
	g.roots = (struct walk_roots){ 0 };
	return go_on_with(s, &g.found);
}

static int measure_again(struct static_files *s, bool brief, struct walk_count *read,
			 char **ret_path)
{
	CLEANUP(found_list_cleanup) struct found_list l = { 0 };
	struct walk_options o = {
		.threads = 1, /* there is little to do, and the round may be short of time */
		.known = &s->now.found,
		.node = s->turn,
		.due_after = STATIC_FILES_NODES,
		.may_miss = true,
	};
	bool changed;
	int r;

	r = walk(&s->now.roots, 0, &o, &l, read, ret_path);
	if (r < 0)
		return r;
	changed = lists_differ(&s->now.found, &l);
	r = go_on_with(s, &l);
	if (r < 0)
		return r;
	if (!changed && (brief || s->turn % STATIC_FILES_NODES != 0))
		return 0;
	o.known = &s->now.found;
	return resolve_again(s, &o, read, ret_path);
}

struct changed {
	struct mi *mi;
	Assay__StaticFiles *to;
	int error;
};

static void on_changed(void *arg, const char *path)
{
	struct changed *c = arg;
	char *copy;

	if (c->error < 0 || c->to->n_changed == CHANGED_MAX)
		return;
	c->error = mi_text(c->mi, path, &copy);
	if (c->error == 0)
		c->error = mi_push(c->mi, &c->to->n_changed, &c->to->changed, copy);
}

static int write_changed(struct static_files *s, struct mi *mi, Assay__StaticFiles *to, size_t *ret)
{
	struct changed c = { mi, to, 0 };

	*ret = 0;
	if (s->differs)
		*ret = found_list_compare(&s->baseline, &s->now.found, on_changed, &c);
	return c.error;
}

/* The text travels when the verifier has not seen it yet. */
static int write_manifest(struct static_files *s, struct mi *mi, Assay__StaticFiles *to)
{
	char *text;

	if (digest_equal(&s->m, &s->shipped) || s->text.len > SHIPPED_MAX)
		return 0;
	text = arena_alloc(mi->arena, s->text.len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, s->text.data, s->text.len);
	to->manifest = text;
	s->shipped = s->m;
	bytes_done(&s->text);
	return 0;
}

static int static_files_write(struct static_files *s, struct mi *mi, const struct walk_count *read)
{
	Assay__StaticFiles *to;
	size_t n_changed;
	char *why;
	int r;

	/* Made again only where something changed: half of the work of an unchanged node else. */
	if (s->m.size == 0 || (s->text.len == 0 && !digest_equal(&s->m, &s->shipped))) {
		r = write_text(s);
		if (r < 0)
			return r;
	}
	to = MI_MESSAGE(mi, Assay__StaticFiles, assay__static_files__init);
	if (!to)
		return -ENOMEM;
	to->files = s->files;
	to->bytes = s->bytes;
	to->rehashed_files = read->files;
	r = mi_bytes(mi, digest_view(&s->m), &to->sha384);
	if (r < 0)
		return r;
	r = write_changed(s, mi, to, &n_changed);
	if (r < 0)
		return r;
	r = write_manifest(s, mi, to);
	if (r < 0)
		return r;
	mi->msg->static_files = to;

	if (s->text.len > SHIPPED_MAX)
		r = mi_printf(mi, &why, "the manifest has %zu bytes and is not in MI", s->text.len);
	else if (n_changed > CHANGED_MAX)
		r = mi_printf(mi, &why, "%zu paths changed, %d are listed", n_changed, CHANGED_MAX);
	else
		return mi_status(mi, collector_static_files.name,
				 ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL);
	if (r < 0)
		return r;
	return mi_status(mi, collector_static_files.name, ASSAY__COLLECTOR_STATUS__STATE__PARTIAL,
			 why);
}

static int static_files_failed(struct mi *mi, int error, const char *path)
{
	char *why;
	int r;

	r = mi_printf(mi, &why, "%s: %s", path ? path : "static measurement",
		      error == -ESTALE ? "changes while it is measured" : strerror(-error));
	if (r < 0)
		return r;
	return mi_status(mi, collector_static_files.name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
			 why);
}

static int static_files_collect(struct collector *c, const struct collector_time *time,
				struct mi *mi)
{
	struct static_files *s = (struct static_files *)c;
	CLEANUP(cleanup_mem) char *path = NULL;
	struct walk_count read = { 0 };
	int r = -ESTALE;

	s->turn += !time->brief;
	for (int i = 0; r == -ESTALE && i < ATTEMPTS; i++) {
		free(TAKE(path));
		r = s->measured ? measure_again(s, time->brief, &read, &path)
				: measure_first(s, &read, &path);
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return static_files_failed(mi, r, path);
	return static_files_write(s, mi, &read);
}

static int static_files_open(struct target *t, struct collector **ret)
{
	struct static_files *s;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base.ops = &collector_static_files;
	s->target = t;
	s->text = BYTES_INIT(MANIFEST_MAX);
	*ret = &s->base;
	return 0;
}

static void static_files_close(struct collector *c)
{
	struct static_files *s = (struct static_files *)c;

	if (!s)
		return;
	gathered_done(&s->now);
	found_list_done(&s->baseline);
	bytes_done(&s->text);
	free(s);
}

const struct collector_ops collector_static_files = {
	.name = "static_files",
	.item = 7,
	.open = static_files_open,
	.collect = static_files_collect,
	.close = static_files_close,
};
