/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "collectors/code_state.h"
#include "collectors/target_state.h"

/*
 * Files that code is mapped from: named, hashed, and taken apart where they are ELF. Nothing is
 * asked of a file system that a program or another machine answers for: it may answer each
 * reader differently, late, or never.
 */

/* A file that looks untouched is read again all the same, once in so many nodes. */
#define FRESH_NODES 64
/* The same for one that the kernel would have told of: there are bugs that write and tell nobody.
 */
#define WATCHED_NODES 1024
/* One that the kernel tells of and that kept its name is looked at by name in so many nodes. */
#define STAT_NODES 16
/* ELF objects that are kept, and symbols of all of them. */
#define OBJECTS_MAX 1024
#define SYMBOLS_MAX (8U << 20)
/* An object that no process has loaded for so many nodes is forgotten. */
#define OBJECT_NODES 16
/* File systems whose type is kept. */
#define SYSTEMS_MAX 256

static const char *const remote_types[] = { "fuse", "fuseblk",	"nfs",	    "nfs4", "cifs",
					    "smb3", "9p",	"virtiofs", "ceph", "afs",
					    "coda", "orangefs", "lustre",   "gfs2", "ocfs2" };

/* A file system, by its device. */
struct system {
	uint64_t device;
	char type[32];
	bool remote, unknown;
};

/* An ELF file taken apart, by its content. */
struct object {
	uint8_t sha256[32];
	struct elf_object *object; /* NULL: it is none that could be */
	uint64_t node;
};

struct code_files {
	struct target *target;
	struct file_digest_cache *digests;
	struct code_file *files;
	size_t n, room;
	struct code_file *before; /* of the node before, in order of device and inode */
	size_t n_before, room_before;
	uint32_t *index; /* positions in files by hash, plus 1; 0: free */
	size_t room_index;
	struct object *objects;
	size_t n_objects;
	size_t n_symbols;
	struct system systems[SYSTEMS_MAX];
	size_t n_systems;
	struct bytes text;
	uint64_t shm_device; /* of memory that has no file system: memfd, SysV */
	uint64_t node, page;
	uint64_t turn; /* nodes that were not brief */
	bool brief;
};

CLEANUP_FUNCTION(struct code_files *, code_files_free)

int code_files_new(struct target *t, struct code_files **ret)
{
	CLEANUP(code_files_freep) struct code_files *f = calloc(1, sizeof(*f));
	CLEANUP(cleanup_fd) int memory = -1;
	struct stat st;
	int r;

	if (!f)
		return -ENOMEM;
	f->target = t;
	f->text = BYTES_INIT(16 * 1024 * 1024);
	f->page = (uint64_t)sysconf(_SC_PAGESIZE);
	f->objects = calloc(OBJECTS_MAX, sizeof(*f->objects));
	if (!f->objects)
		return -ENOMEM;
	r = file_digest_cache_new(&f->digests);
	if (r < 0)
		return r;
	memory = memfd_create("assay", MFD_CLOEXEC);
	if (memory >= 0 && fstat(memory, &st) == 0)
		f->shm_device = st.st_dev;
	*ret = TAKE(f);
	return 0;
}

static void forget_names(struct code_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(files[i].name);
		files[i].name = NULL;
	}
}

void code_files_free(struct code_files *f)
{
	if (!f)
		return;
	for (size_t i = 0; f->objects && i < f->n_objects; i++)
		elf_object_free(f->objects[i].object);
	free(f->objects);
	file_digest_cache_free(f->digests);
	bytes_done(&f->text);
	forget_names(f->files, f->n);
	forget_names(f->before, f->n_before);
	free(f->files);
	free(f->before);
	free(f->index);
	free(f);
}

static void forget_objects(struct code_files *f)
{
	for (size_t i = f->n_objects; i > 0; i--) {
		struct object *o = &f->objects[i - 1];

		if (f->node - o->node <= OBJECT_NODES)
			continue;
		if (o->object)
			f->n_symbols -= o->object->n_symbols;
		elf_object_free(o->object);
		*o = f->objects[--f->n_objects];
	}
}

size_t code_files_count(const struct code_files *f)
{
	return f->n;
}

void code_files_begin(struct code_files *f, bool brief)
{
	f->node++;
	f->turn += !brief;
	f->brief = brief;
	forget_names(f->files, f->n);
	f->n = 0;
	if (f->index)
		memset(f->index, 0, f->room_index * sizeof(*f->index));
	/* What is mounted may have changed. */
	f->n_systems = 0;
	forget_objects(f);
}

