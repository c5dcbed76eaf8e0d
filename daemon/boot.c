/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "application.h"
#include "cleanup.h"
#include "initrd.h"
#include "log.h"
#include "monitor.h"

#define LOOK_MS 100
#define MARK	"initrd" /* in the runtime directory, while an assayd of the initrd runs */

struct boot {
	struct daemon *daemon;
	int report_fd; /* -1: the front knows all it is told */
	size_t disks_closed;
	uint32_t failures;
	bool waits_for_root;
	int proc_fd; /* of the initrd's /proc, which moves away from under its name */
	struct stat root;
	struct event *look;
	char *mark;
};

CLEANUP_FUNCTION(struct boot *, boot_free)

/* For assayd.service: another assayd has no place beside this one. */
static int make_mark(struct boot *b)
{
	CLEANUP(cleanup_fd) int fd = -1;

	if (asprintf(&b->mark, "%s/" MARK, b->daemon->config->runtime_directory) < 0) {
		b->mark = NULL;
		return -ENOMEM;
	}
	fd = open(b->mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return neg_errno();
	return dprintf(fd, "%d\n", (int)getpid()) < 0 ? -EIO : 0;
}

static void tell_front(struct boot *b, const struct initrd_report *report)
{
	if (b->report_fd < 0)
		return;
	if (send(b->report_fd, report, sizeof(*report), MSG_NOSIGNAL) != sizeof(*report))
		log_error("initrd: the front cannot be told: %m");
	cleanup_fd(&b->report_fd);
	b->report_fd = -1;
}

static void look_again(struct boot *b)
{
	struct timeval soon = { .tv_usec = LOOK_MS * 1000 };

	if (event_add(b->look, &soon) < 0)
		log_error("initrd: no timer: the new root will not be seen");
}

static int take_new_root(struct boot *b)
{
	CLEANUP(cleanup_fd)
	int fd = openat(b->proc_fd, "1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fchdir(fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return neg_errno();
	return 0;
}

static void on_new_root(struct boot *b)
{
	struct daemon *d = b->daemon;
	int r = take_new_root(b);

	if (r < 0) {
		log_error("initrd: the new root cannot be made assayd's: %s; no application of it "
			  "is started",
			  strerror(-r));
		return;
	}
	b->waits_for_root = false;
	cleanup_fd(&b->proc_fd);
	b->proc_fd = -1;
	log_follow_journal();
	if (privsep_send(d->net, PRIVSEP_ABOVE_ROOT, (struct view){ 0 }) < 0)
		log_warning("initrd: net will have to be killed when the machine ends");
	log_notice("initrd: process 1 has a new root, and assayd moved to it; %zu application%s "
		   "in all",
		   d->n_applications, d->n_applications == 1 ? "" : "s");
	for (size_t i = 0; i < d->n_applications; i++) {
		if (d->applications[i]->config->disk.kind == DISK_NONE)
			application_start(d->applications[i]);
	}
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct boot *b = arg;
	struct stat st;

	if (fstatat(b->proc_fd, "1/root", &st, 0) < 0 ||
	    (st.st_dev == b->root.st_dev && st.st_ino == b->root.st_ino))
		look_again(b);
	else
		on_new_root(b);
}

static void opened(struct boot *b)
{
	static const struct initrd_report open = { .what = INITRD_OPEN };

	tell_front(b, &open);
	if (b->waits_for_root)
		look_again(b);
}

int boot_new(struct daemon *d, int report_fd, struct boot **ret)
{
	CLEANUP(boot_freep) struct boot *b = calloc(1, sizeof(*b));
	int r;

	if (!b) {
		close(report_fd);
		return -ENOMEM;
	}
	b->daemon = d;
	b->report_fd = report_fd;
	b->proc_fd = -1;
	for (size_t i = 0; i < d->config->n_applications; i++)
		b->disks_closed += d->config->applications[i].disk.kind != DISK_NONE;
	/* Who is not process 1 is followed by a change of the root; process 1 says so. */
	b->waits_for_root = d->config->initrd.root.device || getppid() != 1;
	b->look = evtimer_new(d->base, on_look, b);
	if (!b->look)
		return -ENOMEM;
	b->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->proc_fd < 0 || stat("/", &b->root) < 0)
		return neg_errno();
	r = make_mark(b);
	if (r < 0)
		return r;
	*ret = TAKE(b);
	return 0;
}

void boot_free(struct boot *b)
{
	if (!b)
		return;
	cleanup_fd(&b->report_fd);
	cleanup_fd(&b->proc_fd);
	if (b->look)
		event_free(b->look);
	if (b->mark)
		unlink(b->mark);
	free(b->mark);
	free(b);
}

void boot_begin(struct boot *b)
{
	if (b->disks_closed == 0)
		opened(b);
}

bool boot_holds(const struct boot *b, const struct config_application *a)
{
	return b && b->waits_for_root && a->disk.kind == DISK_NONE;
}

void boot_disk_opened(struct boot *b)
{
	if (b && b->disks_closed > 0 && --b->disks_closed == 0)
		opened(b);
}

static void give_up(struct boot *b, const struct application *a, const char *what, const char *why)
{
	struct initrd_report report = { .what = INITRD_FAILED };

	snprintf(report.why, sizeof(report.why), "%s: %s: %s", a->config->name, what, why);
	tell_front(b, &report);
}

void boot_disk_failed(struct boot *b, const struct application *a, const char *why)
{
	if (b && ++b->failures >= b->daemon->config->initrd.attempts)
		give_up(b, a, "the disk was not opened", why);
}

void boot_disk_refused(struct boot *b, const struct application *a, const char *reasons)
{
	if (b)
		give_up(b, a,
			"the verifier refused this boot, and will again until its policy or what "
			"boots here is changed",
			reasons);
}
