/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

/* The files whose changes the kernel side tells of. */

static int compare_files(const void *a, const void *b)
{
	const struct follow_file *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return (x->inode > y->inode) - (x->inode < y->inode);
}

static bool listed(const struct follow_watch_list *l, const struct follow_file *file)
{
	return l->n && bsearch(file, l->files, l->n, sizeof(*file), compare_files);
}

static int files_map(const struct follow *f)
{
	return bpf_map__fd(f->skel->maps.files);
}

static int begin_watching(struct follow *f, uint32_t slot, const struct follow_file *file)
{
	struct follow_watched w = { 0 };
	int r;

	r = bpf_map_lookup_elem(files_map(f), file, &w);
	if (r < 0 && r != -ENOENT)
		return r;
	if (w.slots & 1ULL << slot)
		return 0;
	w.slots |= 1ULL << slot;
	/* Another number than anybody was told, in case an event came in between. */
	if (r == 0)
		w.changes++;
	r = bpf_map_update_elem(files_map(f), file, &w, BPF_ANY);
	return r == -E2BIG ? -ENOSPC : r;
}

static void end_watching(struct follow *f, uint32_t slot, const struct follow_file *file)
{
	struct follow_watched w;

	if (bpf_map_lookup_elem(files_map(f), file, &w) < 0)
		return;
	w.slots &= ~(1ULL << slot);
	w.changes++;
	if (w.slots)
		(void)!bpf_map_update_elem(files_map(f), file, &w, BPF_EXIST);
	else
		bpf_map_delete_elem(files_map(f), file);
}

static void end_set(struct follow *f, uint32_t slot, enum follow_watch_set set,
		    const struct follow_watch_list *now)
{
	struct follow_slot *s = &f->slots[slot];
	struct follow_watch_list *l = &s->watched[set];

	for (size_t i = 0; i < l->n; i++) {
		bool still = listed(now, &l->files[i]);

		for (size_t other = 0; other < FOLLOW_WATCH_SETS; other++)
			still = still || (other != set && listed(&s->watched[other], &l->files[i]));
		if (!still)
			end_watching(f, slot, &l->files[i]);
	}
	free(l->files);
	*l = (struct follow_watch_list){ 0 };
}

/* A copy, in order and no file twice. */
static int make_list(const struct follow_file *files, size_t n, struct follow_watch_list *ret)
{
	struct follow_watch_list l = { 0 };

	l.files = malloc((n ? n : 1) * sizeof(*l.files));
	if (!l.files)
		return -ENOMEM;
	if (n)
		memcpy(l.files, files, n * sizeof(*files));
	qsort(l.files, n, sizeof(*l.files), compare_files);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || compare_files(&l.files[i], &l.files[l.n - 1]) != 0)
			l.files[l.n++] = l.files[i];
	}
	*ret = l;
	return 0;
}

int follow_watch(struct follow *f, uint32_t slot, enum follow_watch_set set,
		 const struct follow_file *files, size_t n)
{
	struct follow_watch_list *old = &f->slots[slot].watched[set], now;
	int r, first = 0;

	r = make_list(files, n, &now);
	if (r < 0)
		return r;
	if (old->left_out == 0 && old->n == now.n && old->files &&
	    memcmp(old->files, now.files, now.n * sizeof(*now.files)) == 0) {
		free(now.files);
		return 0;
	}
	for (size_t i = 0; i < now.n; i++) {
		if (old->left_out == 0 && listed(old, &now.files[i]))
			continue;
		r = begin_watching(f, slot, &now.files[i]);
		if (r < 0)
			now.left_out++;
		if (first == 0)
			first = r;
	}
	end_set(f, slot, set, &now);
	*old = now;
	return first;
}

void follow_watch_done(struct follow *f, uint32_t slot)
{
	const struct follow_watch_list none = { 0 };

	for (uint32_t set = 0; set < FOLLOW_WATCH_SETS; set++)
		end_set(f, slot, set, &none);
}

size_t follow_watched(const struct follow *f, uint32_t slot)
{
	size_t n = 0;

	for (size_t set = 0; set < FOLLOW_WATCH_SETS; set++)
		n += f->slots[slot].watched[set].n;
	return n - follow_unwatched(f, slot);
}

size_t follow_unwatched(const struct follow *f, uint32_t slot)
{
	size_t n = 0;

	for (size_t set = 0; set < FOLLOW_WATCH_SETS; set++)
		n += f->slots[slot].watched[set].left_out;
	return n;
}

static bool attached(const struct follow *f, const char *name)
{
	const struct follow_hook *h = follow_hook_named(f, name);

	return h && h->attached;
}

int follow_file_changes(const struct follow *f, const struct follow_file *file, uint64_t *ret)
{
	struct follow_watched w;
	int r;

	if (!attached(f, "writeback_dirty_folio") || !attached(f, "ctime_ns_xchg") ||
	    !attached(f, "ctime_xchg_skip") || !attached(f, "inode_set_ctime_to_ts"))
		return -EOPNOTSUPP;
	r = bpf_map_lookup_elem(files_map(f), file, &w);
	if (r < 0)
		return r;
	*ret = w.changes;
	return 0;
}
