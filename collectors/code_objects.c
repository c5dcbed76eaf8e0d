/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/code_state.h"

/*
 * The ELF files that a process has code of, as they are loaded: which mapping is whose text, and
 * whether all of each text is where the file says. What is kept of each from node to node.
 */

CLEANUP_FUNCTION(struct code_objects *, code_objects_free)

int code_objects_new(struct mappings_ways *ways, struct bytes *text, struct hasher *hasher,
		     struct code_objects **ret)
{
	CLEANUP(code_objects_freep) struct code_objects *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->ways = ways;
	x->text = text;
	x->hasher = hasher;
	x->page = (uint64_t)sysconf(_SC_PAGESIZE);
	x->relro = BYTES_INIT(64 * 1024 * 1024);
	x->slots = BYTES_INIT(4 * 1024 * 1024);
	*ret = TAKE(x);
	return 0;
}

static void known_done(struct code_objects *x, struct code_known *k)
{
	code_relro_forget(x, k);
	x->copies -= k->table ? k->table_len : 0;
	free(k->path);
	free(k->frames);
	free(k->table);
}

static void process_done(struct code_objects *x, struct code_process *p)
{
	for (size_t i = 0; i < p->n_objects; i++)
		known_done(x, &p->objects[i]);
	free(p->objects);
	free(p->links);
}

void code_objects_free(struct code_objects *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_processes; i++)
		process_done(x, &x->processes[i]);
	free(x->processes);
	free(x->shared);
	free(x->maps);
	free(x->instances);
	bytes_done(&x->relro);
	bytes_done(&x->slots);
	code_memory_done(&x->memory);
	free(x);
}

void code_objects_begin(struct code_objects *x, uint64_t now_boottime_ns)
{
	x->node++;
	x->now_ns = now_boottime_ns;
	x->n_shared = 0;
}

void code_objects_end(struct code_objects *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_processes; i++) {
		if (x->processes[i].node == x->node)
			x->processes[n++] = x->processes[i];
		else
			process_done(x, &x->processes[i]);
	}
	x->n_processes = n;
	code_relro_rest(x);
}

void code_objects_reset(struct code_objects *x)
{
	x->n_maps = x->n_instances = 0;
	x->first = false;
	code_memory_reset(&x->memory);
}

