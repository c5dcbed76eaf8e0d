/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/code_state.h"

/*
 * Memory that the loader made read-only once it had relocated an object: import slots, tables of
 * functions. Its pages are private copies from the beginning, so that they are can tell nothing;
 * their content must be what it was at the first node after the object was loaded.
 *
 * Reading what is large of it costs most of a scan. Processes that were forked have the same page
 * frames until one writes; what was read in one of them at this node need not be read in the next.
 * What is small is read with the rest (code_memory.c), and compared before it is hashed.
 */

#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_FRAME   ((1ULL << 55) - 1)
/* Relro above this is read at one node in LARGE_NODES, unless it is new. */
#define LARGE_BYTES (1024 * 1024)
#define LARGE_NODES 8
/* What is large is compared by so much at a time, which stays in the processor's cache. */
#define COMPARE_BYTES (128 * 1024)

static size_t shared_place(const struct code_objects *x, const struct code_known *k)
{
	uint64_t h = (k->inode ^ k->bias ^ k->device << 32) * 0x9e3779b97f4a7c15ULL;

	for (size_t i = (size_t)(h >> 24);; i++) {
		const struct code_known_ref *s = &x->shared[i & (x->room_shared - 1)];
		const struct code_known *o = s->node == x->node ? &s->objects[s->i] : NULL;

		if (!o || (o->bias == k->bias && o->inode == k->inode && o->device == k->device))
			return i & (x->room_shared - 1);
	}
}

/* Into a table of that size, without what is of these objects. */
static int share_move(struct code_objects *x, size_t n, const struct code_known *but)
{
	struct code_known_ref *old = x->shared;
	size_t room = x->room_shared;

	x->shared = calloc(n, sizeof(*x->shared));
	if (!x->shared) {
		x->shared = old;
		return -ENOMEM;
	}
	x->room_shared = n;
	x->n_shared = 0;
	for (size_t i = 0; i < room; i++) {
		if (old[i].node != x->node || old[i].objects == but)
			continue;
		x->shared[shared_place(x, &old[i].objects[old[i].i])] = old[i];
		x->n_shared++;
	}
	free(old);
	return 0;
}

int code_relro_unshare(struct code_objects *x, const struct code_process *p)
{
	return x->room_shared ? share_move(x, x->room_shared, p->objects) : 0;
}

/* From here on the object's frames and digest stand for others at this node. */
static int share(struct code_look *l, size_t known)
{
	struct code_objects *x = l->x;
	struct code_known_ref *s;
	int r = 0;

	if (2 * x->n_shared >= x->room_shared)
		r = share_move(x, x->room_shared ? 2 * x->room_shared : 256, NULL);
	if (r < 0)
		return r;
	s = &x->shared[shared_place(x, &l->process->objects[known])];
	if (s->node != x->node)
		x->n_shared++;
	s->node = x->node;
	s->objects = l->process->objects;
	s->i = known;
	memcpy(s->maps, l->process->maps, sizeof(s->maps));
	return 0;
}

