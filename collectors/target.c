/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/descriptors.h"
#include "collectors/target_state.h"

/* Passes over what must be killed while it may still fork. */
#define KILL_ROUNDS 100

CLEANUP_FUNCTION(struct target *, target_free)

static struct target_state *state_of(struct target *t)
{
	return (struct target_state *)t;
}

static int watch(struct target *t, enum target_files which, const struct target_file *files,
		 size_t n)
{
	static const enum follow_watch_set sets[] = {
		[TARGET_FILES_MEASURED] = FOLLOW_WATCH_MEASURED,
		[TARGET_FILES_MAPPED] = FOLLOW_WATCH_MAPPED,
	};
	struct follow_file *keys = calloc(n + 1, sizeof(*keys));
	int r;

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		keys[i] = follow_file_of(files[i].device, files[i].inode);
	r = follow_watch(t->follow, t->slot, sets[which], keys, n);
	free(keys);
	/* Whatever else it is, the files that are not watched are counted: follow_unwatched. */
	return r == -ENOMEM ? r : 0;
}

int target_new(const struct target_config *config, int parent_fd, const char *parent_path,
	       struct follow *follow, struct target **ret)
{
	CLEANUP(target_freep) struct target *t = NULL;
	struct target_state *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	t = &s->base;
	t->config = config;
	t->cgroup_fd = -1;
	s->parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	if (s->parent_fd < 0)
		return neg_errno();
	r = cgroup_make(parent_fd, config->name, &t->cgroup_fd);
	if (r < 0)
		return r;
	if (asprintf(&t->cgroup_path, "%s/%s", parent_path, config->name) < 0) {
		t->cgroup_path = NULL;
		return -ENOMEM;
	}
	r = cgroup_id(t->cgroup_fd, &t->cgroup_id);
	if (r < 0)
		return r;
	if (follow) {
		r = follow_slot_new(follow, &t->slot);
		if (r < 0)
			return r;
		t->follow = follow;
		t->watch = watch;
		r = follow_attach_cgroup(follow, t->slot, t->cgroup_fd, t->cgroup_id);
		if (r < 0)
			return r;
		r = scan_open(&s->iterators, s->iterators_why, sizeof(s->iterators_why));
		if (r == -ENOMEM)
			return r;
	}
	*ret = TAKE(t);
	return 0;
}

static void process_close(struct target_process *p, struct target_detail *d)
{
	if (p->proc_fd >= 0)
		close(p->proc_fd);
	if (d->leader_fd >= 0)
		close(d->leader_fd);
	p->proc_fd = -1;
	d->leader_fd = -1;
}

static void close_processes(struct target_state *s)
{
	for (size_t i = 0; i < s->base.n_processes; i++)
		process_close(&s->base.processes[i], &s->details[i]);
	s->base.n_processes = 0;
}

void target_free(struct target *t)
{
	struct target_state *s = state_of(t);

	if (!t)
		return;
	close_processes(s);
	if (t->follow)
		follow_slot_free(t->follow, t->slot);
	if (t->cgroup_fd >= 0) {
		close(t->cgroup_fd);
		/* One that still holds processes stays; the next target_new says -EEXIST. */
		(void)!cgroup_remove(s->parent_fd, t->config->name);
	}
	if (s->parent_fd >= 0)
		close(s->parent_fd);
	free(t->cgroup_path);
	free(t->processes);
	free(s->details);
	free(s->pids);
	free(s->in_cgroup);
	free(s->members);
	descriptors_free(s->descriptors);
	scan_close(s->iterators);
	free(s);
}

void target_restart(struct target *t)
{
	struct target_state *s = state_of(t);

	close_processes(s);
	if (t->follow)
		follow_slot_restart(t->follow, t->slot);
	s->members_known = false;
	t->root_pid = 0;
	t->started_boottime_ns = 0;
	t->started_realtime_ns = 0;
	t->root_start_boottime_ns = 0;
	t->scan_complete = false;
	t->scanned_boottime_ns = 0;
	t->previous_scan_boottime_ns = 0;
	t->longest_scan_gap_ns = 0;
}

