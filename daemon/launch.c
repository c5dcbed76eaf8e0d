/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include <assert.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "cleanup.h"
#include "launch_child.h"
#include "log.h"

/* Between the report pipe's end and the stop after execve lie microseconds, or a page fault. */
#define HELD_LOOK_USEC 500

const char *const launch_chip_paths[] = {
	"/sys/kernel/config", /* configfs-tsm; whole: it may be mounted later */
	"/dev/tpm*",	      "/dev/tdx_guest", "/dev/tdx-guest",
	"/dev/sev-guest",     "/dev/csv-guest",
	"/sys/devices/virtual/misc/tdx_guest/measurements", /* RTMRs, which can be extended there */
	NULL,
};

enum state {
	WAITING,   /* for launch_go */
	GOING,	   /* let go, not running yet */
	RUNNING,   /* execve was done and checked */
	CANCELLED, /* killed before it ran, and the caller knows */
	GONE,	   /* reaped */
};

struct launch {
	enum state state;
	bool abandoned; /* launch_free was called: ends itself when the child is gone */
	pid_t pid;
	int pidfd, report_fd, go_fd;
	struct event *on_exit, *on_report, *look, *deadline;

	const struct launch_events *events;
	int (*check)(void *arg);
	void *arg;

	const char *failed_step; /* NULL: nothing failed yet */
	int error;
};

static void plan_done(struct launch_plan *p)
{
	for (size_t i = 0; i < p->n_hidden; i++)
		free(p->hidden[i].path);
	free(p->empty_file);
	free(p->empty_directory);
}

static int plan_hide(struct launch_plan *p, const char *const *patterns)
{
	int r = 0;

	for (size_t i = 0; patterns && patterns[i] && r == 0; i++) {
		glob_t found = { 0 };

		r = glob(patterns[i], 0, NULL, &found);
		if (r == GLOB_NOMATCH) {
			r = 0;
			continue;
		}
		if (r != 0)
			return r == GLOB_NOSPACE ? -ENOMEM : -EIO;
		for (size_t j = 0; j < found.gl_pathc && r == 0; j++) {
			struct launch_hidden *h = &p->hidden[p->n_hidden];
			struct stat st;

			if (stat(found.gl_pathv[j], &st) < 0)
				continue; /* gone, or a link to nothing */
			if (p->n_hidden == LAUNCH_HIDDEN_MAX) {
				r = -E2BIG;
				break;
			}
			h->directory = S_ISDIR(st.st_mode);
			h->path = strdup(found.gl_pathv[j]);
			if (!h->path)
				r = -ENOMEM;
			else
				p->n_hidden++;
		}
		globfree(&found);
	}
	return r;
}

static int plan_make(const struct config_application *a, const struct launch_in *in,
		     struct launch_plan *p)
{
	char start[2];
	ssize_t n;
	int r;

	n = pread(in->program_fd, start, sizeof(start), 0);
	if (n < 0)
		return neg_errno();
	p->script = n == 2 && memcmp(start, "#!", 2) == 0;
	p->user = in->user;
	p->directory = a->directory ? a->directory : "/";
	p->argv = in->argv;
	p->envp = in->envp;
	p->program_fd = in->program_fd;
	p->credentials_root = in->credentials_root;
	p->credentials = in->credentials;
	if (asprintf(&p->empty_file, "%s/.empty-file", in->credentials_root) < 0) {
		p->empty_file = NULL;
		return -ENOMEM;
	}
	if (asprintf(&p->empty_directory, "%s/.empty-directory", in->credentials_root) < 0) {
		p->empty_directory = NULL;
		return -ENOMEM;
	}
	r = plan_hide(p, launch_chip_paths);
	if (r < 0)
		return r;
	return plan_hide(p, in->hide);
}

/*
 * The child moves itself into its cgroup, before anything of the application is in it.
 * CLONE_INTO_CGROUP would be shorter, but kernels from 6.14 on kill what is cloned into a cgroup
 * that was ever emptied through cgroup.kill from one that was not.
 */