/* The frames that n pages from start on are in; false where one is not in memory or not told. */
static int frames_of(struct code_look *l, struct code_known *k, uint64_t start, size_t n,
		     bool *ret_known)
{
	ssize_t got;

	*ret_known = false;
	if (n > k->room_frames) {
		uint64_t *grown = realloc(k->frames, n * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		k->frames = grown;
		k->room_frames = n;
	}
	got = pread(l->pagemap_fd, k->frames, n * sizeof(*k->frames),
		    (off_t)(start / l->x->page * sizeof(*k->frames)));
	if (got != (ssize_t)(n * sizeof(*k->frames)))
		return 0;
	for (size_t i = 0; i < n; i++) {
		/* Without the right to see them all frames are 0. */
		if (!(k->frames[i] & ENTRY_PRESENT) || (k->frames[i] & ENTRY_FRAME) == 0)
			return 0;
		k->frames[i] &= ENTRY_FRAME;
	}
	k->n_frames = n;
	k->frames_node = l->x->node;
	*ret_known = true;
	return 0;
}

/* Another process's object of that file at that place, read at this node; NULL: there is none. */
static const struct code_known_ref *other_of(const struct code_look *l, const struct code_known *k)
{
	const struct code_known_ref *s =
		l->x->room_shared ? &l->x->shared[shared_place(l->x, k)] : NULL;

	return s && s->node == l->x->node ? s : NULL;
}

/* True if both are in the very same memory. */
static bool same_memory(const struct code_look *l, const struct code_known *k,
			const struct code_known *o)
{
	return o->frames_node == l->x->node && k->frames_node == l->x->node &&
	       o->n_frames == k->n_frames &&
	       memcmp(o->frames, k->frames, k->n_frames * sizeof(*k->frames)) == 0;
}

/* k's bytes are the other one's: so are their digest, and what was found of slots in them. */
static void take_over(const struct code_look *l, struct code_known *k,
		      const struct code_known_ref *from)
{
	const struct code_known *o = &from->objects[from->i];

	memcpy(k->seen, o->seen, sizeof(k->seen));
	if (!o->imports_good || k->imports_good ||
	    memcmp(from->maps, l->process->maps, sizeof(from->maps)) != 0)
		return;
	memcpy(k->checked_relro, o->checked_relro, sizeof(k->checked_relro));
	memcpy(k->checked_slots, o->checked_slots, sizeof(k->checked_slots));
	memcpy(k->checked_maps, o->checked_maps, sizeof(k->checked_maps));
	k->imports_good = true;
}

static int add_changed(struct code_look *l, const struct code_instance *in, bool writable)
{
	Assay__ChangedRelro *c;

	if (!code_listed(l, l->out->n_relro))
		return 0;
	c = MI_MESSAGE(l->mi, Assay__ChangedRelro, assay__changed_relro__init);
	if (!c)
		return -ENOMEM;
	c->start = in->bias + in->object->relro_start;
	c->length = in->object->relro_end - in->object->relro_start;
	c->file = in->file->file;
	c->writable = writable;
	return mi_push(l->mi, &l->out->n_relro, &l->out->relro, c);
}

/* Whether the loader is done with it: it then took the right to write away. */
static bool is_protected(struct code_look *l, const struct code_known *k)
{
	struct proc_mapping m;

	return mappings_at(l->x->ways, l->proc_fd, l->x->text, k->relro.address, &m) == 0 &&
	       m.protection[1] == '-';
}

bool code_relro_loading(struct code_look *l, const struct code_instance *in, bool list_busy)
{
	const struct code_known *k = &l->process->objects[in->known];

	if (k->protected)
		return false;
	/* Without relro nothing tells when the loader is done with this one; at the next node it
	 * is. */
	if (in->object->relro_end == in->object->relro_start)
		return k->first_ns == l->x->now_ns;
	return list_busy || !is_protected(l, k);
}

void code_relro_forget(struct code_objects *x, struct code_known *k)
{
	if (k->copy && --k->copy->refs == 0) {
		x->copies -= k->copy->len;
		free(k->copy);
	}
	k->copy = NULL;
}

void code_relro_rest(struct code_objects *x)
{
	if (x->relro.room > COMPARE_BYTES)
		bytes_done(&x->relro);
}

/* Keeps the bytes to compare with at the next node, if there is room. */
static void keep_copy(struct code_objects *x, struct code_known *k, struct view v)
{
	code_relro_forget(x, k);
	if (v.len > CODE_COPIES_MAX - x->copies)
		return;
	k->copy = malloc(sizeof(*k->copy) + v.len);
	if (!k->copy)
		return;
	k->copy->refs = 1;
	k->copy->len = v.len;
	memcpy(k->copy->data, v.data, v.len);
	x->copies += v.len;
}

static bool equals_copy(const struct code_known *k, struct view v)
{
	return k->copy && view_equal(v, view_of(k->copy->data, k->copy->len));
}

static int hash_relro(struct code_look *l, struct code_known *k, struct view v)
{
	const struct code_known_ref *other = other_of(l, k);
	struct digest d;
	int r;

	if (other && equals_copy(&other->objects[other->i], v)) {
		code_relro_forget(l->x, k);
		k->copy = other->objects[other->i].copy;
		k->copy->refs++;
		take_over(l, k, other);
		return 0;
	}
	r = hasher_begin(l->x->hasher);
	if (r == 0)
		r = hasher_add(l->x->hasher, v.data, v.len);
	if (r == 0)
		r = hasher_end(l->x->hasher, &d);
	if (r < 0)
		return r;
	memcpy(k->seen, d.bytes, sizeof(k->seen));
	keep_copy(l->x, k, v);
	return 0;
}

/*
 * Whether the memory still holds what the copy does. Read through /proc/PID/mem: process_vm_readv
 * pins, and for that the kernel gives a process pages of its own that it had in common with those
 * it was forked with, so that each of them would have to be read at each node, and needs the
 * memory.
 */
static int still_equals(struct code_look *l, const struct code_copy *copy, uint64_t start,
			bool *ret_same)
{
	size_t n;
	uint8_t *to;
	int r;

	bytes_reset(&l->x->relro);
	r = bytes_reserve(&l->x->relro, COMPARE_BYTES, &to);
	*ret_same = true;
	for (size_t at = 0; r == 0 && *ret_same && at < copy->len; at += n) {
		n = copy->len - at < COMPARE_BYTES ? copy->len - at : COMPARE_BYTES;
		r = code_read(l, start + at, to, n);
		*ret_same = r == 0 && memcmp(copy->data + at, to, n) == 0;
	}
	return r;
}

/* Its bytes, their digest into k->seen. */
static int read_relro(struct code_look *l, const struct code_instance *in, struct code_known *k,
		      struct view *ret)
{
	uint64_t start = in->bias + in->object->relro_start;
	size_t len = in->object->relro_end - in->object->relro_start;
	uint8_t *to;
	int r;

	if (len > CODE_SMALL_BYTES && k->copy && k->copy->len == len) {
		bool same;

		r = still_equals(l, k->copy, start, &same);
		*ret = view_of(k->copy->data, len);
		if (r < 0 || same)
			return r;
	}
	if (!code_memory_view(&l->x->memory, start, len, ret)) {
		bytes_reset(&l->x->relro);
		r = bytes_reserve(&l->x->relro, len, &to);
		if (r == 0)
			r = code_read(l, start, to, len);
		if (r < 0)
			return r;
		*ret = view_of(to, len);
	}
	return equals_copy(k, *ret) ? 0 : hash_relro(l, k, *ret);
}

/* Compares with what it was; the first time, that is what it is. */
static int compare(struct code_look *l, const struct code_instance *in, struct code_known *k,
		   const uint8_t sha256[32])
{
	if (!k->protected) {
		memcpy(k->relro_then, sha256, sizeof(k->relro_then));
		k->protected = true;
		k->then_node = l->x->node;
		l->x->first = true;
		return 0;
	}
	/* The first digest stays: what was changed once is told at every node from then on. */
	return memcmp(k->relro_then, sha256, sizeof(k->relro_then)) == 0
		       ? 0
		       : add_changed(l, in, false);
}

int code_relro_look(struct code_look *l, const struct code_instance *in, struct view *ret_content,
		    bool *ret_pending)
{
	struct code_known *k = &l->process->objects[in->known];
	size_t len = in->object->relro_end - in->object->relro_start;
	const struct code_known_ref *other = other_of(l, k);
	bool frames = false;
	int r = 0;

	*ret_content = (struct view){ 0 };
	*ret_pending = in->loading;
	if (len == 0)
		return 0;
	if (in->loading)
		return l->x->now_ns - k->first_ns > CODE_PENDING_NS ? add_changed(l, in, true) : 0;
	if (len > CODE_SMALL_BYTES)
		r = frames_of(l, k, in->bias + in->object->relro_start, len / l->x->page, &frames);
	if (r < 0)
		return r;
	if (frames && other && same_memory(l, k, &other->objects[other->i])) {
		take_over(l, k, other);
		/* There it was compared with that one's first digest, not with this one's. */
		return compare(l, in, k, k->seen);
	}
	if (k->protected && len > LARGE_BYTES &&
	    (l->x->node + in->file->inode) % LARGE_NODES != 0) {
		l->out->waiting++;
		return 0;
	}
	r = read_relro(l, in, k, ret_content);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		l->error = "the relro of an object could not be read";
		return 0;
	}
	r = compare(l, in, k, k->seen);
	if (r == 0 && !(other && len <= CODE_SMALL_BYTES))
		r = share(l, in->known);
	return r;
}
