/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "collectors/code_state.h"

/*
 * Import slots (GOT). Each must lead where its symbol's name says: to a symbol of that name in some
 * loaded object; for a function that is chosen at run time (STT_GNU_IFUNC), into the text of the
 * object whose resolver chooses, or into the vDSO; or, not called yet, to the object's own stub.
 */

/* Slots of one object, with the memory they are in. */
struct slots {
	struct code_look *l;
	const struct code_instance *in;
	struct view relro, table; /* read already; empty: not */
	uint64_t table_at;
};

static bool in_relro(const struct elf_object *o, uint64_t at)
{
	return at >= o->relro_start && at < o->relro_end;
}

/* The slots outside of relro: those are filled at the first call. */
static int read_table(struct slots *s)
{
	const struct elf_object *o = s->in->object;
	uint64_t len = o->table_end - o->table_start;
	struct code_objects *x = s->l->x;
	uint8_t *to;
	int r;

	if (len > CODE_TABLE_MAX)
		return -E2BIG;
	bytes_reset(&x->slots);
	s->table = (struct view){ 0 };
	s->table_at = o->table_start;
	if (len == 0 || code_memory_view(&x->memory, s->in->bias + o->table_start, len, &s->table))
		return 0;
	r = bytes_reserve(&x->slots, len, &to);
	if (r == 0)
		r = code_read(s->l, s->in->bias + o->table_start, to, len);
	if (r < 0)
		return r;
	x->slots.len = len;
	s->table = bytes_view(&x->slots);
	return 0;
}

static int hash_table(const struct slots *s, struct digest *ret)
{
	struct hasher *h = s->l->x->hasher;
	int r = hasher_begin(h);

	if (r == 0)
		r = hasher_add(h, s->table.data, s->table.len);
	return r < 0 ? r : hasher_end(h, ret);
}

/* True if the table holds what it held when it was checked last. */
static bool same_table(const struct slots *s, const struct code_known *k)
{
	return s->table.len == 0 || (k->table && k->table_len == s->table.len &&
				     memcmp(k->table, s->table.data, s->table.len) == 0);
}

/* Keeps the table to compare with at the next node, if there is room. */
static void keep_table(const struct slots *s, struct code_known *k)
{
	struct code_objects *x = s->l->x;

	if (!k->table && s->table.len > 0 && x->copies + s->table.len <= CODE_COPIES_MAX) {
		k->table = malloc(s->table.len);
		k->table_len = s->table.len;
		x->copies += k->table ? k->table_len : 0;
	}
	if (k->table)
		memcpy(k->table, s->table.data, s->table.len);
}

static int value_of(const struct slots *s, uint64_t at, uint64_t *ret)
{
	const struct elf_object *o = s->in->object;
	struct view from = in_relro(o, at) ? s->relro : s->table;
	uint64_t start = in_relro(o, at) ? o->relro_start : s->table_at;

	if (from.len >= sizeof(*ret) && at >= start && at - start <= from.len - sizeof(*ret)) {
		memcpy(ret, from.data + (at - start), sizeof(*ret));
		return 0;
	}
	return code_read(s->l, s->in->bias + at, ret, sizeof(*ret));
}

static bool has_resolver(const struct elf_object *o, uint64_t name)
{
	const struct elf_symbol *s;
	size_t n;

	s = elf_object_find(o, name, &n);
	for (size_t i = 0; i < n; i++) {
		if (s[i].resolver)
			return true;
	}
	return false;
}

static bool offers(const struct code_instance *in, uint64_t name, uint64_t target)
{
	const struct elf_symbol *s;
	size_t n;

	s = elf_object_find(in->object, name, &n);
	for (size_t i = 0; i < n; i++) {
		if (s[i].resolver || in->bias + s[i].value == target)
			return true;
	}
	return false;
}