/* Those that are in it already; what they fork, and what enters it, the eBPF side sees by itself. */
static int follow_present(struct target *t)
{
	CLEANUP(cleanup_mem) pid_t *pids = malloc(TARGET_PROCESSES_MAX * sizeof(*pids));
	ssize_t n;
	int r = 0;

	if (!pids)
		return -ENOMEM;
	/* Twice: one that was listed may have forked before it was followed. */
	for (int pass = 0; r == 0 && pass < 2; pass++) {
		n = cgroup_pids(t->cgroup_fd, pids, TARGET_PROCESSES_MAX);
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; r == 0 && i < n && i < TARGET_PROCESSES_MAX; i++) {
			if (!follow_has(t->follow, t->slot, pids[i]))
				r = follow_add_root(t->follow, t->slot, pids[i]);
			if (r == -ESRCH)
				r = 0;
		}
	}
	return r;
}

int target_adopt(struct target *t, int cgroup_fd, const char *path)
{
	CLEANUP(cleanup_mem) char *own_path = strdup(path);
	CLEANUP(cleanup_fd) int fd = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3);
	uint64_t id;
	int r;

	if (!own_path)
		return -ENOMEM;
	if (fd < 0)
		return neg_errno();
	r = cgroup_id(fd, &id);
	if (r < 0)
		return r;
	target_restart(t);
	cleanup_fd(&t->cgroup_fd);
	t->cgroup_fd = TAKE_FD(fd);
	free(t->cgroup_path);
	t->cgroup_path = TAKE(own_path);
	t->cgroup_id = id;
	if (!t->follow)
		return 0;
	/* A slot has one cgroup as long as it lives. */
	follow_slot_free(t->follow, t->slot);
	r = follow_slot_new(t->follow, &t->slot);
	if (r == 0)
		r = follow_attach_cgroup(t->follow, t->slot, t->cgroup_fd, t->cgroup_id);
	return r < 0 ? r : follow_present(t);
}

int target_read(int proc_fd, const char *name, struct bytes *b)
{
	CLEANUP(cleanup_fd) int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return neg_errno();
	bytes_reset(b);
	return bytes_read_fd(b, fd);
}

/* For files that are one short piece: one read, no allocation. */
static int read_short(int proc_fd, const char *name, char *to, size_t size, struct view *ret)
{
	CLEANUP(cleanup_fd) int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return neg_errno();
	n = read(fd, to, size);
	if (n < 0)
		return neg_errno();
	*ret = view_of(to, (size_t)n);
	return 0;
}

