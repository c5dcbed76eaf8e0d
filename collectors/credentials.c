/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * What the processes in Mi.processes may do, and each thread of them that may do something else:
 * credentials, namespaces, who traces it, and whether its executable is what it executed.
 */

/* Most different ones of an application; what is past them stays 0 in the MI and is said. */
#define CREDENTIALS_MAX 512
#define NAMESPACES_MAX	512
/* Most threads that differ from the first one of their process. */
#define THREADS_MAX 4096

/* What a process was executed as, when it was first seen; kept from node to node. */
struct executed {
	pid_t pid;
	uint64_t start_boottime_ns, executions, device, inode;
	char *path;
};

struct apart {
	size_t process;
	uint32_t tid, tracer, credentials, namespaces;
};

struct credentials {
	struct collector base;
	struct target *target;
	struct hasher *hasher;
	struct executed *executed; /* in order of pid, as the target's processes */
	size_t n_executed;

	/* Of the collect under way. */
	struct mi *mi;
	struct scan_credentials *known;
	uint32_t known_namespaces[NAMESPACES_MAX][SCAN_NS_WORDS];
	struct executed *now;
	bool *seen;
	struct apart *apart;
	size_t n_apart;
	const char *why;
};

static void credentials_close(struct collector *c);

static int credentials_open(struct target *t, struct collector **ret)
{
	struct credentials *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_credentials;
	x->target = t;
	x->known = calloc(CREDENTIALS_MAX, sizeof(*x->known));
	x->apart = calloc(THREADS_MAX, sizeof(*x->apart));
	r = x->known && x->apart ? hasher_new(HASH_SHA256, &x->hasher) : -ENOMEM;
	if (r < 0) {
		credentials_close(&x->base);
		return r;
	}
	*ret = &x->base;
	return 0;
}

static int write_groups(struct credentials *x, const struct scan_credentials *from,
			Assay__Credentials *to)
{
	uint32_t n = from->n_groups;
	struct digest d;
	int r;

	to->groups = n;
	if (n > SCAN_GROUPS_MAX) {
		x->why = "a process has more supplementary groups than are recorded";
		return 0;
	}
	r = hasher_begin(x->hasher);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint32_t gid = htole32(from->groups[i]);

		r = hasher_add(x->hasher, &gid, sizeof(gid));
	}
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	return r < 0 ? r : mi_bytes(x->mi, digest_view(&d), &to->groups_sha256);
}

static int write_credentials(struct credentials *x, const struct scan_credentials *from)
{
	struct mi *mi = x->mi;
	Assay__Credentials *to = MI_MESSAGE(mi, Assay__Credentials, assay__credentials__init);
	int r;

	if (!to)
		return -ENOMEM;
	to->uid = from->uid;
	to->effective_uid = from->effective_uid;
	to->saved_uid = from->saved_uid;
	to->filesystem_uid = from->filesystem_uid;
	to->gid = from->gid;
	to->effective_gid = from->effective_gid;
	to->saved_gid = from->saved_gid;
	to->filesystem_gid = from->filesystem_gid;
	to->inheritable = from->capabilities[SCAN_CAP_INHERITABLE];
	to->permitted = from->capabilities[SCAN_CAP_PERMITTED];
	to->effective = from->capabilities[SCAN_CAP_EFFECTIVE];
	to->bounding = from->capabilities[SCAN_CAP_BOUNDING];
	to->ambient = from->capabilities[SCAN_CAP_AMBIENT];
	to->no_new_privs = from->no_new_privs != 0;
	to->seccomp = from->seccomp;
	to->seccomp_filters = from->seccomp_filters;
	r = write_groups(x, from, to);
	return r < 0 ? r : mi_push(mi, &mi->msg->n_credentials, &mi->msg->credentials, to);
}

