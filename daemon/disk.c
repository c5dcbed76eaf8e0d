/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "cleanup.h"
#include "log.h"

struct disk {
	const struct config_application *app;
	pid_t pid;
	int pidfd;
	bool late;
	struct event *on_exit, *deadline;
	void (*opened)(void *arg, const char *why);
	void *arg;
	char why[256];
};

CLEANUP_FUNCTION(struct disk *, disk_free)

const char *disk_status_text(const struct config_disk *d, int status)
{
	/* cryptsetup(8), RETURN CODES; the same of veritysetup(8). */
	switch (status) {
	case 1:
		return d->kind == DISK_LUKS
			       ? "it is no LUKS2 disk, its header is damaged, or a module "
				 "(dm_mod) is missing; what it said is above"
			       : "its verity header is damaged, or not of this root hash";
	case 2:
		return "the released secret is not its passphrase: is it the right secret of the "
		       "right disk?";
	case 3:
		return "out of memory";
	case 4:
		return "the device is missing or damaged, or a module (dm_crypt, dm_verity, a "
		       "cipher) is not among initrd.modules";
	case 5:
		return "a disk of that name is open, or the device in use";
	default:
		return "the program that opens it could not be run";
	}
}

/* Only async-signal-safe calls: other threads of assayd may have held locks. */
static _Noreturn void child(const struct disk *d, int program_fd, int input)
{
	/* libdevmapper makes the node itself: udev may not run here, or lack the rules to. */
	char without_udev[] = "DM_DISABLE_UDEV=1";
	char *const environment[] = { without_udev, NULL };
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	/* Should assayd end, nobody is left who knows what the disk was opened for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0 &&
	    dup2(input, STDIN_FILENO) >= 0)
		execveat(program_fd, "", d->app->exec, environment, AT_EMPTY_PATH);
	_exit(127);
}

static void finish(struct disk *d, const char *why)
{
	event_del(d->deadline);
	event_del(d->on_exit);
	d->opened(d->arg, why); /* may free d */
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct disk *d = arg;
	siginfo_t info = { 0 };
	char node[160];

	if (waitid(P_PIDFD, (id_t)d->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	d->pid = 0;
	snprintf(node, sizeof(node), "/dev/mapper/%s", d->app->disk.name);
	if (d->late)
		snprintf(d->why, sizeof(d->why), "%s did not end within %d s", d->app->exec[0],
			 DISK_SECONDS);
	else if (info.si_code != CLD_EXITED)
		snprintf(d->why, sizeof(d->why), "%s was ended by signal %d", d->app->exec[0],
			 info.si_status);
	else if (info.si_status != 0)
		snprintf(d->why, sizeof(d->why), "%s",
			 disk_status_text(&d->app->disk, info.si_status));
	else if (access(node, F_OK) < 0)
		snprintf(d->why, sizeof(d->why), "it was opened, and there is no %s", node);
	finish(d, d->why[0] ? d->why : NULL);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct disk *d = arg;

	d->late = true;
	if (pidfd_send_signal(d->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		log_error("%s: pid %d cannot be ended: %m", d->app->name, (int)d->pid);
}

static int start(struct disk *d, int program_fd, const struct secret *passphrase)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&d->pidfd,
		.exit_signal = SIGCHLD,
	};
	CLEANUP(cleanup_fd) int input = -1;
	CLEANUP(cleanup_fd) int output = -1;
	struct view v = { 0 };
	sigset_t all, before;
	int ends[2], r;

	if (passphrase)
		v = secret_view(passphrase);
	if (v.len > DISK_PASSPHRASE_MAX)
		return -EMSGSIZE;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return neg_errno();
	input = ends[0];
	output = ends[1];
	/* Less than an empty pipe holds. */
	if (v.len > 0 && write(output, v.data, v.len) != (ssize_t)v.len)
		return -EIO;
	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	d->pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (d->pid == 0)
		child(d, program_fd, input);
	r = d->pid < 0 ? neg_errno() : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int disk_open(struct event_base *base, const struct config_application *a, int program_fd,
	      const struct secret *passphrase, void (*opened)(void *arg, const char *why),
	      void *arg, struct disk **ret)
{
	static const struct timeval limit = { DISK_SECONDS, 0 };
	CLEANUP(disk_freep) struct disk *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->app = a;
	d->pidfd = -1;
	d->opened = opened;
	d->arg = arg;
	r = start(d, program_fd, passphrase);
	if (r < 0)
		return r;
	d->on_exit = event_new(base, d->pidfd, EV_READ | EV_PERSIST, on_exit_event, d);
	d->deadline = evtimer_new(base, on_late, d);
	if (!d->on_exit || !d->deadline || event_add(d->on_exit, NULL) < 0 ||
	    event_add(d->deadline, &limit) < 0)
		return -ENOMEM;
	*ret = TAKE(d);
	return 0;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	if (d->pid > 0) {
		(void)!pidfd_send_signal(d->pidfd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)d->pidfd, NULL, WEXITED);
	}
	if (d->on_exit)
		event_free(d->on_exit);
	if (d->deadline)
		event_free(d->deadline);
	cleanup_fd(&d->pidfd);
	free(d);
}
