/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cleanup.h"
#include "collectors/file_digest.h"
#include "collectors/mappings.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 8: all executable memory of every process. What is a file's, by the digest of
 * that very file; what is not, by place and digest; and pages of a file's that are no longer
 * the file's, because a store to them made a private copy.
 */

/* Anonymous code up to this size is hashed; a JIT's heap changes all the time anyway. */
#define ANONYMOUS_HASH_MAX (256 * 1024)
/* Runs of changed pages of one process that are listed. */
#define MODIFIED_MAX 256
/* A file that looks untouched is read again all the same, once in so many nodes. */
#define FRESH_NODES 64

/* A mapped file of this node. */
struct mapped {
	uint64_t device, inode; /* as the mapping tells, which is not always what stat does */
	uint32_t file;		/* index into Mi.files */
};

struct code {
	struct collector base;
	struct target *target;
	struct file_digest_cache *digests;
	struct hasher *hasher;
	struct mappings_ways ways;
	struct bytes text;
	struct mapped *mapped;
	size_t n_mapped, room;
	uint64_t shm_device; /* of memory that has no file system: memfd, SysV */
	uint64_t nodes;
};

/* One process under way. */
struct gathering {
	struct code *x;
	struct mi *mi;
	int proc_fd, pagemap_fd;
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

static int code_open(struct target *t, struct collector **ret)
{
	CLEANUP(code_freep) struct code *x = calloc(1, sizeof(*x));
	CLEANUP(cleanup_fd) int memory = -1;
	struct stat st;
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_code;
	x->target = t;
	x->text = BYTES_INIT(64 * 1024 * 1024);
	r = file_digest_cache_new(&x->digests);
	if (r == 0)
		r = hasher_new(HASH_SHA256, &x->hasher);
	if (r < 0)
		return r;
	memory = memfd_create("assay", MFD_CLOEXEC);
	if (memory >= 0 && fstat(memory, &st) == 0)
		x->shm_device = st.st_dev;
	*ret = &TAKE(x)->base;
	return 0;
}

/* Hashes the file behind the link; says in file->error why not. */
static int digest_file(struct gathering *g, const char *link, bool fresh, Assay__File *file)
{
	CLEANUP(cleanup_fd) int fd = openat(g->proc_fd, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct digest d;
	struct statfs fs;
	int r;

	r = fd < 0 ? neg_errno() : file_digest_by_fd(g->x->digests, fd, fresh, &d, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		g->why = "a mapped file could not be hashed; see files";
		return mi_text(g->mi, r == -ESTALE ? "it changed while it was read" : strerror(-r),
			       &file->error);
	}
	file->regular_fs = file->device != g->x->shm_device && fstatfs(fd, &fs) == 0 &&
			   fs.f_type != HUGETLBFS_MAGIC;
	return mi_bytes(g->mi, digest_view(&d), &file->sha256);
}

/*
 * A way to the mapped file below /proc/PID: the mapping's own link, which leads to that very
 * file, or its path as the process sees it if that still is the file. Looked at before it
 * is opened: opening a device does something.
 */
static bool find_link(const struct gathering *g, const struct proc_mapping *m, const char *name,
		      char *link, size_t size, struct stat *ret)
{
	snprintf(link, size, "map_files/%lx-%lx", m->start, m->end);
	if (fstatat(g->proc_fd, link, ret, 0) == 0)
		return true;
	snprintf(link, size, "root%s", name);
	return name[0] == '/' && fstatat(g->proc_fd, link, ret, 0) == 0 &&
	       ret->st_ino == m->inode && ret->st_dev == m->device;
}

/* The entry in Mi.files of the mapped file, hashed once a node however often it is mapped. */
static int file_of(struct gathering *g, const struct proc_mapping *m, uint32_t *ret)
{
	struct code *x = g->x;
	char link[PATH_MAX + 32], name[PATH_MAX + 16];
	Assay__File *file;
	struct stat st;
	bool fresh, gone;
	int r;

	for (size_t i = 0; i < x->n_mapped; i++) {
		if (x->mapped[i].inode == m->inode && x->mapped[i].device == m->device) {
			*ret = x->mapped[i].file;
			return 0;
		}
	}
	snprintf(name, sizeof(name), "%.*s", (int)m->name.len, (const char *)m->name.data);
	if (!find_link(g, m, name, link, sizeof(link), &st)) {
		g->why = "a mapped file could not be looked at";
		st = (struct stat){ .st_dev = m->device, .st_ino = m->inode };
	}
	gone = target_path_deleted(g->proc_fd, name, &st);
	r = mi_file(g->mi, st.st_dev, st.st_ino, name, ret, &file);
	if (r < 0)
		return r;
	file->size = (uint64_t)st.st_size;
	file->deleted = gone;
	/* By turns, so that no node pays for all. */
	fresh = (st.st_ino + x->nodes) % FRESH_NODES == 0;
	if (file->sha256.len == 0 && *file->error == '\0') {
		if (S_ISREG(st.st_mode))
			r = digest_file(g, link, fresh, file);
		else
			r = mi_text(g->mi, "not a regular file", &file->error);
	}
	if (r < 0)
		return r;
	if (x->n_mapped == x->room) {
		size_t room = x->room ? 2 * x->room : 64;
		struct mapped *grown = realloc(x->mapped, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		x->mapped = grown;
		x->room = room;
	}
	x->mapped[x->n_mapped++] = (struct mapped){ m->device, m->inode, *ret };
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
	int r;

	if (!out)
		return -ENOMEM;
	out->start = m->start;
	out->length = m->end - m->start;
	out->offset = m->offset;
	r = mi_text(g->mi, m->protection, &out->protection);
	if (r == 0)
		r = file_of(g, m, &out->file);
	if (r == 0)
		r = mi_push(g->mi, &g->out->n_mappings, &g->out->mappings, out);
	return r < 0 ? r : scan_pages(g, m, out->file);
}

/* Digest of memory itself. What cannot be read is left without one. */
static int digest_memory(struct gathering *g, const struct proc_mapping *m,
			 ProtobufCBinaryData *ret)
{
	CLEANUP(cleanup_fd) int fd = openat(g->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	uint8_t chunk[16 * 1024];
	struct digest d;
	int r;

	if (fd < 0)
		return 0;
	r = hasher_begin(g->x->hasher);
	for (uint64_t at = m->start; at < m->end && r == 0;) {
		size_t want = m->end - at < sizeof(chunk) ? m->end - at : sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, (off_t)at);

		if (n <= 0)
			return 0;
		r = hasher_add(g->x->hasher, chunk, (size_t)n);
		at += (uint64_t)n;
	}
	if (r == 0)
		r = hasher_end(g->x->hasher, &d);
	return r < 0 ? r : mi_bytes(g->mi, digest_view(&d), ret);
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
		r = digest_memory(g, m, &out->sha256);
	if (r == 0)
		r = mi_push(g->mi, &g->out->n_anonymous, &g->out->anonymous, out);
	/* The vdso's pages are the kernel's own until somebody writes to them. */
	if (r == 0 && view_is(m->name, "[vdso]"))
		r = scan_pages(g, m, 0);
	return r;
}

static int on_mapping(void *arg, const struct proc_mapping *m)
{
	return m->inode ? add_mapping(arg, m) : add_anonymous(arg, m);
}

static int collect_process(struct code *x, struct mi *mi, const struct target_process *p,
			   Assay__Code *code, const char **why)
{
	CLEANUP(cleanup_fd) int pagemap_fd = -1;
	struct gathering g = { .x = x, .mi = mi, .proc_fd = p->proc_fd, .why = *why };
	const char *error = NULL;
	int r;

	g.out = MI_MESSAGE(mi, Assay__CodeOf, assay__code_of__init);
	if (!g.out)
		return -ENOMEM;
	g.out->pid = (uint32_t)p->pid;
	pagemap_fd = openat(p->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	g.pagemap_fd = pagemap_fd;
	r = pagemap_fd < 0 ? neg_errno()
			   : mappings_executable(&x->ways, p->proc_fd, &x->text, on_mapping, &g);
	if (r == -ENOMEM)
		return r;
	if (r == -ESRCH || r == -ENOENT)
		error = "the process ended during the scan";
	else if (r < 0)
		error = strerror(-r);
	else if (g.out->n_mappings == 0)
		error = "the process shows no code";
	*why = g.why;
	if (error) {
		*why = "the code of a process could not be read whole; see code";
		r = mi_text(mi, error, &g.out->error);
		if (r < 0)
			return r;
	}
	return mi_push(mi, &code->n_processes, &code->processes, g.out);
}

static int code_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct code *x = (struct code *)c;
	Assay__Code *out = MI_MESSAGE(mi, Assay__Code, assay__code__init);
	const char *why = NULL;
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->code = out;
	x->n_mapped = 0;
	x->nodes++;
	for (size_t i = 0; i < x->target->n_processes; i++) {
		r = collect_process(x, mi, &x->target->processes[i], out, &why);
		if (r < 0)
			return r;
	}
	if (!x->target->scan_complete && !why)
		why = "processes came or went during the scan";
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
	file_digest_cache_free(x->digests);
	hasher_free(x->hasher);
	bytes_done(&x->text);
	free(x->mapped);
	free(x);
}

const struct collector_ops collector_code = {
	.name = "code",
	.item = 8,
	.open = code_open,
	.collect = code_collect,
	.close = code_close,
};
