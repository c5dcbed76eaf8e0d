/* SPDX-License-Identifier: Apache-2.0 */
#include "application_unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "application_run.h"
#include "cleanup.h"
#include "collectors/cgroup.h"
#include "log.h"
#include "unit.h"

#define LOOK_MS	    500
#define EMPTY_LOOKS 4 /* between two commands of a unit its cgroup may be empty for a moment */
#define OLDEST_LOOKS                                                                               \
	2 /* without systemd to ask, until the oldest process is taken for the main one */
#define SUFFIX	  ".service"
#define PROC_TEXT 4096
#define PIDS_MAX  256 /* looked at, where one of a unit is looked for */

/* Asked on another thread, which may outlive the run. */
struct unit_question {
	struct application *app; /* NULL: the run is over */
	char *unit;
	pid_t pid;
	bool started;
};

static const char *name_of(const struct application *a)
{
	return a->config->name;
}

const char *application_unit_name(const struct application *a, char ret[APPLICATION_NAME_MAX + 1])
{
	const char *unit = a->config->unit;

	if (unit)
		snprintf(ret, APPLICATION_NAME_MAX + 1, "%.*s",
			 (int)(strlen(unit) - strlen(SUFFIX)), unit);
	else
		snprintf(ret, APPLICATION_NAME_MAX + 1, "%s", name_of(a));
	return ret;
}

static void look_again(struct application *a)
{
	struct timeval soon = { .tv_usec = LOOK_MS * 1000 };

	event_add(a->unit.look, &soon);
}

/* The hierarchy that all cgroups are in, whatever directory of it is configured. */
static int find_cgroup(const char *unit, int *ret_fd, char **ret_path)
{
	CLEANUP(bytes_cleanup) struct bytes mounts = BYTES_INIT(CGROUP_MOUNTINFO_MAX);
	CLEANUP(cleanup_mem) char *mount = NULL;
	CLEANUP(cleanup_fd) int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_fd) int hierarchy = -1;
	int r;

	r = fd < 0 ? neg_errno() : bytes_read_fd(&mounts, fd);
	if (r == 0)
		r = cgroup_parse_mountinfo(bytes_view(&mounts), &mount);
	if (r < 0)
		return r;
	hierarchy = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hierarchy < 0)
		return neg_errno();
	return unit_cgroup(hierarchy, mount, unit, ret_fd, ret_path);
}

/* systemd's own process, which waits for a credential in the unit's place. */
static bool is_systemd(pid_t pid)
{
	struct stat own, first;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat(path, &own) == 0 && stat("/proc/1/exe", &first) == 0 &&
	       own.st_dev == first.st_dev && own.st_ino == first.st_ino;
}

bool application_unit_runs(const char *unit)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	pid_t pids[PIDS_MAX];
	ssize_t n;

	if (find_cgroup(unit, &fd, &path) < 0)
		return false;
	n = cgroup_pids(fd, pids, ARRAY_LEN(pids));
	for (ssize_t i = 0; i < n && i < PIDS_MAX; i++) {
		if (!is_systemd(pids[i]))
			return true;
	}
	return n > PIDS_MAX;
}

/* From here on its cgroup is the target's. -ENOENT: it has none yet, or nobody is in it. */
static int follow_unit(struct application *a)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	bool populated;
	int r;

	r = find_cgroup(a->config->unit, &fd, &path);
	if (r == 0)
		r = cgroup_populated(fd, &populated);
	if (r < 0)
		return r;
	if (!populated)
		return -ENOENT;
	r = application_run_check(a);
	if (r == 0)
		r = target_adopt(a->target, fd, path);
	if (r < 0)
		return r;
	a->unit.followed = true;
	log_info("%s: %s is in %s", name_of(a), a->config->unit, path);
	return 0;
}

/* It ran, or was about to, and is not what was measured. */
static void run_is_wrong(struct application *a, int error)
{
	if (error != -ESTALE)
		log_error("%s: %s cannot be followed: %s", name_of(a), a->config->unit,
			  strerror(-error));
	if (a->unit.followed && target_kill(a->target) < 0)
		log_error("%s: its processes cannot be ended", name_of(a));
	application_run_failed(a, "it is not as it was measured");
}

/* Nobody is in it, or it is not there any more. */
static bool is_empty(struct application *a)
{
	bool populated;
	int r = cgroup_populated(a->target->cgroup_fd, &populated);

	return r == 0 ? !populated : r == -ENOENT || r == -ENODEV;
}

static void unit_ended(struct application *a)
{
	log_notice("%s: %s has ended", name_of(a), a->config->unit);
	application_run_ended(a);
}

bool application_unit_ending(const struct application *a)
{
	struct pollfd p = { .fd = a->unit.main_fd, .events = POLLIN };

	return a->unit.main_exit && poll(&p, 1, 0) > 0;
}

static void on_main_exit(evutil_socket_t fd, short what, void *arg)
{
	struct application *a = arg;

	schedule_stop(a->schedule);
	if (is_empty(a))
		unit_ended(a);
}

static void forget_main(struct application *a)
{
	if (a->unit.main_exit)
		event_free(a->unit.main_exit);
	if (a->unit.main_fd > 0)
		close(a->unit.main_fd);
	a->unit.main_exit = NULL;
	a->unit.main_fd = -1;
}

