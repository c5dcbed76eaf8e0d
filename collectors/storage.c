/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "collectors/descriptors.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/* MI item 4: the file systems and trees it was configured with, and what it writes. */

/* Entries of one tree that are looked at; past them the tree is said to be incomplete. */
#define TREE_ENTRIES_MAX 10000
#define TREE_DEPTH_MAX	 64
/* A tree of more entries than these is gone through again only after so long. */
#define TREE_CHEAP	 200
#define TREE_INTERVAL_NS (30ULL * 1000000000)
/* Most files open for writing that are listed; more are counted. */
#define WRITES_MAX 256

struct tree {
	uint64_t bytes, files, entries;
	uint64_t at_ns; /* when it was gone through; 0: never */
	bool complete;
};

/* What a process had read and written when last seen. */
struct io_of {
	pid_t pid, parent;
	uint64_t start_boottime_ns, read, written;
};

struct storage {
	struct collector base;
	struct target *target;
	struct tree *trees; /* one for each configured path */
	struct io_of *io;   /* in order of pid */
	size_t n_io;
	uint64_t ended_read, ended_written; /* by processes that nobody of it waited for */
	uint64_t last_read, last_written;
	uint64_t run;
};

struct gathering {
	struct storage *x;
	struct mi *mi;
	Assay__Storage *out;
};

/* linux/magic.h and friends; the ones a server's data lives on. */
static const struct {
	unsigned long magic;
	const char *name;
} types[] = {
	{ 0xef53, "ext" },	    { 0x58465342, "xfs" },	{ 0x9123683e, "btrfs" },
	{ 0x01021994, "tmpfs" },    { 0x794c7630, "overlay" },	{ 0xf2f52010, "f2fs" },
	{ 0x6969, "nfs" },	    { 0x65735546, "fuse" },	{ 0x2fc12fc1, "zfs" },
	{ 0x858458f6, "ramfs" },    { 0x73717368, "squashfs" }, { 0xe0f5e1e2, "erofs" },
	{ 0xff534d42, "cifs" },	    { 0x4d44, "vfat" },		{ 0x01021997, "9p" },
	{ 0x6a656a63, "virtiofs" }, { 0x9fa0, "proc" },		{ 0x62656572, "sysfs" },
};

static int storage_open(struct target *t, struct collector **ret)
{
	struct storage *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_storage;
	x->target = t;
	x->trees = calloc(t->config->n_storage + 1, sizeof(*x->trees));
	if (!x->trees) {
		free(x);
		return -ENOMEM;
	}
	*ret = &x->base;
	return 0;
}

static void walk(int parent_fd, const char *name, dev_t device, int depth, struct tree *tree)
{
	DIR *dir;
	int fd;

	/* A configured path may itself be a link; nothing below it is followed. */
	fd = openat(parent_fd, name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0));
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		tree->complete = tree->complete && errno == ENOENT;
		return;
	}
	for (const struct dirent *e; (e = readdir(dir));) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (tree->entries == TREE_ENTRIES_MAX) {
			tree->complete = false;
			break;
		}
		tree->entries++;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* removed meanwhile */
		if (S_ISDIR(st.st_mode) && st.st_dev == device) {
			if (depth == TREE_DEPTH_MAX)
				tree->complete = false;
			else
				walk(fd, e->d_name, device, depth + 1, tree);
		} else if (S_ISREG(st.st_mode)) {
			tree->files++;
			tree->bytes += (uint64_t)st.st_blocks * 512;
		}
	}
	closedir(dir);
}

static void measure_tree(const char *path, uint64_t now_ns, struct tree *tree)
{
	struct stat st;

	if (tree->at_ns != 0 && tree->entries > TREE_CHEAP &&
	    now_ns - tree->at_ns < TREE_INTERVAL_NS)
		return;
	*tree = (struct tree){ .at_ns = now_ns, .complete = true };
	if (stat(path, &st) < 0) {
		tree->complete = false;
	} else if (S_ISDIR(st.st_mode)) {
		walk(AT_FDCWD, path, st.st_dev, 0, tree);
	} else if (S_ISREG(st.st_mode)) {
		tree->entries = tree->files = 1;
		tree->bytes = (uint64_t)st.st_blocks * 512;
	}
}

