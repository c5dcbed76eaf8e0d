/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "collectors/code_state.h"
#include "collectors/follow.h"
#include "collectors/mapped.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 8: all executable memory of every process. What is a file's, by the digest of
 * that very file; what is not, by place and digest; pages of a file's that are no longer
 * the file's, because a store to them made a private copy; and what of the loaded objects, their
 * relro, their import slots and the loader's list is not as it should be.
 */

/* Anonymous code up to this size is hashed; a JIT's heap changes all the time anyway. */
#define ANONYMOUS_HASH_MAX (256 * 1024)
/* Runs of changed pages of one process that are listed. */
#define MODIFIED_MAX 256
/*
 * A mapping that the kernel keeps no account of private pages of has none; at one node in so many
 * its pages are looked at all the same, by turns, so that no node pays for all.
 */
#define PAGES_NODES 16
/* How often a process is looked at again in which the loader may be at work, with a rest each; and
 * all of them at one node. */
#define LOOKS_AGAIN	 20
#define LOOKS_AGAIN_NODE 200
#define REST_NS		 1000000
/* Shared writable mappings of files, of all processes, that are looked at. */
#define WRITTEN_MAX 65536

/* A mapping of a file that its process can write to for all to see. */
struct written {
	uint64_t device, inode, start, length;
	Assay__Objects *out; /* of its process */
};

struct code {
	struct collector base;
	struct target *target;
	struct code_files *files;
	struct code_objects *objects;
	struct hasher *hasher;
	struct mappings_ways ways;
	struct mapped *mapped;
	uint64_t turn; /* nodes that were not brief */
	bool brief;
	uint64_t loads;		 /* mappings of code that perf had told of at the node before */
	unsigned int looks_left; /* at this node */
	struct bytes text, memory;
	struct written *written;
	size_t n_written, room_written;
	struct view vdso; /* of this process */
	struct digest vdso_digest;
};

/* One process under way. */
struct gathering {
	struct code *x;
	struct mi *mi;
	int proc_fd, pagemap_fd, mem_fd;
	Assay__CodeOf *out;
	uint32_t file; /* of the mapping that is scanned */
	const struct proc_mapping *m;
	const char *why; /* what could not be seen */
};

static void code_close(struct collector *c);
static void code_freep(struct code **x)
{
	if (*x)
		code_close(&(*x)->base);
}

static int find_vdso(void *arg, const struct proc_mapping *m)
{
	struct view *ret = arg;

	if (m->inode == 0 && view_is(m->name, "[vdso]"))
		*ret = view_of((const void *)(uintptr_t)m->start, m->end - m->start);
	return 0;
}

/* The vDSO that the kernel gave this process: every other 64-bit one must have the same. */
static int own_vdso(struct code *x)
{
	CLEANUP(cleanup_fd) int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return neg_errno();
	r = mappings_executable(&x->ways, fd, &x->text, find_vdso, &x->vdso);
	if (r < 0 || x->vdso.len == 0)
		return r;
	return digest_of(HASH_SHA256, x->vdso, &x->vdso_digest);
}

static bool is_known(void *arg, uint64_t device, uint64_t inode)
{
	return code_file_find(arg, device, inode) != NULL;
}

static int code_open(struct target *t, struct collector **ret)
{
	CLEANUP(code_freep) struct code *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_code;
	x->target = t;
	x->text = BYTES_INIT(64 * 1024 * 1024);
	x->memory = BYTES_INIT(ANONYMOUS_HASH_MAX);
	r = code_files_new(t, &x->files);
	if (r == 0) {
		x->ways.is_known = is_known;
		x->ways.known_arg = x->files;
	}
	if (r == 0)
		r = hasher_new(HASH_SHA256, &x->hasher);
	if (r == 0)
		r = mapped_new(&x->ways, &x->text, &x->mapped);
	if (r == 0)
		r = code_objects_new(&x->ways, &x->text, x->hasher, &x->objects);
	if (r == 0)
		r = own_vdso(x);
	if (r < 0)
		return r;
	*ret = &TAKE(x)->base;
	return 0;
}