static pid_t clone_child(int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void kill_child(struct launch *l)
{
	/* ESRCH: it is gone, which on_exit sees. */
	if (pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		log_error("pid %d cannot be killed: %m", l->pid);
}

static void launch_end(struct launch *l)
{
	struct event *events[] = { l->on_exit, l->on_report, l->look, l->deadline };

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	cleanup_fd(&l->pidfd);
	cleanup_fd(&l->report_fd);
	cleanup_fd(&l->go_fd);
	free(l);
}

/* Nothing may run: the child is killed, and failed() called when it is gone. */
static void give_up(struct launch *l, const char *step, int error)
{
	if (!l->failed_step) {
		l->failed_step = step;
		l->error = error;
	}
	kill_child(l);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct launch *l = arg;
	enum state before = l->state;
	siginfo_t info = { 0 };
	int status;

	if (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED | WNOHANG) < 0) {
		log_error("pid %d cannot be waited for: %m", l->pid);
		info = (siginfo_t){ .si_code = CLD_EXITED };
		info.si_status = 255;
	} else if (info.si_pid == 0) {
		return;
	}
	l->state = GONE;
	event_del(l->on_exit);
	event_del(l->on_report);
	event_del(l->look);
	event_del(l->deadline);

	if (l->abandoned) {
		launch_end(l);
		return;
	}
	status = info.si_code == CLD_EXITED
			 ? (info.si_status & 0xff) << 8
			 : info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	/* The callbacks may free l. */
	if (before == RUNNING)
		l->events->exited(l->arg, status);
	else if (before != CANCELLED)
		l->events->failed(l->arg, l->failed_step ? l->failed_step : "ended before it ran",
				  l->failed_step ? l->error : -ECHILD);
}

/* The program is in memory and has not run one instruction. */
static void held_after_exec(struct launch *l)
{
	int r = l->check(l->arg);

	if (r < 0) {
		give_up(l, "measured files, after execve", r);
		return;
	}
	if (ptrace(PTRACE_DETACH, l->pid, NULL, NULL) < 0) {
		give_up(l, "release after execve", neg_errno());
		return;
	}
	l->state = RUNNING;
	event_del(l->deadline);
	l->events->started(l->arg);
}

static void look_again(struct launch *l)
{
	struct timeval soon = { .tv_usec = HELD_LOOK_USEC };

	if (event_add(l->look, &soon) < 0)
		give_up(l, "timer", -ENOMEM);
}

/* A stop of a traced child makes no descriptor readable, so it is looked for. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct launch *l = arg;
	siginfo_t info = { 0 };
	int event, sig;

	if (l->state != GOING || l->failed_step)
		return;
	if (waitid(P_PIDFD, (id_t)l->pidfd, &info, WSTOPPED | WNOHANG) < 0) {
		give_up(l, "execve", neg_errno());
		return;
	}
	if (info.si_pid == 0) {
		look_again(l);
		return;
	}
	event = info.si_status >> 8;
	if (event == PTRACE_EVENT_EXEC) {
		held_after_exec(l);
		return;
	}
	/* A signal on its way: it gets it, and goes on. */
	sig = event == 0 ? info.si_status : 0;
	if (ptrace(PTRACE_CONT, l->pid, NULL, (void *)(intptr_t)sig) < 0)
		give_up(l, "execve", neg_errno());
	else
		look_again(l);
}

static void on_report_event(evutil_socket_t fd, short what, void *arg)
{
	struct launch *l = arg;
	struct launch_report report;
	ssize_t n = read(l->report_fd, &report, sizeof(report));

	if (n < 0 && errno == EAGAIN)
		return;
	event_del(l->on_report);
	if (n == sizeof(report))
		give_up(l, launch_step_name(report.step), report.error);
	else if (n != 0)
		give_up(l, "report of the child", n < 0 ? neg_errno() : -EBADMSG);
	else if (l->state == GOING)
		on_look(-1, 0, l); /* closed by execve, or by the child's end */
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct launch *l = arg;

	if (l->state == RUNNING)
		kill_child(l); /* it was asked to stop */
	else
		give_up(l, "start in time", -ETIMEDOUT);
}