static int add_filesystem(struct gathering *g, const char *path, struct tree *tree, uint64_t now_ns,
			  bool *missing)
{
	Assay__Filesystem *f = MI_MESSAGE(g->mi, Assay__Filesystem, assay__filesystem__init);
	struct statvfs vfs;
	struct statfs fs;
	int r;

	if (!f)
		return -ENOMEM;
	r = mi_text(g->mi, path, &f->path);
	if (r < 0)
		return r;
	if (statvfs(path, &vfs) < 0 || statfs(path, &fs) < 0) {
		*missing = true; /* said in the status; the entry shows that nothing is there */
	} else {
		f->used_bytes = (uint64_t)(vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize;
		f->available_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
		for (size_t i = 0; i < ARRAY_LEN(types) && *f->type == '\0'; i++) {
			if (types[i].magic == (unsigned long)fs.f_type)
				r = mi_text(g->mi, types[i].name, &f->type);
		}
		if (r == 0 && *f->type == '\0')
			r = mi_printf(g->mi, &f->type, "%#lx", (unsigned long)fs.f_type);
		if (r < 0)
			return r;
		measure_tree(path, now_ns, tree);
		f->tree_bytes = tree->bytes;
		f->tree_files = tree->files;
		f->tree_complete = tree->complete;
	}
	return mi_push(g->mi, &g->out->n_filesystems, &g->out->filesystems, f);
}

static int add_write(struct gathering *g, uint32_t pid, const char *path)
{
	Assay__OpenForWriting *w;
	int r;

	if (g->out->n_writes == WRITES_MAX) {
		g->out->writes_uncounted++;
		return 0;
	}
	for (size_t i = g->out->n_writes; i > 0 && g->out->writes[i - 1]->pid == pid; i--) {
		if (strcmp(g->out->writes[i - 1]->path, path) == 0)
			return 0; /* open twice in one process */
	}
	w = MI_MESSAGE(g->mi, Assay__OpenForWriting, assay__open_for_writing__init);
	if (!w)
		return -ENOMEM;
	w->pid = pid;
	r = mi_text(g->mi, path, &w->path);
	if (r < 0)
		return r;
	return mi_push(g->mi, &g->out->n_writes, &g->out->writes, w);
}

static int gather_writes(struct gathering *g, bool *complete)
{
	struct target *t = g->x->target;
	const struct descriptors *d;
	int r;

	r = descriptors_of(t, &d);
	if (r < 0)
		return r;
	*complete = d->complete;
	for (size_t i = 0; i < d->n && r == 0; i++) {
		const struct descriptor *one = &d->all[i];

		if (one->socket == 0)
			r = add_write(g, (uint32_t)t->processes[one->process].pid,
				      descriptor_path(d, one));
	}
	return r;
}

static bool read_io(const struct target_process *p, struct io_of *ret)
{
	CLEANUP(cleanup_fd) int fd = openat(p->proc_fd, "io", O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	if (n <= 0)
		return false;
	*ret = (struct io_of){ p->pid, p->parent, p->start_boottime_ns, 0, 0 };
	return proc_parse_key(view_of(text, (size_t)n), "read_bytes", &ret->read) == 0 &&
	       proc_parse_key(view_of(text, (size_t)n), "write_bytes", &ret->written) == 0;
}

static bool is_member(const struct target *t, pid_t pid)
{
	for (size_t i = 0; i < t->n_processes; i++) {
		if (t->processes[i].pid == pid)
			return true;
	}
	return false;
}

/*
 * A process's account goes to the parent that waits for it (wait(2)); where that is
 * none of the application's, what it was last seen with is kept here.
 */
static void keep_ended(struct storage *x, const struct io_of *now, size_t n_now)
{
	size_t at = 0;

	for (size_t i = 0; i < x->n_io; i++) {
		const struct io_of *was = &x->io[i];

		while (at < n_now && now[at].pid < was->pid)
			at++;
		if (at < n_now && now[at].pid == was->pid &&
		    now[at].start_boottime_ns == was->start_boottime_ns)
			continue;
		if (is_member(x->target, was->parent))
			continue;
		x->ended_read += was->read;
		x->ended_written += was->written;
	}
}

static int gather_io(struct gathering *g, bool *complete)
{
	struct storage *x = g->x;
	const struct target *t = x->target;
	uint64_t read = 0, written = 0;
	struct io_of *now;
	size_t n = 0;

	if (x->run != t->started_boottime_ns) {
		x->run = t->started_boottime_ns;
		x->n_io = 0;
		x->ended_read = x->ended_written = 0;
		x->last_read = x->last_written = 0;
	}
	now = calloc(t->n_processes + 1, sizeof(*now));
	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_processes; i++) {
		if (!read_io(&t->processes[i], &now[n])) {
			if (!target_process_ended(&t->processes[i]))
				*complete = false;
			continue;
		}
		read += now[n].read;
		written += now[n++].written;
	}
	keep_ended(x, now, n);
	free(x->io);
	x->io = now;
	x->n_io = n;
	g->out->read_bytes = read + x->ended_read;
	g->out->written_bytes = written + x->ended_written;
	/* A child's account may be on its way to its parent just now: never below 0. */
	if (g->out->read_bytes > x->last_read)
		g->out->window_read_bytes = g->out->read_bytes - x->last_read;
	if (g->out->written_bytes > x->last_written)
		g->out->window_written_bytes = g->out->written_bytes - x->last_written;
	x->last_read = g->out->read_bytes;
	x->last_written = g->out->written_bytes;
	return 0;
}

static int storage_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct storage *x = (struct storage *)c;
	const struct target_config *config = x->target->config;
	struct gathering g = { .x = x, .mi = mi };
	bool missing = false, seen = true, accounted = true;
	const char *why = NULL;
	int r = 0;

	g.out = MI_MESSAGE(mi, Assay__Storage, assay__storage__init);
	if (!g.out)
		return -ENOMEM;
	mi->msg->storage = g.out;
	for (size_t i = 0; i < config->n_storage && r == 0; i++)
		r = add_filesystem(&g, config->storage[i], &x->trees[i], time->boottime_ns,
				   &missing);
	if (r == 0)
		r = gather_writes(&g, &seen);
	if (r == 0)
		r = gather_io(&g, &accounted);
	if (r < 0)
		return r;
	if (!seen)
		why = "not every descriptor could be looked at";
	else if (!accounted)
		why = "the bytes that a process read and wrote could not be read";
	else if (missing)
		why = "a configured path is not there";
	else if (!x->target->scan_complete)
		why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void storage_close(struct collector *c)
{
	struct storage *x = (struct storage *)c;

	if (!x)
		return;
	free(x->trees);
	free(x->io);
	free(x);
}

const struct collector_ops collector_storage = {
	.name = "storage",
	.item = 4,
	.open = storage_open,
	.collect = storage_collect,
	.close = storage_close,
};
