/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "collectors/follow_state.h"
#include "collectors/proc_text.h"

/*
 * hooks: full. Programs at the way out of single system calls are attached by the number that
 * tracefs has for that place. It need not be mounted: we look at a mount that is in no tree.
 */

static int open_tracefs(struct follow *f)
{
	CLEANUP(cleanup_fd) int context = -1;

	if (f->tracefs_fd >= 0)
		return 0;
	context = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return neg_errno();
	f->tracefs_fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return f->tracefs_fd < 0 ? neg_errno() : 0;
}

static int event_number(struct follow *f, const char *hook)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[96], text[16];
	uint64_t number;
	ssize_t n;
	int r;

	snprintf(path, sizeof(path), "events/syscalls/%s/id", hook);
	fd = openat(f->tracefs_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return neg_errno();
	r = proc_parse_number(view_of(text, (size_t)n), INT_MAX, &number);
	if (r < 0)
		return r;
	return number > 0 ? (int)number : -EBADMSG;
}

int follow_syscall_attach(struct follow *f, struct bpf_program *program, const char *hook,
			  struct bpf_link **ret)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	struct bpf_link *link;
	int r, fd;

	r = open_tracefs(f);
	if (r == 0)
		r = event_number(f, hook);
	if (r < 0)
		return r;
	attr.config = (uint64_t)r;
	attr.sample_period = 1;
	attr.wakeup_events = 1;
	/* A program runs on every CPU, whichever the event is of. */
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	link = bpf_program__attach_perf_event(program, fd);
	if (!link) {
		r = neg_errno();
		close(fd);
		return r;
	}
	*ret = link;
	return 0;
}