static int watch_main_process(struct application *a, pid_t pid)
{
	a->unit.main_fd = pidfd_open(pid, 0);
	if (a->unit.main_fd < 0)
		return neg_errno();
	a->unit.main_exit = event_new(a->daemon->base, a->unit.main_fd, EV_READ, on_main_exit, a);
	if (!a->unit.main_exit || event_add(a->unit.main_exit, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void on_main_process(struct application *a, pid_t pid)
{
	int r = application_run_check(a);

	if (r == 0)
		r = watch_main_process(a, pid);
	/* The kernel was asked for that number: is it still the unit's? */
	if (r == 0 && !target_has(a->target, pid))
		r = -ESRCH;
	if (r == -ESRCH) {
		forget_main(a);
		return; /* it ended already; the next look asks again */
	}
	if (r < 0) {
		run_is_wrong(a, r);
		return;
	}
	if (!a->unit.entered)
		log_warning("%s: systemd started it without waiting for assayd (LoadCredential= "
			    "from credential_socket would)",
			    name_of(a));
	a->target->root_pid = pid;
	application_run_started(a);
}

static int ask(void *arg)
{
	struct unit_question *q = arg;

	return unit_main_process(q->unit, &q->pid, &q->started);
}

static void question_free(struct unit_question *q)
{
	free(q->unit);
	free(q);
}

/* The process of the unit that began first; processes of one tick in the order of their numbers. */
static pid_t oldest_process(struct application *a)
{
	pid_t pids[PIDS_MAX], oldest = 0;
	ssize_t n = cgroup_pids(a->target->cgroup_fd, pids, ARRAY_LEN(pids));

	for (ssize_t i = 0; i < n && i < (ssize_t)ARRAY_LEN(pids); i++) {
		if (oldest == 0 || pids[i] < oldest)
			oldest = pids[i];
	}
	return oldest;
}

static void answered(void *arg, int result)
{
	struct unit_question *q = arg;
	struct application *a = q->app;
	pid_t pid = 0;

	if (a) {
		a->unit.question = NULL;
		if (result == 0 && q->started)
			pid = q->pid;
		else if (result < 0 && ++a->unit.unanswered >= OLDEST_LOOKS)
			pid = oldest_process(a);
		if (result < 0 && a->unit.unanswered == OLDEST_LOOKS)
			log_notice("%s: systemd does not say which process is the main one (%s): "
				   "it is the oldest",
				   name_of(a), strerror(-result));
		if (pid > 0 && target_has(a->target, pid))
			on_main_process(a, pid);
	}
	question_free(q);
}

static void ask_systemd(struct application *a)
{
	struct unit_question *q = calloc(1, sizeof(*q));
	int r = -ENOMEM;

	if (q)
		q->unit = strdup(a->config->unit);
	if (q && q->unit) {
		q->app = a;
		r = worker_run(a->daemon->files, ask, answered, q);
	}
	if (r == 0) {
		a->unit.question = q;
		return;
	}
	if (q)
		question_free(q);
	log_warning("%s: systemd cannot be asked now: %s", name_of(a), strerror(-r));
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct application *a = arg;
	int r;

	look_again(a);
	if (!a->unit.followed) {
		r = follow_unit(a);
		if (r < 0 && r != -ENOENT)
			run_is_wrong(a, r);
		return;
	}
	if (is_empty(a)) {
		if (a->state == APPLICATION_RUNNING || ++a->unit.empty_looks >= EMPTY_LOOKS)
			unit_ended(a);
		return;
	}
	a->unit.empty_looks = 0;
	if (a->state == APPLICATION_STARTING && !a->unit.question)
		ask_systemd(a);
}

void application_unit_begin(struct application *a)
{
	if (!a->unit.look)
		a->unit.look = evtimer_new(a->daemon->base, on_look, a);
	if (!a->unit.look) {
		application_run_failed(a, "out of memory");
		return;
	}
	log_notice("%s: measured; %s may be started", name_of(a), a->config->unit);
	look_again(a);
}

static int belongs(const struct application *a, pid_t pid)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(PROC_TEXT);
	CLEANUP(cleanup_fd) int fd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(&text, fd);
	if (r < 0)
		return r;
	return unit_owns(bytes_view(&text), a->config->unit) ? 0 : -EACCES;
}

int application_unit_enter(struct application *a, pid_t pid)
{
	int r = belongs(a, pid);

	if (r < 0)
		return r;
	if (a->state != APPLICATION_STARTING && a->state != APPLICATION_RUNNING)
		return -EAGAIN;
	a->unit.entered = true;
	if (!a->unit.followed) {
		r = follow_unit(a);
		if (r == -ESTALE) {
			/* Nothing of it has run: it is measured once more, and waits for that. */
			application_run_failed(a, "its files changed since they were measured");
			application_start(a);
			return -EAGAIN;
		}
	}
	return r;
}

void application_unit_clear(struct application *a)
{
	if (a->unit.question)
		a->unit.question->app = NULL;
	a->unit.question = NULL;
	forget_main(a);
	a->unit.followed = a->unit.entered = false;
	a->unit.empty_looks = a->unit.unanswered = 0;
	if (a->unit.look)
		event_del(a->unit.look);
}