static bool target_is_right(const struct slots *s, const struct elf_slot *slot, uint64_t target)
{
	const struct code_objects *x = s->l->x;
	const struct code_map *m;

	/* glibc has resolvers that answer with nothing, as they are called for what they do. */
	if (target == 0)
		return slot->weak || slot->kind == ELF_SLOT_RESOLVED;
	m = code_map_at(x, target);
	if (!m)
		return false;
	if (m->vdso) {
		if (slot->kind == ELF_SLOT_RESOLVED)
			return true;
		for (size_t i = 0; i < x->n_instances; i++) {
			if (has_resolver(x->instances[i].object, slot->symbol))
				return true;
		}
		return false;
	}
	if (m->instance == CODE_NO_FILE)
		return false;
	if (slot->kind == ELF_SLOT_RESOLVED)
		return &x->instances[m->instance] == s->in;
	if (slot->initial && target == s->in->bias + slot->initial &&
	    &x->instances[m->instance] == s->in)
		return true;
	return offers(&x->instances[m->instance], slot->symbol, target);
}

static int add_odd(struct slots *s, const struct elf_slot *slot, uint64_t target)
{
	struct code_look *l = s->l;
	Assay__OddImport *o;
	int r;

	if (!code_listed(l, l->out->n_imports))
		return 0;
	o = MI_MESSAGE(l->mi, Assay__OddImport, assay__odd_import__init);
	if (!o)
		return -ENOMEM;
	o->slot = s->in->bias + slot->at;
	o->target = target;
	o->file = s->in->file->file;
	r = code_place(l, target, &o->place);
	if (r == 0 && slot->kind != ELF_SLOT_RESOLVED)
		r = mi_text(l->mi, (const char *)s->in->object->names.data + slot->name,
			    &o->symbol);
	return r < 0 ? r : mi_push(l->mi, &l->out->n_imports, &l->out->imports, o);
}

static int check(struct slots *s, bool *ret_good)
{
	const struct elf_object *o = s->in->object;
	int r = 0;

	*ret_good = true;
	for (size_t i = 0; i < o->n_slots && r == 0; i++) {
		uint64_t target;

		r = value_of(s, o->slots[i].at, &target);
		if (r < 0)
			return r;
		if (target_is_right(s, &o->slots[i], target))
			continue;
		*ret_good = false;
		r = add_odd(s, &o->slots[i], target);
	}
	return r;
}

/* Checks the slots unless they hold what they held when all were right, here or where k is from. */
static int check_changed(struct slots *s, struct code_known *k)
{
	bool same_relro =
		k->imports_good && memcmp(k->checked_relro, k->seen, sizeof(k->seen)) == 0 &&
		memcmp(k->checked_maps, s->l->process->maps, sizeof(k->checked_maps)) == 0;
	struct digest d;
	bool good = false;
	int r;

	if (same_relro && same_table(s, k))
		return 0;
	r = hash_table(s, &d);
	if (r < 0)
		return r;
	keep_table(s, k);
	/* Text does not move: what was right there is right here. */
	if (same_relro && memcmp(k->checked_slots, d.bytes, sizeof(k->checked_slots)) == 0)
		return 0;
	r = check(s, &good);
	if (r < 0)
		return r;
	k->imports_good = good;
	memcpy(k->checked_relro, k->seen, sizeof(k->checked_relro));
	memcpy(k->checked_maps, s->l->process->maps, sizeof(k->checked_maps));
	memcpy(k->checked_slots, d.bytes, sizeof(k->checked_slots));
	return 0;
}

int code_imports_look(struct code_look *l, const struct code_instance *in, struct view relro)
{
	struct code_known *k = &l->process->objects[in->known];
	struct slots s = { .l = l, .in = in, .relro = relro };
	int r;

	if (in->object->n_slots == 0)
		return 0;
	r = read_table(&s);
	if (r == 0)
		r = check_changed(&s, k);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		l->error = "the import slots of an object could not be read";
		k->imports_good = false;
		return 0;
	}
	l->out->import_slots += in->object->n_slots;
	return 0;
}