static int grow(void **array, size_t size, size_t room)
{
	void *grown = realloc(*array, size * room);

	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

/*
 * The processes that the eBPF side follows. Asking it means looking through its
 * whole table; whether the answer can have changed, it says for nothing.
 */
static int list_members(struct target_state *s)
{
	struct target *t = &s->base;
	uint64_t changes;
	ssize_t n;
	int r;

	if (!t->follow)
		return 0;
	changes = follow_changes(t->follow, t->slot);
	if (s->members_known && changes == s->members_changes)
		return 0;
	for (;;) {
		n = follow_members(t->follow, t->slot, s->members, s->room_members);
		if (n < 0)
			return (int)n;
		if ((size_t)n <= s->room_members)
			break;
		r = grow((void **)&s->members, sizeof(*s->members), (size_t)n + 64);
		if (r < 0)
			return r;
		s->room_members = (size_t)n + 64;
	}
	s->n_members = (size_t)n;
	s->members_changes = changes;
	s->members_known = true;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return left < right ? -1 : left > right;
}

/* Fills s->pids with cgroup and members together. *ret_changed: other than before. */
static int list_pids(struct target_state *s, bool *ret_changed)
{
	pid_t *pids = NULL, *old = s->pids;
	CLEANUP(cleanup_mem) pid_t *previous = NULL;
	bool *in_cgroup;
	size_t room, n = 0, in, previous_n = s->n_pids;
	ssize_t r;

	r = list_members(s);
	if (r < 0)
		return (int)r;
	room = s->room_pids;
	if (room < s->n_members + 16)
		room = s->n_members + 64;
	for (;;) {
		pids = malloc(room * sizeof(*pids));
		if (!pids)
			return -ENOMEM;
		r = cgroup_pids(s->base.cgroup_fd, pids, room);
		if (r >= 0 && (size_t)r + s->n_members <= room)
			break;
		free(pids);
		if (r < 0)
			return (int)r;
		room = (size_t)r + s->n_members + 64;
	}
	in = (size_t)r;
	in_cgroup = realloc(s->in_cgroup, room * sizeof(*in_cgroup));
	if (!in_cgroup) {
		free(pids);
		return -ENOMEM;
	}
	qsort(pids, in, sizeof(*pids), by_pid);
	/* The members not among the sorted front go behind it; then all is sorted once more. */
	n = in;
	for (size_t i = 0; i < s->n_members; i++) {
		if (!bsearch(&s->members[i], pids, in, sizeof(*pids), by_pid))
			pids[n++] = s->members[i];
	}
	previous = old;
	s->pids = pids;
	s->in_cgroup = in_cgroup;
	s->room_pids = room;
	s->n_pids = n;
	memset(in_cgroup, n == in, n * sizeof(*in_cgroup));
	if (n > in) {
		CLEANUP(cleanup_mem) pid_t *inside = malloc(in * sizeof(*inside) + 1);

		if (!inside)
			return -ENOMEM;
		memcpy(inside, pids, in * sizeof(*inside));
		qsort(pids, n, sizeof(*pids), by_pid);
		for (size_t i = 0; i < n; i++)
			in_cgroup[i] = bsearch(&pids[i], inside, in, sizeof(*inside), by_pid);
	}
	*ret_changed = n != previous_n || (n > 0 && memcmp(pids, previous, n * sizeof(*pids)) != 0);
	return 0;
}

static uint64_t start_of(const struct proc_stat *stat)
{
	return stat->start_ticks * PROC_TICK_NS;
}

/* Reads what changes from scan to scan. -ESRCH: the process behind the descriptor is gone. */
static int process_read(struct target_process *p, struct target_detail *d)
{
	char text[4096];
	uint64_t kib;
	struct view v;
	int r;

	r = read_short(d->leader_fd >= 0 ? d->leader_fd : p->proc_fd, "stat", text, sizeof(text),
		       &v);
	if (r == 0)
		r = proc_parse_stat(v, &d->stat);
	if (r == 0)
		r = read_short(p->proc_fd, "status", text, sizeof(text), &v);
	if (r == 0)
		r = proc_parse_ids(v, &p->uid, &p->gid);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* Newer kernels add this up exactly, and the number in stat from counters a CPU. */
	d->resident_bytes = d->stat.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
	if (proc_parse_key(v, "VmRSS", &kib) == 0)
		d->resident_bytes = kib * 1024;
	p->parent = d->stat.parent;
	p->start_boottime_ns = start_of(&d->stat);
	return 0;
}

/* A thread of the process that has not ended; the first that shows memory. */
static int open_living_thread(int leader_fd, int *ret)
{
	struct linux_dirent64 {
		uint64_t d_ino, d_off;
		unsigned short d_reclen;
		unsigned char d_type;
		char d_name[];
	};
	_Alignas(struct linux_dirent64) char list[4096];
	CLEANUP(cleanup_fd)
	int task_fd = openat(leader_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (task_fd < 0)
		return neg_errno();
	while ((n = syscall(SYS_getdents64, task_fd, list, sizeof(list))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct linux_dirent64 *e = (const void *)(list + at);
			struct proc_stat stat;
			char text[1024];
			struct view v;
			int fd;

			at += e->d_reclen;
			fd = e->d_name[0] == '.' ? -1
						 : openat(task_fd, e->d_name,
							  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (read_short(fd, "stat", text, sizeof(text), &v) == 0 &&
			    proc_parse_stat(v, &stat) == 0 && !strchr("ZX", stat.state)) {
				*ret = fd;
				return 0;
			}
			close(fd);
		}
	}
	return -ESRCH;
}

/* -ESRCH: no process, or one that has ended and only waits to be waited for. */
static int process_open(pid_t pid, struct target_process *ret, struct target_detail *ret_detail)
{
	struct target_process p = { .pid = pid, .proc_fd = -1 };
	struct target_detail d = { .leader_fd = -1 };
	char path[32];
	int r, fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	p.proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.proc_fd < 0)
		return errno == ENOENT ? -ESRCH : neg_errno();
	r = process_read(&p, &d);
	if (r == 0 && strchr("ZX", d.stat.state)) {
		r = d.stat.threads > 1 ? open_living_thread(p.proc_fd, &fd) : -ESRCH;
		if (r == 0) {
			d.leader_fd = p.proc_fd;
			p.proc_fd = fd;
			r = process_read(&p, &d);
		}
	}
	if (r < 0) {
		process_close(&p, &d);
		return r;
	}
	*ret = p;
	*ret_detail = d;
	return 0;
}

/* The process of the previous scan again; false: it is gone, or needs to be opened anew. */
static bool process_again(struct target_process *p, struct target_detail *d)
{
	/* A descriptor of /proc/PID stays that of the process, whoever has the pid later. */
	return process_read(p, d) == 0 && d->leader_fd < 0 && !strchr("ZX", d->stat.state);
}

/* Makes base.processes what s->pids says; *ret_lost: some ended meanwhile. */
static int take_snapshot(struct target_state *s, bool *ret_lost)
{
	struct target *t = &s->base;
	CLEANUP(cleanup_mem) struct target_process *old = t->processes;
	CLEANUP(cleanup_mem) struct target_detail *old_details = s->details;
	size_t n_old = t->n_processes, at = 0, n = 0, limit = s->n_pids;
	int r = 0;

	if (limit > TARGET_PROCESSES_MAX)
		limit = TARGET_PROCESSES_MAX;
	t->processes = calloc(limit + 1, sizeof(*t->processes));
	s->details = calloc(limit + 1, sizeof(*s->details));
	t->room = limit + 1;
	t->n_processes = 0;
	*ret_lost = false;
	for (size_t i = 0; i < limit && t->processes && s->details && r == 0; i++) {
		struct target_process *p = &t->processes[n];
		struct target_detail *d = &s->details[n];

		for (; at < n_old && old[at].pid < s->pids[i]; at++)
			process_close(&old[at], &old_details[at]);
		if (at < n_old && old[at].pid == s->pids[i] &&
		    process_again(&old[at], &old_details[at])) {
			*p = old[at];
			*d = old_details[at++];
		} else {
			r = process_open(s->pids[i], p, d);
		}
		if (r == -ESRCH) {
			*ret_lost = true;
			r = 0;
			continue;
		}
		if (r == 0) {
			d->in_cgroup = s->in_cgroup[i];
			n++;
		}
	}
	for (; at < n_old; at++)
		process_close(&old[at], &old_details[at]);
	t->n_processes = n;
	return t->processes && s->details ? r : -ENOMEM;
}

bool target_path_deleted(int proc_fd, char *path, const struct stat *st)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path), cut = sizeof(mark) - 1;
	char seen[PATH_MAX + 32];
	struct stat named;

	if (len <= cut || strcmp(path + len - cut, mark) != 0)
		return false;
	snprintf(seen, sizeof(seen), "root%s", path);
	if (st->st_nlink > 0 && path[0] == '/' && fstatat(proc_fd, seen, &named, 0) == 0 &&
	    named.st_ino == st->st_ino && named.st_dev == st->st_dev)
		return false;
	path[len - cut] = '\0';
	return true;
}

