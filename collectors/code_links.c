/* SPDX-License-Identifier: Apache-2.0 */
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/code_state.h"

/*
 * The loader's own list of objects (r_debug, link_map), which debuggers and unwinders go by. The
 * process can write to it; so it is compared with what is mapped, and never believed.
 */

#define LINKS_MAX 16384

/* The layout of glibc and musl, which have had it from the beginning, and glibc's later members. */
struct debug {
	int version;
	uint64_t map, brk;
	int state;
	uint64_t ldbase, next;
};
_Static_assert(offsetof(struct debug, map) == offsetof(struct r_debug, r_map), "r_debug");
_Static_assert(offsetof(struct debug, state) == offsetof(struct r_debug, r_state), "r_debug");

struct entry {
	uint64_t address, name, dynamic, next, previous;
};
_Static_assert(sizeof(struct entry) <= sizeof(struct debug), "what is read ahead of either");
_Static_assert(offsetof(struct entry, next) == offsetof(struct link_map, l_next), "link_map");

/* The executable's object; NULL: its loader keeps no list. */
static const struct code_instance *executable_of(const struct code_look *l)
{
	const Assay__Mi *m = l->mi->msg;
	const Assay__File *e = l->executable ? m->files[l->executable - 1] : NULL;

	for (size_t i = 0; e && i < l->x->n_instances; i++) {
		const struct code_instance *in = &l->x->instances[i];
		const Assay__File *f = m->files[in->file->file - 1];

		if (f->inode == e->inode && f->device == e->device)
			return in->object->debug ? in : NULL;
	}
	return NULL;
}

/* An address of the list, to be read ahead at the next node. */
static int keep_link(const struct code_look *l, uint64_t at)
{
	struct code_process *p = l->process;

	if (p->n_links == p->room_links) {
		size_t room = p->room_links ? 2 * p->room_links : 32;
		uint64_t *grown = realloc(p->links, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->links = grown;
		p->room_links = room;
	}
	p->links[p->n_links++] = at;
	return 0;
}

int code_links_want(struct code_look *l)
{
	int r = 0;

	for (size_t i = 0; i < l->process->n_links && r == 0; i++)
		r = code_memory_want(&l->x->memory, l->process->links[i], sizeof(struct debug));
	return r;
}

/* Marks the objects of one list as found. *ret_next: the next namespace's (dlmopen). */
static int walk_list(const struct code_look *l, uint64_t at, bool *found, size_t *left,
		     uint64_t *ret_next, bool *ret_busy)
{
	struct debug d = { 0 };
	struct entry e;
	int r;

	r = keep_link(l, at);
	if (r == 0)
		r = code_read(l, at, &d, sizeof(d));
	if (r < 0)
		return r;
	*ret_busy |= d.state != RT_CONSISTENT || d.map == 0;
	*ret_next = d.version >= 2 ? d.next : 0;
	for (uint64_t next = d.map; next; next = e.next) {
		if ((*left)-- == 0)
			return -ELOOP;
		r = keep_link(l, next);
		if (r == 0)
			r = code_read(l, next, &e, sizeof(e));
		if (r < 0)
			return r;
		for (size_t i = 0; i < l->x->n_instances; i++)
			found[i] |= l->x->instances[i].bias == e.address;
	}
	return 0;
}

static int add_odd(struct code_look *l, const struct code_instance *in)
{
	Assay__OddLink *o;

	if (!code_listed(l, l->out->n_links))
		return 0;
	o = MI_MESSAGE(l->mi, Assay__OddLink, assay__odd_link__init);
	if (!o)
		return -ENOMEM;
	o->address = in->bias;
	o->file = in->file->file;
	return mi_push(l->mi, &l->out->n_links, &l->out->links, o);
}

bool code_links_busy(const struct code_look *l)
{
	const struct code_instance *executable = executable_of(l);
	struct debug d;
	uint64_t at;

	return executable &&
	       code_read(l, executable->bias + executable->object->debug, &at, sizeof(at)) == 0 &&
	       at && code_read(l, at, &d, sizeof(d)) == 0 && d.state != RT_CONSISTENT;
}

int code_links_look(struct code_look *l)
{
	const struct code_instance *executable = executable_of(l);
	CLEANUP(cleanup_mem) bool *found = NULL;
	size_t left = LINKS_MAX;
	uint64_t at = 0;
	bool busy = false;
	int r;

	if (!executable)
		return 0;
	found = calloc(l->x->n_instances, sizeof(*found));
	if (!found)
		return -ENOMEM;
	r = code_read(l, executable->bias + executable->object->debug, &at, sizeof(at));
	l->process->n_links = 0;
	if (r == 0 && at == 0)
		return 0; /* the loader has not begun */
	while (r == 0 && at)
		r = walk_list(l, at, found, &left, &at, &busy);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		l->error = r == -ELOOP ? "the loader's list does not end"
				       : "the loader's list leads nowhere";
		return 0;
	}
	if (busy && l->x->now_ns - l->process->busy_ns <= CODE_PENDING_NS)
		return 0;
	if (!busy)
		l->process->busy_ns = l->x->now_ns;
	l->out->loader_list = true;
	for (size_t i = 0; i < l->x->n_instances && r == 0; i++) {
		if (!found[i] && !l->process->objects[l->x->instances[i].known].piece)
			r = add_odd(l, &l->x->instances[i]);
	}
	return r;
}
