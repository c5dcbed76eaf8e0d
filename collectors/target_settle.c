/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "collectors/target_state.h"

/*
 * Applications start and end processes all the time. One that ended while its items were collected
 * leaves MI whole: half of it is no measurement, and that it was there and ended the events of the
 * kernel tell. What must not be is a process that no scan ever sees because it always moves on to
 * a child of its own just in time.
 */

static int read_stat(int dir, const char *name, struct proc_stat *ret)
{
	CLEANUP(cleanup_fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n;

	if (fd < 0)
		return neg_errno();
	n = read(fd, text, sizeof(text));
	if (n <= 0)
		return n < 0 ? neg_errno() : -ESRCH;
	return proc_parse_stat(view_of(text, (size_t)n), ret);
}

/* The thread that stands for the process has ended. */
static bool thread_ended(int dir, const char *name)
{
	struct proc_stat stat;
	int r = read_stat(dir, name, &stat);

	return r == -ESRCH || r == -ENOENT ||
	       (r == 0 && (stat.exiting || strchr("ZX", stat.state)));
}

/* It has been killed, and only has not been told yet: it runs no code of its own any more. */
static bool thread_killed(int tasks, const char *tid)
{
	char path[32], text[4096];
	struct view v;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/status", tid);
	CLEANUP(cleanup_fd) int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ESRCH;
	n = read(fd, text, sizeof(text));
	if (n <= 0)
		return n < 0 && errno == ESRCH;
	v = view_of(text, (size_t)n);
	return proc_signal_pending(v, SIGKILL);
}

static bool a_thread_lives(pid_t pid)
{
	char path[48];
	bool lives = false;
	struct dirent *e;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return errno != ENOENT;
	while (!lives && (e = readdir(tasks))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%.16s/stat", e->d_name);
		lives = !thread_ended(dirfd(tasks), path) &&
			!thread_killed(dirfd(tasks), e->d_name);
	}
	closedir(tasks);
	return lives;
}

bool target_process_ended(const struct target_process *p)
{
	static const struct timespec a_moment = { .tv_nsec = 1000000 };

	if (!thread_ended(p->proc_fd, "stat"))
		return false;
	/*
	 * One thread can end and leave the process to the others. Between taking note of its own
	 * death and being marked as ended a thread looks alive for some instructions.
	 */
	for (int i = 0; a_thread_lives(p->pid); i++) {
		if (i == 5)
			return false;
		nanosleep(&a_moment, NULL);
	}
	return true;
}

static bool is_ended(const uint32_t *ended, size_t n, uint32_t pid)
{
	for (size_t i = 0; i < n; i++) {
		if (ended[i] == pid)
			return true;
	}
	return false;
}

/* Takes the entries of the ended processes out of a list of messages that have a pid. */
#define DROP(list, count, ended, n_ended)                                                          \
	do {                                                                                       \
		size_t kept_ = 0;                                                                  \
		for (size_t i_ = 0; i_ < (count); i_++) {                                          \
			if (!is_ended(ended, n_ended, (list)[i_]->pid))                            \
				(list)[kept_++] = (list)[i_];                                      \
		}                                                                                  \
		(count) = kept_;                                                                   \
	} while (0)

static void drop(Assay__Mi *mi, const uint32_t *ended, size_t n)
{
	DROP(mi->processes, mi->n_processes, ended, n);
	if (mi->code)
		DROP(mi->code->processes, mi->code->n_processes, ended, n);
	if (mi->environment)
		DROP(mi->environment->processes, mi->environment->n_processes, ended, n);
}

/*
 * A process that came after the list was taken, and whose parent is none of the application's
 * processes any more: whatever its parent was has moved on to it unseen.
 */
static bool moved_on(const struct target *t, const pid_t *now, size_t n_now)
{
	size_t at = 0;

	for (size_t i = 0; i < n_now; i++) {
		struct proc_stat stat;
		bool parent_lives = false;
		char path[48];

		while (at < t->n_processes && t->processes[at].pid < now[i])
			at++;
		if (at < t->n_processes && t->processes[at].pid == now[i])
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", now[i]);
		if (read_stat(AT_FDCWD, path, &stat) < 0 || stat.exiting ||
		    strchr("ZX", stat.state))
			continue;
		for (size_t k = 0; k < n_now && !parent_lives; k++)
			parent_lives = now[k] == stat.parent;
		if (!parent_lives)
			return true;
	}
	return false;
}

static int weaken(struct mi *mi, const char *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mi->msg->n_collectors; i++) {
		Assay__CollectorStatus *s = mi->msg->collectors[i];

		if (s->state != ASSAY__COLLECTOR_STATUS__STATE__COMPLETE)
			continue;
		s->state = ASSAY__COLLECTOR_STATUS__STATE__PARTIAL;
		r = mi_text(mi, why, &s->why);
	}
	return r;
}

int target_settle(struct target *t, struct mi *mi)
{
	CLEANUP(cleanup_mem) uint32_t *ended = calloc(t->n_processes + 1, sizeof(*ended));
	bool left_to_others = false;
	const pid_t *now;
	size_t n = 0, n_now;
	int r;

	if (!ended)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_processes; i++) {
		if (target_process_ended(&t->processes[i]))
			ended[n++] = (uint32_t)t->processes[i].pid;
		else
			left_to_others |= thread_ended(t->processes[i].proc_fd, "stat");
	}
	drop(mi->msg, ended, n);
	if (left_to_others)
		return weaken(mi, "the thread by which a process was looked at ended during the "
				  "scan, and other threads of it run");
	r = target_pids_now(t, &now, &n_now);
	if (r < 0)
		return r;
	if (!moved_on(t, now, n_now))
		return 0;
	return weaken(mi, "a process came during the scan whose parent ended meanwhile: neither "
			  "was measured");
}