static int on_pages(void *arg, uint64_t start, uint64_t pages)
{
	struct gathering *g = arg;
	Assay__ModifiedText *t;

	if (g->out->n_modified == MODIFIED_MAX) {
		g->why = "more pages of code were changed than are listed";
		return 0;
	}
	t = MI_MESSAGE(g->mi, Assay__ModifiedText, assay__modified_text__init);
	if (!t)
		return -ENOMEM;
	t->start = start;
	t->pages = pages;
	t->file = g->file;
	t->file_offset = g->m->offset + (start - g->m->start);
	return mi_push(g->mi, &g->out->n_modified, &g->out->modified, t);
}

static int scan_pages(struct gathering *g, const struct proc_mapping *m, uint32_t file)
{
	int r;

	if (m->no_copies && (g->x->brief || (m->inode + g->x->turn) % PAGES_NODES != 0))
		return 0;
	g->file = file;
	g->m = m;
	r = mappings_private_pages(&g->x->ways, g->pagemap_fd, m->start, m->end, on_pages, g);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		g->why = "the pages of a process could not be looked at";
	return 0;
}

static int add_mapping(struct gathering *g, const struct proc_mapping *m)
{
	Assay__Mapping *out = MI_MESSAGE(g->mi, Assay__Mapping, assay__mapping__init);
	size_t file;
	int r;

	if (!out)
		return -ENOMEM;
	out->start = m->start;
	out->length = m->end - m->start;
	out->offset = m->offset;
	r = mi_text(g->mi, m->protection, &out->protection);
	if (r == 0)
		r = code_files_of(g->x->files, g->mi, g->proc_fd, m, &file, &g->why);
	if (r < 0)
		return r;
	out->file = code_file_at(g->x->files, file)->file;
	r = mi_push(g->mi, &g->out->n_mappings, &g->out->mappings, out);
	if (r == 0)
		r = code_objects_add(g->x->objects, m, file);
	return r < 0 ? r : scan_pages(g, m, out->file);
}

static bool same_class(struct view vdso)
{
	return vdso.len > EI_CLASS && vdso.data[EI_CLASS] == ELFCLASS64;
}

/* Digest of memory itself. What cannot be read is left without one. */
static int digest_memory(struct gathering *g, const struct proc_mapping *m,
			 Assay__AnonymousCode *out)
{
	struct code_look look = { .mem_fd = g->mem_fd };
	struct code *x = g->x;
	struct digest d;
	struct view v;
	uint8_t *to;
	int r;

	bytes_reset(&x->memory);
	r = bytes_reserve(&x->memory, out->length, &to);
	if (r < 0)
		return r;
	if (code_read(&look, m->start, to, out->length) < 0)
		return 0;
	v = view_of(to, out->length);
	if (view_is(m->name, "[vdso]") && x->vdso.len > 0) {
		if (view_equal(v, x->vdso))
			return mi_bytes(g->mi, digest_view(&x->vdso_digest), &out->sha256);
		out->differs = same_class(v);
	}
	r = hasher_begin(x->hasher);
	if (r == 0)
		r = hasher_add(x->hasher, to, out->length);
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	return r < 0 ? r : mi_bytes(g->mi, digest_view(&d), &out->sha256);
}

static int add_anonymous(struct gathering *g, const struct proc_mapping *m)
{
	Assay__AnonymousCode *out =
		MI_MESSAGE(g->mi, Assay__AnonymousCode, assay__anonymous_code__init);
	char name[128];
	int r;

	if (!out)
		return -ENOMEM;
	out->start = m->start;
	out->length = m->end - m->start;
	snprintf(name, sizeof(name), "%.*s", (int)m->name.len, (const char *)m->name.data);
	r = mi_text(g->mi, m->protection, &out->protection);
	if (r == 0)
		r = mi_text(g->mi, name, &out->name);
	if (r == 0 && out->length <= ANONYMOUS_HASH_MAX)
		r = digest_memory(g, m, out);
	if (r == 0)
		r = mi_push(g->mi, &g->out->n_anonymous, &g->out->anonymous, out);
	if (r == 0)
		r = code_objects_add(g->x->objects, m, CODE_NO_FILE);
	/* The vdso's pages are the kernel's own until somebody writes to them. */
	if (r == 0 && view_is(m->name, "[vdso]"))
		r = scan_pages(g, m, 0);
	return r;
}