const struct code_file *code_file_at(const struct code_files *f, size_t i)
{
	return &f->files[i];
}

static uint32_t *index_place(const struct code_files *f, uint64_t device, uint64_t inode)
{
	uint64_t h = (inode ^ device << 32 ^ device >> 32) * 0x9e3779b97f4a7c15ULL;

	for (size_t i = (size_t)(h >> 32);; i++) {
		uint32_t *place = &f->index[i & (f->room_index - 1)];

		if (*place == 0 ||
		    (f->files[*place - 1].inode == inode && f->files[*place - 1].device == device))
			return place;
	}
}

const struct code_file *code_file_find(const struct code_files *f, uint64_t device, uint64_t inode)
{
	uint32_t *place = f->room_index ? index_place(f, device, inode) : NULL;

	return place && *place ? &f->files[*place - 1] : NULL;
}

static int index_grow(struct code_files *f)
{
	size_t room = f->room ? 2 * f->room : 64;
	struct code_file *files = realloc(f->files, room * sizeof(*files));
	uint32_t *index;

	if (!files)
		return -ENOMEM;
	f->files = files;
	index = calloc(2 * room, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(f->index);
	f->index = index;
	f->room_index = 2 * room;
	f->room = room;
	for (size_t i = 0; i < f->n; i++)
		*index_place(f, files[i].device, files[i].inode) = (uint32_t)i + 1;
	return 0;
}

/* The type in a line of mountinfo (proc(5)), if it is of that device. */
static bool mount_type(struct view line, uint64_t device, char *ret, size_t size)
{
	struct view field = { 0 };
	unsigned int major, minor;
	bool ours = false;
	char text[32];

	for (size_t i = 0; proc_piece(&line, ' ', &field); i++) {
		if (i == 2) {
			snprintf(text, sizeof(text), "%.*s", (int)field.len,
				 (const char *)field.data);
			ours = sscanf(text, "%u:%u", &major, &minor) == 2 &&
			       makedev(major, minor) == device;
		}
		if (view_is(field, "-"))
			break;
	}
	if (!ours || !proc_piece(&line, ' ', &field))
		return false;
	snprintf(ret, size, "%.*s", (int)field.len, (const char *)field.data);
	return true;
}

static void name_system(struct code_files *f, int proc_fd, struct system *s)
{
	struct view rest, line;

	if (s->device == f->shm_device) {
		snprintf(s->type, sizeof(s->type), "memory");
		return;
	}
	s->unknown = target_read(proc_fd, "mountinfo", &f->text) < 0;
	rest = bytes_view(&f->text);
	while (!s->unknown && proc_piece(&rest, '\n', &line)) {
		if (mount_type(line, s->device, s->type, sizeof(s->type)))
			break;
	}
	for (size_t i = 0; i < ARRAY_LEN(remote_types); i++)
		s->remote |= strcmp(s->type, remote_types[i]) == 0;
	s->remote |= strncmp(s->type, "fuse.", 5) == 0;
	/* Not mounted where the process sees it: behind a disk there is no program that answers. */
	s->unknown = s->type[0] == '\0' && major(s->device) == 0;
}

/* Which file system that is, without asking it anything. */
static struct system system_of(struct code_files *f, int proc_fd, uint64_t device)
{
	struct system s = { .device = device };

	for (size_t i = 0; i < f->n_systems; i++) {
		if (f->systems[i].device == device)
			return f->systems[i];
	}
	name_system(f, proc_fd, &s);
	if (f->n_systems < SYSTEMS_MAX)
		f->systems[f->n_systems++] = s;
	return s;
}

/* The object of that content, if it was taken apart before. */
static struct object *object_known(struct code_files *f, const struct digest *d)
{
	for (size_t i = 0; i < f->n_objects; i++) {
		struct object *o = &f->objects[i];

		if (memcmp(o->sha256, d->bytes, sizeof(o->sha256)) == 0) {
			o->node = f->node;
			return o;
		}
	}
	return NULL;
}

/* Takes the file behind fd apart, unless that was done with the same content before. */
static int object_of(struct code_files *f, int fd, const struct digest *d,
		     const struct elf_object **ret, const char **why)
{
	struct object *o = object_known(f, d);
	int r;

	if (o) {
		*ret = o->object;
		return 0;
	}
	if (f->n_objects == OBJECTS_MAX || f->n_symbols > SYMBOLS_MAX) {
		*why = "more ELF files are mapped than are taken apart";
		return 0;
	}
	o = &f->objects[f->n_objects];
	*o = (struct object){ .node = f->node };
	memcpy(o->sha256, d->bytes, sizeof(o->sha256));
	r = elf_object_read(fd, f->page, &o->object);
	if (r == -ENOMEM)
		return r;
	/* What is no ELF file of ours has no slots: its bytes are what is judged. */
	if (r < 0 && r != -ENOEXEC)
		*why = r == -E2BIG ? "an ELF file is larger than can be taken apart"
				   : "code of another kind of processor is not looked into";
	f->n_symbols += o->object ? o->object->n_symbols : 0;
	f->n_objects++;
	*ret = o->object;
	return 0;
}

/* Hashes the file behind the link; says in file->error why not. */
static int digest_file(struct code_files *f, struct mi *mi, int proc_fd, const char *link,
		       bool fresh, Assay__File *file, const struct elf_object **ret_object,
		       const char **why)
{
	CLEANUP(cleanup_fd) int fd = openat(proc_fd, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct digest d;
	int r;

	r = fd < 0 ? neg_errno() : file_digest_by_fd(f->digests, fd, fresh, &d, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		*why = "a mapped file could not be hashed; see files";
		return mi_text(mi, r == -ESTALE ? "it changed while it was read" : strerror(-r),
			       &file->error);
	}
	r = object_of(f, fd, &d, ret_object, why);
	return r < 0 ? r : mi_bytes(mi, digest_view(&d), &file->sha256);
}

/*
 * A way to the mapped file below /proc/PID: the mapping's own link, which leads to that very
 * file, or its path as the process sees it if that still is the file. Looked at before it
 * is opened: opening a device does something.
 */
static bool find_link(int proc_fd, const struct proc_mapping *m, const char *name, char *link,
		      size_t size, struct stat *ret)
{
	snprintf(link, size, "map_files/%lx-%lx", m->start, m->end);
	if (fstatat(proc_fd, link, ret, 0) == 0)
		return true;
	snprintf(link, size, "root%s", name);
	return name[0] == '/' && fstatat(proc_fd, link, ret, 0) == 0 && ret->st_ino == m->inode &&
	       ret->st_dev == m->device;
}

/* An entry for a file that nothing may be asked of. */
static int file_unasked(struct mi *mi, const struct proc_mapping *m, const char *name,
			const struct system *s, uint32_t *ret, const char **why)
{
	Assay__File *file;
	int r;

	*why = "a mapped file is on a file system that is not asked; see files";
	r = mi_file(mi, m->device, m->inode, name, ret, &file);
	if (r < 0 || *file->error)
		return r;
	file->remote = true;
	r = mi_text(mi, s->type, &file->filesystem);
	if (r < 0)
		return r;
	return mi_printf(mi, &file->error, "not read: %s%s",
			 s->unknown ? "its file system is not mounted where the process sees it"
				    : "its file system may answer each reader differently, ",
			 s->type);
}

static int by_identity(const void *a, const void *b)
{
	const struct code_file *left = a, *right = b;

	if (left->device != right->device)
		return left->device < right->device ? -1 : 1;
	return left->inode < right->inode ? -1 : left->inode > right->inode;
}

static const struct code_file *file_before(const struct code_files *f, const struct code_file *file)
{
	return f->n_before ? bsearch(file, f->before, f->n_before, sizeof(*file), by_identity)
			   : NULL;
}

/* By turns, so that no node pays for all. */
static bool is_its_turn(const struct code_files *f, const struct code_file *file, uint64_t nodes)
{
	return !f->brief && (file->inode + f->turn) % nodes == 0;
}

/* Whether the file has to be read though it looks as before. Asks before it is read. */
static bool is_due(const struct code_files *f, struct code_file *file)
{
	struct follow_file key = follow_file_of(file->device, file->inode);
	const struct code_file *before = file_before(f, file);

	file->watched = f->target->follow &&
			follow_file_changes(f->target->follow, &key, &file->changes) == 0;
	if (!file->watched || !before || !before->watched)
		return is_its_turn(f, file, FRESH_NODES);
	return file->changes != before->changes || is_its_turn(f, file, WATCHED_NODES);
}

int code_files_end(struct code_files *f)
{
	if (f->n > f->room_before) {
		struct code_file *grown = realloc(f->before, f->room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->before = grown;
		f->room_before = f->room;
	}
	forget_names(f->before, f->n_before);
	if (f->n > 0)
		memcpy(f->before, f->files, f->n * sizeof(*f->before));
	f->n_before = f->n;
	f->n = 0; /* the names are before's now */
	if (f->n_before > 1)
		qsort(f->before, f->n_before, sizeof(*f->before), by_identity);
	return 0;
}

/*
 * The file of the node before under its name, of which the kernel has told no change since; it
 * would have told of a stamp's. NULL: it has to be asked.
 */
static const struct code_file *as_before(const struct code_files *f, const struct code_file *file,
					 const char *name)
{
	const struct code_file *before = file_before(f, file);

	if (!before || !before->name || !file->watched || !before->watched ||
	    file->changes != before->changes || is_its_turn(f, file, STAT_NODES))
		return NULL;
	return strcmp(before->name, name) == 0 ? before : NULL;
}

/* Keeps what as_before goes by; without memory for it the next node asks. */
static void keep_file(struct code_file *file, const char *name, const struct stat *st, bool deleted,
		      const Assay__File *out)
{
	if (!file->watched || out->sha256.len != sizeof(file->sha256))
		return;
	file->name = strdup(name);
	file->stat_device = st->st_dev;
	file->stat_inode = st->st_ino;
	file->size = (uint64_t)st->st_size;
	file->deleted = deleted;
	memcpy(file->sha256, out->sha256.data, sizeof(file->sha256));
}

static int file_asked(struct code_files *f, struct mi *mi, int proc_fd,
		      const struct proc_mapping *m, char *name, const struct system *s,
		      struct code_file *ret, const char **why)
{
	char link[PATH_MAX + 32], shown[PATH_MAX + 16];
	const struct code_file *before;
	const struct object *known = NULL;
	Assay__File *file;
	struct digest d;
	struct stat st;
	bool gone, fresh;
	int r;

	snprintf(shown, sizeof(shown), "%s", name);
	fresh = is_due(f, ret);
	before = fresh ? NULL : as_before(f, ret, name);
	if (before &&
	    digest_from(HASH_SHA256, view_of(before->sha256, sizeof(before->sha256)), &d) == 0)
		known = object_known(f, &d);
	if (known) {
		st = (struct stat){ .st_dev = before->stat_device,
				    .st_ino = before->stat_inode,
				    .st_size = (off_t)before->size,
				    .st_mode = S_IFREG };
		gone = before->deleted;
		if (gone)
			name[strlen(name) - strlen(" (deleted)")] = '\0';
	} else {
		if (!find_link(proc_fd, m, name, link, sizeof(link), &st)) {
			*why = "a mapped file could not be looked at";
			st = (struct stat){ .st_dev = m->device, .st_ino = m->inode };
		}
		gone = target_path_deleted(proc_fd, name, &st);
	}
	r = mi_file(mi, st.st_dev, st.st_ino, name, &ret->file, &file);
	if (r < 0)
		return r;
	file->size = (uint64_t)st.st_size;
	file->deleted = gone;
	file->regular_fs = s->device != f->shm_device && strcmp(s->type, "hugetlbfs") != 0;
	if (*file->filesystem == '\0')
		r = mi_text(mi, s->type, &file->filesystem);
	if (r < 0)
		return r;
	if (*file->error)
		return 0;
	if (!known && !fresh && file_digest_known(f->digests, &st, &d))
		known = object_known(f, &d);
	if (known) {
		ret->object = known->object;
		r = mi_bytes(mi, digest_view(&d), &file->sha256);
	} else if (S_ISREG(st.st_mode)) {
		r = digest_file(f, mi, proc_fd, link, fresh, file, &ret->object, why);
	} else {
		return mi_text(mi, "not a regular file", &file->error);
	}
	if (r == 0)
		keep_file(ret, shown, &st, gone, file);
	return r;
}

int code_files_of(struct code_files *f, struct mi *mi, int proc_fd, const struct proc_mapping *m,
		  size_t *ret, const char **why)
{
	struct code_file file = { .device = m->device, .inode = m->inode };
	const struct code_file *found = code_file_find(f, m->device, m->inode);
	char name[PATH_MAX + 16];
	struct system s;
	int r;

	if (found) {
		*ret = (size_t)(found - f->files);
		return 0;
	}
	snprintf(name, sizeof(name), "%.*s", (int)m->name.len, (const char *)m->name.data);
	s = system_of(f, proc_fd, m->device);
	if (s.remote || s.unknown)
		r = file_unasked(mi, m, name, &s, &file.file, why);
	else
		r = file_asked(f, mi, proc_fd, m, name, &s, &file, why);
	if (r == 0 && f->n == f->room)
		r = index_grow(f);
	if (r < 0) {
		free(file.name);
		return r;
	}
	*index_place(f, m->device, m->inode) = (uint32_t)f->n + 1;
	f->files[f->n] = file;
	*ret = f->n++;
	return 0;
}