/* Makes room for one more in an array of n. */
static int room_for(void *array, size_t n, size_t *room, size_t size)
{
	void **items = array, *grown;
	size_t more = *room ? 2 * *room : 64;

	if (n < *room)
		return 0;
	grown = realloc(*items, more * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = more;
	return 0;
}

int code_objects_add(struct code_objects *x, const struct proc_mapping *m, size_t file)
{
	int r = room_for(&x->maps, x->n_maps, &x->room_maps, sizeof(*x->maps));

	if (r < 0)
		return r;
	x->maps[x->n_maps++] = (struct code_map){
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.file = file,
		.instance = CODE_NO_FILE,
		.vdso = m->inode == 0 && view_is(m->name, "[vdso]"),
	};
	return 0;
}

int code_read(const struct code_look *l, uint64_t at, void *to, size_t len)
{
	struct view ahead;
	size_t done = 0;

	if (l->x && code_memory_view(&l->x->memory, at, len, &ahead)) {
		memcpy(to, ahead.data, len);
		return 0;
	}
	while (done < len) {
		ssize_t n = pread(l->mem_fd, (char *)to + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (n == 0)
			return -ESRCH;
		done += (size_t)n;
	}
	return 0;
}

const struct code_map *code_map_at(const struct code_objects *x, uint64_t address)
{
	size_t low = 0, high = x->n_maps;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->maps[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->n_maps && x->maps[low].start <= address ? &x->maps[low] : NULL;
}

int code_place(struct code_look *l, uint64_t address, char **ret)
{
	const struct code_map *m = code_map_at(l->x, address);

	if (!m)
		return mi_text(l->mi, "memory that is not code", ret);
	if (m->file == CODE_NO_FILE)
		return mi_text(l->mi, m->vdso ? "the vDSO" : "code of no file", ret);
	return mi_text(l->mi, l->mi->msg->files[code_file_at(l->files, m->file)->file - 1]->path,
		       ret);
}

/* True if the mapping's place in the file is in the text; and if so, where the file was loaded. */
static bool is_text_of(const struct code_map *m, const struct elf_text *t, uint64_t *ret_bias)
{
	if (m->offset < t->offset || m->offset - t->offset >= t->end - t->start)
		return false;
	*ret_bias = m->start - (t->start + (m->offset - t->offset));
	return true;
}

/* The object of the file that is loaded there; CODE_NO_FILE: none yet. */
static size_t instance_at(const struct code_objects *x, const struct code_file *f, uint64_t bias)
{
	for (size_t i = x->n_instances; i > 0; i--) {
		if (x->instances[i - 1].file == f && x->instances[i - 1].bias == bias)
			return i - 1;
	}
	return CODE_NO_FILE;
}

/*
 * Which object's text the mapping is, if it is one's. Texts of one file may share a page
 * of it; then the mapping is of the one that an object already there is made of, or that is as
 * long.
 */
static int place_map(struct code_look *l, struct code_map *m)
{
	struct code_objects *x = l->x;
	const struct code_file *f =
		m->file == CODE_NO_FILE ? NULL : code_file_at(l->files, m->file);
	uint64_t bias, found = 0;
	bool any = false;
	int r;

	for (size_t i = 0; f && f->object && i < f->object->n_text; i++) {
		const struct elf_text *t = &f->object->text[i];

		if (!is_text_of(m, t, &bias))
			continue;
		m->instance = instance_at(x, f, bias);
		if (m->instance != CODE_NO_FILE)
			return 0;
		if (!any || (m->offset == t->offset && m->end - m->start == t->end - t->start))
			found = bias;
		any = true;
	}
	if (!any)
		return 0;
	r = room_for(&x->instances, x->n_instances, &x->room_instances, sizeof(*x->instances));
	if (r < 0)
		return r;
	m->instance = x->n_instances;
	x->instances[x->n_instances++] = (struct code_instance){
		.object = f->object, .file = f, .bias = found, .start = m->start
	};
	return 0;
}

static int add_replaced(struct code_look *l, uint64_t start, uint64_t end, uint32_t file)
{
	Assay__ReplacedText *t;
	int r;

	if (!code_listed(l, l->out->n_replaced))
		return 0;
	t = MI_MESSAGE(l->mi, Assay__ReplacedText, assay__replaced_text__init);
	if (!t)
		return -ENOMEM;
	t->start = start;
	t->length = end - start;
	t->file = file;
	r = code_place(l, start, &t->by);
	return r < 0 ? r : mi_push(l->mi, &l->out->n_replaced, &l->out->replaced, t);
}

/* Each page of the text must be mapped, as code, from its place in the file. */
static int check_text(struct code_look *l, size_t instance, const struct elf_text *t)
{
	const struct code_objects *x = l->x;
	const struct code_instance *in = &x->instances[instance];
	uint64_t at = in->bias + t->start, end = in->bias + t->end;
	int r = 0;

	while (at < end && r == 0) {
		const struct code_map *m = code_map_at(x, at);
		uint64_t next = end;

		if (m && m->instance == instance) {
			at = m->end;
			continue;
		}
		if (m) {
			next = m->end;
		} else {
			for (size_t i = 0; i < x->n_maps && next == end; i++) {
				if (x->maps[i].start > at)
					next = x->maps[i].start;
			}
		}
		if (next > end)
			next = end;
		r = add_replaced(l, at, next, in->file->file);
		at = next;
	}
	return r;
}

/* Where it is, or belongs. */
static size_t process_place(const struct code_objects *x, pid_t pid)
{
	size_t low = 0, high = x->n_processes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->processes[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What is known of the process; begins anew where there is nothing. */
static int process_of(struct code_objects *x, pid_t pid, uint64_t start_ns,
		      struct code_process **ret)
{
	size_t low = process_place(x, pid);
	int r;

	if (low == x->n_processes || x->processes[low].pid != pid) {
		r = room_for(&x->processes, x->n_processes, &x->room_processes,
			     sizeof(*x->processes));
		if (r < 0)
			return r;
		memmove(&x->processes[low + 1], &x->processes[low],
			(x->n_processes - low) * sizeof(*x->processes));
		x->n_processes++;
		x->processes[low] = (struct code_process){ .pid = pid, .busy_ns = x->now_ns };
	} else if (x->processes[low].start_boottime_ns != start_ns) {
		process_done(x, &x->processes[low]);
		x->processes[low] = (struct code_process){ .pid = pid, .busy_ns = x->now_ns };
	}
	x->processes[low].start_boottime_ns = start_ns;
	x->processes[low].node = x->node;
	*ret = &x->processes[low];
	return 0;
}

static struct code_known *known_find(const struct code_process *p, const struct code_instance *in)
{
	for (size_t i = 0; i < p->n_objects; i++) {
		struct code_known *k = &p->objects[i];

		if (k->bias == in->bias && k->inode == in->file->inode &&
		    k->device == in->file->device)
			return k;
	}
	return NULL;
}

/* True if the page still is that of the object's file; it may be there at another place by now. */
static bool still_there(struct code_look *l, const struct code_known *k, const struct code_page *p)
{
	struct proc_mapping m;

	return mappings_at(l->x->ways, l->proc_fd, l->x->text, p->address, &m) == 0 &&
	       m.inode == k->inode && m.device == k->device &&
	       m.offset + (p->address - m.start) == p->offset;
}

/* True if that much of the object is, with or without its text. */
static bool rest_is_there(struct code_look *l, const struct code_known *k)
{
	return still_there(l, k, &k->first) || still_there(l, k, &k->relro);
}

static int know(struct code_look *l, struct code_instance *in)
{
	const struct elf_object *o = in->object;
	struct code_process *p = l->process;
	struct code_known *k = known_find(p, in);
	int r;

	if (!k) {
		r = room_for(&p->objects, p->n_objects, &p->room, sizeof(*p->objects));
		if (r < 0)
			return r;
		k = &p->objects[p->n_objects];
		*k = (struct code_known){
			.device = in->file->device,
			.inode = in->file->inode,
			.bias = in->bias,
			.path = strdup(l->mi->msg->files[in->file->file - 1]->path),
			.first = { in->bias + o->first, o->first_offset },
			.relro = { in->bias + o->relro_start, o->relro_offset },
			.text_start = in->bias + o->text[0].start,
			.text_end = in->bias + o->text[0].end,
			.first_ns = l->x->now_ns,
		};
		if (!k->path)
			return -ENOMEM;
		p->n_objects++;
		/* V8 maps the code of its built-in functions again, near to what it compiles. */
		k->piece = !rest_is_there(l, k);
	}
	k->node = l->x->node;
	in->known = (size_t)(k - p->objects);
	return 0;
}

/*
 * Objects that had code here and have none any more. One that was unloaded is gone altogether;
 * where the rest of it is still mapped, something took the place of its text.
 */
static int check_vanished(struct code_look *l)
{
	struct code_process *p = l->process;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < p->n_objects; i++) {
		struct code_known *k = &p->objects[i];
		Assay__File *file;
		uint32_t index;

		if (k->node != l->x->node && r == 0) {
			if (k->piece || !rest_is_there(l, k)) {
				known_done(l->x, k);
				continue;
			}
			r = mi_file(l->mi, k->device, k->inode, k->path, &index, &file);
			if (r == 0)
				r = add_replaced(l, k->text_start, k->text_end, index);
		}
		p->objects[n++] = *k;
	}
	p->n_objects = n;
	return r;
}

static int add_instances(struct code_look *l)
{
	struct code_objects *x = l->x;
	int r = 0;

	for (size_t i = 0; i < x->n_maps && r == 0; i++)
		r = place_map(l, &x->maps[i]);
	for (size_t i = 0; i < x->n_instances && r == 0; i++)
		r = know(l, &x->instances[i]);
	if (r == 0)
		r = check_vanished(l);
	/* Their places have moved. */
	for (size_t i = 0; i < x->n_instances && r == 0; i++)
		r = know(l, &x->instances[i]);
	for (size_t i = 0; i < x->n_instances && r == 0; i++) {
		const struct code_instance *in = &x->instances[i];

		if (l->process->objects[in->known].piece)
			continue;
		for (size_t t = 0; t < in->object->n_text && r == 0; t++)
			r = check_text(l, i, &in->object->text[t]);
	}
	return r;
}

/* One digest for all of the process's relro: of each object that has one, its address and digest.
 */
static int digest_relro(struct code_look *l)
{
	struct code_objects *x = l->x;
	struct digest d;
	int r = hasher_begin(x->hasher);

	for (size_t i = 0; i < x->n_instances && r == 0; i++) {
		const struct code_known *k = &l->process->objects[x->instances[i].known];
		uint8_t address[8];

		if (!k->protected)
			continue;
		for (size_t b = 0; b < sizeof(address); b++)
			address[b] = (uint8_t)(k->relro.address >> (8 * b));
		r = hasher_add(x->hasher, address, sizeof(address));
		if (r == 0)
			r = hasher_add(x->hasher, k->seen, sizeof(k->seen));
	}
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	return r < 0 ? r : mi_bytes(l->mi, digest_view(&d), &l->out->relro_sha256);
}

/* Which files' code is mapped where: as long as that is the same, what slots lead to is too. */
static int digest_maps(struct code_look *l)
{
	struct code_objects *x = l->x;
	struct digest d;
	int r = hasher_begin(x->hasher);

	for (size_t i = 0; i < x->n_maps && r == 0; i++) {
		const struct code_map *m = &x->maps[i];
		const struct code_file *f;

		if (m->file == CODE_NO_FILE)
			continue;
		f = code_file_at(l->files, m->file);
		r = hasher_add(
			x->hasher,
			(const uint64_t[]){ m->start, m->end, m->offset, f->device, f->inode },
			5 * sizeof(uint64_t));
	}
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	if (r == 0)
		memcpy(l->process->maps, d.bytes, sizeof(l->process->maps));
	return r;
}

static void find_loading(struct code_look *l)
{
	bool asked = false, busy = false;

	for (size_t i = 0; i < l->x->n_instances; i++) {
		struct code_instance *in = &l->x->instances[i];
		const struct code_known *k = &l->process->objects[in->known];

		if (k->protected || k->piece)
			continue;
		if (!asked)
			busy = code_links_busy(l);
		asked = true;
		in->loading = code_relro_loading(l, in, busy);
	}
}

/* All that is small and is looked at of every process. */
static int read_ahead(struct code_look *l)
{
	struct code_objects *x = l->x;
	int r = code_links_want(l);

	for (size_t i = 0; i < x->n_instances && r == 0; i++) {
		const struct code_instance *in = &x->instances[i];
		const struct elf_object *o = in->object;
		uint64_t relro = o->relro_end - o->relro_start;

		if (l->process->objects[in->known].piece || in->loading)
			continue;
		if (relro <= CODE_SMALL_BYTES)
			r = code_memory_want(&x->memory, in->bias + o->relro_start, relro);
		if (r == 0 && o->n_slots > 0 && o->table_end - o->table_start <= CODE_TABLE_MAX)
			r = code_memory_want(&x->memory, in->bias + o->table_start,
					     o->table_end - o->table_start);
	}
	return r < 0 ? r : code_memory_read(&x->memory, l->process->pid, l->proc_fd);
}

static int look_at_memory(struct code_look *l)
{
	struct code_objects *x = l->x;
	int r;

	find_loading(l);
	r = digest_maps(l);
	if (r == 0)
		r = read_ahead(l);
	for (size_t i = 0; i < x->n_instances && r == 0; i++) {
		const struct code_instance *in = &x->instances[i];
		struct view relro = { 0 };
		bool pending = false;

		if (l->process->objects[in->known].piece) {
			l->out->pieces++;
			continue;
		}
		r = code_relro_look(l, in, &relro, &pending);
		if (pending)
			l->out->pending++;
		else if (r == 0)
			r = code_imports_look(l, in, relro);
		l->out->looked_at++;
	}
	if (r == 0)
		r = digest_relro(l);
	return r < 0 ? r : code_links_look(l);
}

int code_objects_look(struct code_look *l, pid_t pid, uint64_t start_boottime_ns)
{
	struct code_objects *x = l->x;
	int r;

	r = process_of(x, pid, start_boottime_ns, &l->process);
	if (r == 0)
		r = add_instances(l);
	if (r == 0)
		r = look_at_memory(l);
	if (r == 0 && l->error)
		r = mi_text(l->mi, l->error, &l->out->error);
	return r;
}

bool code_objects_saw_first(const struct code_objects *x)
{
	return x->first;
}

int code_objects_again(struct code_objects *x, pid_t pid)
{
	size_t at = process_place(x, pid);
	struct code_process *p = &x->processes[at];

	if (at == x->n_processes || p->pid != pid)
		return 0;
	for (size_t i = 0; i < p->n_objects; i++) {
		struct code_known *k = &p->objects[i];

		/* Whoever loads without end does not put it off for ever. */
		if (k->protected && k->then_node == x->node &&
		    x->now_ns - k->first_ns <= CODE_PENDING_NS)
			k->protected = false;
	}
	return code_relro_unshare(x, p);
}