static int on_mapping(void *arg, const struct proc_mapping *m)
{
	return m->inode ? add_mapping(arg, m) : add_anonymous(arg, m);
}

static int on_written(void *arg, const struct proc_mapping *m)
{
	struct gathering *g = arg;
	struct code *x = g->x;

	if (x->n_written == WRITTEN_MAX) {
		g->out->objects->error =
			(char *)"more files are mapped to be written than are looked at";
		return 0;
	}
	if (x->n_written == x->room_written) {
		size_t room = x->room_written ? 2 * x->room_written : 64;
		struct written *grown = realloc(x->written, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		x->written = grown;
		x->room_written = room;
	}
	x->written[x->n_written++] = (struct written){ m->device, m->inode, m->start,
						       m->end - m->start, g->out->objects };
	return 0;
}

/* What code lies where is known: looks into the objects that it belongs to. */
static int look_at_objects(struct gathering *g, const struct target_process *p, uint32_t executable)
{
	struct code_look l = { .x = g->x->objects,
			       .mi = g->mi,
			       .files = g->x->files,
			       .proc_fd = g->proc_fd,
			       .mem_fd = g->mem_fd,
			       .pagemap_fd = g->pagemap_fd,
			       .executable = executable };
	int r;

	l.out = MI_MESSAGE(g->mi, Assay__Objects, assay__objects__init);
	if (!l.out)
		return -ENOMEM;
	r = code_objects_look(&l, p->pid, p->start_boottime_ns);
	if (r < 0)
		return r;
	g->out->objects = l.out;
	r = mapped_written(g->x->mapped, p, on_written, g);
	if (r == 0 || r == -ENOMEM)
		return r;
	return mi_text(g->mi, "what it has mapped to be written could not be read", &l.out->error);
}

/* Why the scan of a process ended early, in words. */
static const char *error_text(int r)
{
	if (r == -ESRCH || r == -ENOENT)
		return "the process ended during the scan";
	if (r == -E2BIG)
		return "the process has more executable mappings than are measured";
	return strerror(-r);
}

static int scan_process(struct gathering *g, const struct target_process *p, uint32_t executable)
{
	CLEANUP(cleanup_fd) int pagemap_fd = -1;
	CLEANUP(cleanup_fd) int mem_fd = -1;
	const char *error = NULL;
	int r;

	pagemap_fd = openat(p->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	r = pagemap_fd < 0 ? neg_errno() : 0;
	mem_fd = openat(p->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	if (r == 0 && mem_fd < 0)
		r = neg_errno();
	g->pagemap_fd = pagemap_fd;
	g->mem_fd = mem_fd;
	code_objects_reset(g->x->objects);
	if (r == 0)
		r = mapped_executable(g->x->mapped, p, on_mapping, g);
	if (r == 0 && g->out->n_mappings > 0)
		r = look_at_objects(g, p, executable);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		error = error_text(r);
	else if (g->out->n_mappings == 0)
		error = "the process shows no code";
	if (g->out->objects && *g->out->objects->error)
		g->why = "an object of a process could not be looked at; see code";
	if (!error)
		return 0;
	g->why = "the code of a process could not be read whole; see code";
	return mi_text(g->mi, error, &g->out->error);
}

/* Whether its mappings of files are still those that were looked at. */
struct comparing {
	const Assay__CodeOf *seen;
	size_t n;
	bool same;
};

static int compare_mapping(void *arg, const struct proc_mapping *m)
{
	struct comparing *c = arg;
	const Assay__Mapping *s;

	if (m->inode == 0)
		return 0;
	if (c->n == c->seen->n_mappings) {
		c->same = false;
		return 0;
	}
	s = c->seen->mappings[c->n++];
	c->same = c->same && s->start == m->start && s->length == m->end - m->start &&
		  s->offset == m->offset;
	return 0;
}

static bool still_mapped(struct gathering *g)
{
	struct comparing c = { .seen = g->out, .same = true };

	return mappings_executable(&g->x->ways, g->proc_fd, &g->x->text, compare_mapping, &c) < 0 ||
	       (c.same && c.n == g->out->n_mappings);
}

static bool is_odd(const Assay__CodeOf *out)
{
	const Assay__Objects *o = out->objects;

	return o && (o->n_replaced || o->n_relro || o->n_imports || o->n_links || *o->error);
}

/* Mappings of code that the application made so far; false: nobody tells. */
static bool count_loads(const struct code *x, uint64_t *ret)
{
	const struct target *t = x->target;
	const struct follow_hook *hook =
		t->follow ? follow_hook_named(t->follow, "perf_mmap2") : NULL;
	struct follow_counts c;

	if (!hook || !hook->attached || follow_counts(t->follow, t->slot, &c) < 0)
		return false;
	*ret = c.kinds[FOLLOW_CODE_MAPPED];
	return true;
}

/* The same as of now. */
static bool count_loads_now(const struct code *x, uint64_t *ret)
{
	return (!x->target->follow || follow_drain(x->target->follow) == 0) && count_loads(x, ret);
}

/* A look at a process at which something odd was found, and nothing was mapped. */
struct odd_look {
	Assay__CodeOf *out;
	const char *why;
};

/*
 * Whether a look holds: nothing odd was seen, and no relro for the first time, which all later ones
 * are compared with; or nothing was mapped that the loader may have been at work on. A library of
 * which the loader has not mapped the code yet is not told of, so what is odd stands when that is
 * still so a rest later, whatever is seen then. begun: the loads before the look; told: somebody
 * counts them.
 */
static bool holds(struct gathering *g, bool told, uint64_t begun, struct odd_look *before)
{
	const struct code *x = g->x;
	bool odd = is_odd(g->out) || before->out;
	uint64_t now;

	if (!odd && !code_objects_saw_first(x->objects))
		return true;
	if (!still_mapped(g) ||
	    (told && (!count_loads_now(x, &now) || now != (odd ? x->loads : begun)))) {
		before->out = NULL;
		return false;
	}
	if (before->out && g->out->objects && !is_odd(g->out)) {
		/* The struct stays: the list of what is written knows it. */
		*g->out->objects = *before->out->objects;
		g->why = before->why;
	}
	if (before->out)
		return true;
	*before = (struct odd_look){ odd ? g->out : NULL, g->why };
	return !odd;
}

/*
 * Libraries come and go while a process is looked at, and one that is loaded anew at its old place
 * is not as it was until the loader is done. So what is odd where something was loaded or unloaded
 * since the node before, and what is new where that was so during the look, is looked at again;
 * odd things stand if they stay.
 */
static int look_until_it_holds(struct gathering *g, const struct target_process *p,
			       uint32_t executable)
{
	static const struct timespec rest = { .tv_nsec = REST_NS };
	size_t written = g->x->n_written;
	struct odd_look before = { 0 };
	const char *why = g->why;
	int r;

	for (int tries = 0;; tries++) {
		uint64_t begun = 0;
		bool told = count_loads_now(g->x, &begun);

		g->x->n_written = written;
		g->why = why;
		g->out = MI_MESSAGE(g->mi, Assay__CodeOf, assay__code_of__init);
		if (!g->out)
			return -ENOMEM;
		g->out->pid = (uint32_t)p->pid;
		r = scan_process(g, p, executable);
		if (r < 0 || holds(g, told, begun, &before))
			return r;
		r = code_objects_again(g->x->objects, p->pid);
		if (r < 0 || tries == LOOKS_AGAIN || g->x->looks_left == 0)
			return r;
		g->x->looks_left--;
		nanosleep(&rest, NULL);
		mapped_forget(g->x->mapped, p);
	}
}

static int collect_process(struct code *x, struct mi *mi, size_t i, Assay__Code *code,
			   const char **why)
{
	const struct target_process *p = &x->target->processes[i];
	struct gathering g = { .x = x, .mi = mi, .proc_fd = p->proc_fd, .why = *why };
	int r;

	r = look_until_it_holds(&g, p, target_detail(x->target, i)->executable);
	if (r < 0)
		return r;
	/* Half of it is no measurement; that it ended the events tell. */
	if ((*g.out->error || (g.out->objects && *g.out->objects->error)) &&
	    target_process_ended(p))
		return 0;
	*why = g.why;
	return mi_push(mi, &code->n_processes, &code->processes, g.out);
}

/* Files that one process can write to while another, or the same, has them as code. */
static int add_aliases(struct code *x, struct mi *mi)
{
	int r = 0;

	for (size_t i = 0; i < x->n_written && r == 0; i++) {
		const struct written *w = &x->written[i];
		const struct code_file *f = code_file_find(x->files, w->device, w->inode);
		Assay__WritableAlias *a;

		if (!f)
			continue;
		if (w->out->n_aliases == CODE_LISTED_MAX) {
			w->out->uncounted++;
			continue;
		}
		a = MI_MESSAGE(mi, Assay__WritableAlias, assay__writable_alias__init);
		if (!a)
			return -ENOMEM;
		a->start = w->start;
		a->length = w->length;
		a->file = f->file;
		r = mi_push(mi, &w->out->n_aliases, &w->out->aliases, a);
	}
	return r;
}

/* Until the next node a change of what is mapped now is an event. */
static int watch_mapped(const struct code *x)
{
	size_t n = code_files_count(x->files);
	struct target_file *files;
	int r;

	if (!x->target->watch)
		return 0;
	files = calloc(n + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct code_file *f = code_file_at(x->files, i);

		files[i] = (struct target_file){ f->device, f->inode };
	}
	r = x->target->watch(x->target, TARGET_FILES_MAPPED, files, n);
	free(files);
	return r;
}

static int code_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct code *x = (struct code *)c;
	Assay__Code *out = MI_MESSAGE(mi, Assay__Code, assay__code__init);
	const char *why = NULL;
	int r = 0;

	if (!out)
		return -ENOMEM;
	mi->msg->code = out;
	x->n_written = 0;
	x->looks_left = LOOKS_AGAIN_NODE;
	x->turn += !time->brief;
	x->brief = time->brief;
	code_files_begin(x->files, time->brief);
	code_objects_begin(x->objects, time->boottime_ns);
	r = mapped_pass(x->mapped, x->target);
	for (size_t i = 0; i < x->target->n_processes && r == 0; i++)
		r = collect_process(x, mi, i, out, &why);
	if (r == 0)
		r = add_aliases(x, mi);
	if (r == 0)
		r = watch_mapped(x);
	if (r < 0)
		return r;
	(void)count_loads(x, &x->loads);
	code_objects_end(x->objects);
	r = code_files_end(x->files);
	if (r < 0)
		return r;
	if (!x->target->scan_complete && !why)
		why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void code_close(struct collector *c)
{
	struct code *x = (struct code *)c;

	if (!x)
		return;
	code_files_free(x->files);
	code_objects_free(x->objects);
	mapped_free(x->mapped);
	hasher_free(x->hasher);
	bytes_done(&x->text);
	bytes_done(&x->memory);
	free(x->written);
	free(x);
}

const struct collector_ops collector_code = {
	.name = "code",
	.item = 8,
	.open = code_open,
	.collect = code_collect,
	.close = code_close,
};