static int write_process(const struct target_process *p, struct target_detail *d, struct mi *mi)
{
	char path[PATH_MAX + 16];
	Assay__Process *out;
	Assay__File *file;
	struct stat st;
	ssize_t len;
	bool gone;
	int r;

	out = MI_MESSAGE(mi, Assay__Process, assay__process__init);
	if (!out)
		return -ENOMEM;
	out->pid = (uint32_t)p->pid;
	out->parent = (uint32_t)p->parent;
	out->start_boottime_ns = p->start_boottime_ns;
	out->uid = p->uid;
	out->gid = p->gid;
	out->threads = d->stat.threads;
	r = mi_text(mi, d->stat.comm, &out->comm);
	if (r < 0)
		return r;
	d->executable = 0;
	len = readlinkat(p->proc_fd, "exe", path, sizeof(path) - 1);
	if (len > 0 && fstatat(p->proc_fd, "exe", &st, 0) == 0) {
		path[len] = '\0';
		gone = target_path_deleted(p->proc_fd, path, &st);
		r = mi_file(mi, st.st_dev, st.st_ino, path, &d->executable, &file);
		if (r < 0)
			return r;
		file->size = (uint64_t)st.st_size;
		file->deleted = gone;
	}
	out->executable = d->executable;
	return mi_push(mi, &mi->msg->n_processes, &mi->msg->processes, out);
}

/* Times that the list is taken until nobody is in it who was not opened. */
#define LIST_TRIES 8

/* Every process that the list has by now is in the snapshot; that some ended is no matter. */
static bool snapshot_has_all(const struct target_state *s)
{
	const struct target *t = &s->base;
	size_t at = 0;

	for (size_t i = 0; i < s->n_pids; i++) {
		while (at < t->n_processes && t->processes[at].pid < s->pids[i])
			at++;
		if (at == t->n_processes || t->processes[at].pid != s->pids[i])
			return false;
	}
	return true;
}

int target_pids_now(struct target *t, const pid_t **ret, size_t *ret_n)
{
	struct target_state *s = state_of(t);
	bool changed;
	int r;

	r = list_pids(s, &changed);
	*ret = s->pids;
	*ret_n = s->n_pids;
	return r;
}