static int add_events(struct event_base *base, struct launch *l)
{
	l->on_exit = event_new(base, l->pidfd, EV_READ | EV_PERSIST, on_exit_event, l);
	l->on_report = event_new(base, l->report_fd, EV_READ | EV_PERSIST, on_report_event, l);
	l->look = evtimer_new(base, on_look, l);
	l->deadline = evtimer_new(base, on_deadline, l);
	if (!l->on_exit || !l->on_report || !l->look || !l->deadline)
		return -ENOMEM;
	if (event_add(l->on_exit, NULL) < 0 || event_add(l->on_report, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/*
 * Makes the child. From here on there is one to be killed and reaped, which is
 * why everything that can fail before is done before.
 */
static int start_child(struct launch *l, struct launch_plan *p, int cgroup_fd)
{
	CLEANUP(cleanup_fd) int report_child = -1;
	CLEANUP(cleanup_fd) int go_child = -1;
	int report[2], go[2], error;
	sigset_t all, before;

	if (pipe2(report, O_CLOEXEC) < 0)
		return neg_errno();
	l->report_fd = report[0];
	report_child = report[1];
	/* A socket, for MSG_NOSIGNAL: the child may be gone by then. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return neg_errno();
	go_child = go[0];
	l->go_fd = go[1];
	if (fcntl(l->report_fd, F_SETFL, O_NONBLOCK) < 0)
		return neg_errno();
	p->report_fd = report_child;
	p->go_fd = go_child;

	/* No handler of assayd's may run in the child. */
	sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error != 0)
		return -error;
	p->cgroup_fd = cgroup_fd;
	l->pid = clone_child(&l->pidfd);
	if (l->pid == 0)
		launch_child(p);
	error = l->pid < 0 ? neg_errno() : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void reap_unseen(struct launch *l)
{
	if (l->pid <= 0)
		return;
	kill_child(l);
	/* It was made a moment ago and waits in our own code. */
	waitid(P_PIDFD, (id_t)l->pidfd, NULL, WEXITED);
	l->pid = 0;
}

int launch_prepare(struct event_base *base, const struct config_application *a,
		   const struct launch_in *in, const struct launch_events *events, void *arg,
		   struct launch **ret, const char **ret_step)
{
	struct launch_plan plan = { 0 };
	struct launch *l;
	int r;

	*ret_step = "preparation";
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->pidfd = l->report_fd = l->go_fd = -1;
	l->events = events;
	l->check = in->check;
	l->arg = arg;

	r = plan_make(a, in, &plan);
	if (r < 0)
		goto out;
	*ret_step = "clone";
	r = start_child(l, &plan, in->target->cgroup_fd);
	if (r < 0)
		goto out;
	/*
	 * Held after execve until the files were looked at once more. Without it the program
	 * would run, with its secrets, before a change was found; so no start without it. If
	 * assayd dies while it holds the child, the child dies too.
	 */
	*ret_step = "hold after execve (ptrace)";
	if (ptrace(PTRACE_SEIZE, l->pid, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0) {
		r = neg_errno();
		goto out;
	}
	*ret_step = "events";
	r = add_events(base, l);
	if (r < 0)
		goto out;
	*ret = TAKE(l);
out:
	plan_done(&plan);
	if (l) {
		reap_unseen(l);
		launch_end(l);
	}
	return r;
}

pid_t launch_pid(const struct launch *l)
{
	return l->pid;
}

int launch_pidfd(const struct launch *l)
{
	return l->pidfd;
}

int launch_go(struct launch *l)
{
	struct timeval limit = { .tv_sec = LAUNCH_START_SECONDS };
	int r;

	assert(l->state != GOING && l->state != RUNNING);
	if (l->state != WAITING)
		return -ECHILD;
	r = l->check(l->arg);
	if (r == 0 && event_add(l->deadline, &limit) < 0)
		r = -ENOMEM;
	if (r < 0) {
		l->state = CANCELLED;
		kill_child(l);
		return r;
	}
	l->state = GOING;
	/* A child that has failed by now has closed its end; on_exit tells. */
	if (send(l->go_fd, "g", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
		give_up(l, "start signal", neg_errno());
	cleanup_fd(&l->go_fd);
	l->go_fd = -1;
	return 0;
}

void launch_stop(struct launch *l, enum launch_stop how)
{
	struct timeval limit = { .tv_sec = LAUNCH_STOP_SECONDS };

	if (l->state == GONE || l->state == CANCELLED)
		return;
	if (l->state != RUNNING) {
		give_up(l, "stopped before it ran", -ECANCELED);
		return;
	}
	if (how == LAUNCH_STOP_KILL || event_add(l->deadline, &limit) < 0 ||
	    pidfd_send_signal(l->pidfd, SIGTERM, NULL, 0) < 0)
		kill_child(l);
}

void launch_free(struct launch *l)
{
	if (!l)
		return;
	if (l->state == GONE || l->state == RUNNING) {
		launch_end(l);
		return;
	}
	kill_child(l);
	l->abandoned = true;
}