/* Index from 1 into Mi.credentials; 0 where there are too many. */
static int credentials_index(struct credentials *x, const struct scan_credentials *one,
			     uint32_t *ret)
{
	size_t n = x->mi->msg->n_credentials;
	int r;

	/* Neighbours mostly have the same: the last ones first. */
	for (size_t i = n; i > 0; i--) {
		if (memcmp(&x->known[i - 1], one, sizeof(*one)) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	*ret = 0;
	if (n == CREDENTIALS_MAX) {
		x->why = "the processes have more different credentials than are recorded";
		return 0;
	}
	r = write_credentials(x, one);
	if (r < 0)
		return r;
	x->known[n] = *one;
	*ret = (uint32_t)n + 1;
	return 0;
}

static int namespaces_index(struct credentials *x, const uint32_t *one, uint32_t *ret)
{
	Assay__Mi *m = x->mi->msg;
	Assay__Namespaces *to;
	size_t n = m->n_namespaces;

	for (size_t i = n; i > 0; i--) {
		if (memcmp(x->known_namespaces[i - 1], one, sizeof(x->known_namespaces[0])) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	*ret = 0;
	if (n == NAMESPACES_MAX) {
		x->why = "the processes are in more different namespaces than are recorded";
		return 0;
	}
	to = MI_MESSAGE(x->mi, Assay__Namespaces, assay__namespaces__init);
	if (!to)
		return -ENOMEM;
	to->cgroup = one[SCAN_NS_CGROUP];
	to->ipc = one[SCAN_NS_IPC];
	to->mnt = one[SCAN_NS_MNT];
	to->net = one[SCAN_NS_NET];
	to->pid = one[SCAN_NS_PID];
	to->time = one[SCAN_NS_TIME];
	to->user = one[SCAN_NS_USER];
	to->uts = one[SCAN_NS_UTS];
	memcpy(x->known_namespaces[n], one, sizeof(x->known_namespaces[0]));
	*ret = (uint32_t)n + 1;
	return mi_push(x->mi, &m->n_namespaces, &m->namespaces, to);
}

static int by_pid(const void *key, const void *element)
{
	pid_t pid = *(const pid_t *)key, other = ((const struct target_process *)element)->pid;

	return pid < other ? -1 : pid > other;
}

static struct executed *executed_of(struct credentials *x, const struct target_process *p)
{
	size_t low = 0, high = x->n_executed;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct executed *e = &x->executed[middle];

		if (e->pid == p->pid)
			return e->start_boottime_ns == p->start_boottime_ns ? e : NULL;
		if (e->pid < p->pid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * An executable that is another one although nothing was executed was set by
 * prctl(PR_SET_MM_EXE_FILE) or written by a fault of the kernel (M28).
 */
static int look_at_executable(struct credentials *x, size_t i, const struct scan_thread *t)
{
	const struct target_process *p = &x->target->processes[i];
	struct executed *before = executed_of(x, p), *now = &x->now[i];
	Assay__Process *out = x->mi->msg->processes[i];
	Assay__File *file;

	*now = (struct executed){ .pid = p->pid,
				  .start_boottime_ns = p->start_boottime_ns,
				  .executions = t->executions,
				  .device = t->exe_device,
				  .inode = t->exe_inode };
	if (!before || before->executions != t->executions || t->exe_inode == 0) {
		const char *path = out->executable ? x->mi->msg->files[out->executable - 1]->path
						   : "";

		now->path = strdup(path);
		return now->path ? 0 : -ENOMEM;
	}
	now->device = before->device;
	now->inode = before->inode;
	now->path = TAKE(before->path);
	if (now->device == t->exe_device && now->inode == t->exe_inode)
		return 0;
	return mi_file(x->mi, makedev((unsigned int)(now->device >> 20), now->device & 0xfffff),
		       now->inode, now->path, &out->executed, &file);
}

static int on_thread(void *arg, const struct scan_thread *t)
{
	struct credentials *x = arg;
	const struct target *target = x->target;
	const pid_t pid = (pid_t)t->tgid;
	const struct target_process *p =
		bsearch(&pid, target->processes, target->n_processes, sizeof(*p), by_pid);
	uint32_t credentials, namespaces;
	Assay__Process *out;
	size_t i;
	int r;

	if (!p)
		return 0;
	i = (size_t)(p - target->processes);
	r = credentials_index(x, &t->credentials, &credentials);
	if (r == 0)
		r = namespaces_index(x, t->namespaces, &namespaces);
	if (r < 0)
		return r;
	if (t->tid != t->tgid) {
		if (x->n_apart == THREADS_MAX)
			x->why = "more threads differ from the first one than are looked at";
		else
			x->apart[x->n_apart++] = (struct apart){ i, t->tid, t->tracer, credentials,
								 namespaces };
		return 0;
	}
	out = x->mi->msg->processes[i];
	out->credentials = credentials;
	out->namespaces = namespaces;
	out->tracer = t->tracer;
	out->dumpable = t->dumpable;
	out->executions = t->executions;
	x->seen[i] = true;
	return look_at_executable(x, i, t);
}

/* Threads that have the same as each other stand together; those as the first one are left out. */
static int write_apart(struct credentials *x)
{
	for (size_t k = 0; k < x->n_apart; k++) {
		const struct apart *a = &x->apart[k];
		Assay__Process *out = x->mi->msg->processes[a->process];
		Assay__Threads *to = NULL;
		int r;

		if (a->credentials == out->credentials && a->namespaces == out->namespaces &&
		    a->tracer == out->tracer && a->credentials && a->namespaces)
			continue;
		for (size_t i = 0; i < out->n_threads_apart && !to; i++) {
			Assay__Threads *at = out->threads_apart[i];

			if (at->credentials == a->credentials && at->namespaces == a->namespaces &&
			    at->tracer == a->tracer)
				to = at;
		}
		if (to) {
			to->count++;
			continue;
		}
		to = MI_MESSAGE(x->mi, Assay__Threads, assay__threads__init);
		if (!to)
			return -ENOMEM;
		to->first = a->tid;
		to->count = 1;
		to->credentials = a->credentials;
		to->namespaces = a->namespaces;
		to->tracer = a->tracer;
		r = mi_push(x->mi, &out->n_threads_apart, &out->threads_apart, to);
		if (r < 0)
			return r;
	}
	return 0;
}

static void forget_executed(struct executed *e, size_t n)
{
	for (size_t i = 0; e && i < n; i++)
		free(e[i].path);
	free(e);
}

static int gather(struct credentials *x, struct scan *iterators)
{
	size_t n = x->target->n_processes;
	CLEANUP(cleanup_mem) bool *seen = calloc(n + 1, sizeof(*seen));
	int r;

	x->seen = seen;
	x->now = calloc(n + 1, sizeof(*x->now));
	x->n_apart = 0;
	if (!x->now || !seen)
		return -ENOMEM;
	r = scan_threads(iterators, on_thread, x);
	if (r == 0)
		r = write_apart(x);
	for (size_t i = 0; i < n; i++) {
		x->now[i].pid = x->target->processes[i].pid; /* in order, seen or not */
		if (!seen[i] && !target_process_ended(&x->target->processes[i]))
			x->why = "a process ended before its threads were looked at";
	}
	forget_executed(x->executed, x->n_executed);
	x->executed = TAKE(x->now);
	x->n_executed = n;
	x->seen = NULL;
	return r;
}

static int credentials_collect(struct collector *c, const struct collector_time *time,
			       struct mi *mi)
{
	struct credentials *x = (struct credentials *)c;
	struct scan *iterators;
	const char *why;
	int r;

	r = target_iterators(x->target, &iterators, &why);
	if (r < 0)
		return r;
	if (!iterators)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED, why);
	x->mi = mi;
	x->why = NULL;
	r = gather(x, iterators);
	forget_executed(x->now, x->target->n_processes);
	x->now = NULL;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 "the iterator over threads broke off");
	if (!x->target->scan_complete && !x->why)
		x->why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 x->why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
				: ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 x->why);
}

static void credentials_close(struct collector *c)
{
	struct credentials *x = (struct credentials *)c;

	if (!x)
		return;
	forget_executed(x->executed, x->n_executed);
	hasher_free(x->hasher);
	free(x->known);
	free(x->apart);
	free(x);
}

const struct collector_ops collector_credentials = {
	.name = "credentials",
	.item = 18,
	.open = credentials_open,
	.collect = credentials_collect,
	.close = credentials_close,
};