int target_scan(struct target *t, uint64_t now_boottime_ns, struct mi *mi)
{
	struct target_state *s = state_of(t);
	bool changed, lost;
	int r;

	s->scans++;
	/* So that what is known of each process, its environment say, is as new as the scan. */
	r = t->follow ? follow_drain(t->follow) : 0;
	if (r == -ENOMEM)
		return r;
	r = list_pids(s, &changed);
	if (r < 0)
		return r;
	for (int i = 0; i < LIST_TRIES; i++) {
		r = take_snapshot(s, &lost);
		if (r < 0)
			return r;
		r = list_pids(s, &changed);
		if (r < 0)
			return r;
		t->scan_complete = snapshot_has_all(s);
		if (t->scan_complete)
			break;
	}
	t->previous_scan_boottime_ns = t->scanned_boottime_ns;
	t->scanned_boottime_ns = now_boottime_ns;
	if (t->previous_scan_boottime_ns > 0 &&
	    now_boottime_ns - t->previous_scan_boottime_ns > t->longest_scan_gap_ns)
		t->longest_scan_gap_ns = now_boottime_ns - t->previous_scan_boottime_ns;
	for (size_t i = 0; i < t->n_processes; i++) {
		r = write_process(&t->processes[i], &s->details[i], mi);
		if (r < 0)
			return r;
	}
	if (s->n_pids > TARGET_PROCESSES_MAX)
		return mi_status(mi, "processes", ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 "the application has more processes than are measured");
	if (!t->scan_complete)
		return mi_status(mi, "processes", ASSAY__COLLECTOR_STATUS__STATE__PARTIAL,
				 "processes came faster than they could be listed");
	return 0;
}

int target_iterators(struct target *t, struct scan **ret, const char **ret_why)
{
	struct target_state *s = state_of(t);
	CLEANUP(cleanup_mem) pid_t *pids = NULL;
	int r;

	*ret = NULL;
	*ret_why = s->iterators_why[0] ? s->iterators_why : target_follow_why(t);
	if (!s->iterators)
		return 0;
	if (s->iterators_scan != s->scans) {
		pids = malloc((t->n_processes + 1) * sizeof(*pids));
		if (!pids)
			return -ENOMEM;
		for (size_t i = 0; i < t->n_processes; i++)
			pids[i] = t->processes[i].pid;
		r = scan_want(s->iterators, pids, t->n_processes);
		*ret_why = "the iterators could not be told which processes to look at";
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		s->iterators_scan = s->scans;
	}
	*ret = s->iterators;
	return 0;
}

bool target_has(struct target *t, pid_t pid)
{
	struct target_state *s = state_of(t);
	bool changed;

	if (pid <= 0)
		return false;
	if (t->follow && follow_has(t->follow, t->slot, pid))
		return true;
	if (list_pids(s, &changed) < 0)
		return false;
	return bsearch(&pid, s->pids, s->n_pids, sizeof(*s->pids), by_pid) != NULL;
}

/* Sends a signal to the followed processes that are not in the cgroup; true if there was one. */
static bool signal_outside(struct target_state *s, int number)
{
	struct target *t = &s->base;
	bool changed, any = false;

	if (!t->follow)
		return false;
	s->members_known = false;
	if (list_pids(s, &changed) < 0)
		return false;
	for (size_t i = 0; i < s->n_pids; i++) {
		CLEANUP(cleanup_fd) int fd = -1;

		if (s->in_cgroup[i])
			continue;
		fd = (int)syscall(SYS_pidfd_open, s->pids[i], 0);
		/* Asked again with the process held, so that another with its pid is not hit. */
		if (fd < 0 || !follow_has(t->follow, t->slot, s->pids[i]))
			continue;
		any |= syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) == 0;
	}
	return any;
}

int target_kill(struct target *t)
{
	int r = cgroup_kill(t->cgroup_fd);

	for (int i = 0; i < KILL_ROUNDS && signal_outside(state_of(t), SIGKILL); i++)
		;
	return r;
}

int target_freeze(struct target *t, bool stop)
{
	int r = cgroup_freeze(t->cgroup_fd, stop);

	signal_outside(state_of(t), stop ? SIGSTOP : SIGCONT);
	return r;
}

bool target_populated(const struct target *t)
{
	bool populated;
	pid_t one;

	/* Where the kernel cannot be asked, it is safer to think that something runs. */
	if (cgroup_populated(t->cgroup_fd, &populated) < 0 || populated)
		return true;
	return t->follow && follow_members(t->follow, t->slot, &one, 1) > 0;
}
