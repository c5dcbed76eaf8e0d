/* SPDX-License-Identifier: Apache-2.0 */
#include "launch_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOUNT_LOCKED_DOWN (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/*
 * What an application does not get even as root: with one of these it could take
 * away what hides the chip, make the device nodes anew, or reach into assayd.
 */
static const unsigned long capabilities_dropped[] = {
	CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_PTRACE,
	CAP_SYS_BOOT,  CAP_MKNOD,      CAP_BPF,	      CAP_PERFMON,
};

static int step_session(const struct launch_plan *p)
{
	return setsid() < 0 ? neg_errno() : 0;
}

/* All are blocked since before the clone, so none can arrive in between. */
static int step_signals(const struct launch_plan *p)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

	for (int i = 1; i < NSIG; i++) {
		/* Two belong to the C library, two cannot be changed. */
		if (sigaction(i, &sa, NULL) < 0 && errno != EINVAL)
			return neg_errno();
	}
	return 0;
}

static int step_cgroup(const struct launch_plan *p)
{
	int fd, r = 0;

	fd = openat(p->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	if (write(fd, "0", 1) != 1)
		r = neg_errno();
	close(fd);
	return r;
}

static int step_mount_namespace(const struct launch_plan *p)
{
	if (unshare(CLONE_NEWNS) < 0)
		return neg_errno();
	/* What is mounted later still arrives here; nothing goes the other way. */
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? neg_errno() : 0;
}

/* Over the credentials of all applications comes a place of our own, with this one's in it. */
static int step_credentials(const struct launch_plan *p)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
	};
	int tree = -1, r = 0;

	if (p->credentials) {
		tree = open_tree(AT_FDCWD, p->credentials, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (tree < 0)
			return neg_errno();
	}
	if (mount("assay", p->credentials_root, "tmpfs", MOUNT_LOCKED_DOWN, "mode=0755,size=64k") <
	    0)
		r = neg_errno();
	else if (tree >= 0 &&
		 (mkdir(p->credentials, 0755) < 0 ||
		  mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0 ||
		  move_mount(tree, "", AT_FDCWD, p->credentials, MOVE_MOUNT_F_EMPTY_PATH) < 0))
		r = neg_errno();
	if (tree >= 0)
		close(tree);
	return r;
}

static int step_hide(const struct launch_plan *p)
{
	int fd;

	fd = open(p->empty_file, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return neg_errno();
	close(fd);
	if (mkdir(p->empty_directory, 0) < 0)
		return neg_errno();

	for (size_t i = 0; i < p->n_hidden; i++) {
		const struct launch_hidden *h = &p->hidden[i];

		if (mount(h->directory ? p->empty_directory : p->empty_file, h->path, NULL, MS_BIND,
			  NULL) < 0)
			return neg_errno();
		if (mount(NULL, h->path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MOUNT_LOCKED_DOWN,
			  NULL) < 0)
			return neg_errno();
	}

	/* The mounts keep what they show. */
	if (unlink(p->empty_file) < 0 || rmdir(p->empty_directory) < 0)
		return neg_errno();
	if (mount(NULL, p->credentials_root, NULL,
		  MS_BIND | MS_REMOUNT | MS_RDONLY | MOUNT_LOCKED_DOWN, NULL) < 0)
		return neg_errno();
	return 0;
}

static int close_between(int low, int high)
{
	if (low > high)
		return 0;
	return close_range((unsigned int)low, (unsigned int)high, 0) < 0 ? neg_errno() : 0;
}

/* Output stays assayd's, which is the journal or the terminal; all else is closed now. */
static int step_descriptors(const struct launch_plan *p)
{
	int keep[] = { p->program_fd, p->report_fd, p->go_fd };
	int null, low = STDERR_FILENO + 1, r;

	null = open("/dev/null", O_RDONLY);
	if (null < 0)
		return neg_errno();
	if (null != STDIN_FILENO && (dup2(null, STDIN_FILENO) < 0 || close(null) < 0))
		return neg_errno();

	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		for (size_t j = i + 1; j < ARRAY_LEN(keep); j++) {
			if (keep[j] < keep[i]) {
				int t = keep[i];

				keep[i] = keep[j];
				keep[j] = t;
			}
		}
		r = close_between(low, keep[i] - 1);
		if (r < 0)
			return r;
		low = keep[i] + 1;
	}
	r = close_between(low, ~0U >> 1);
	if (r < 0)
		return r;
	if (fcntl(p->program_fd, F_SETFD, p->script ? 0 : FD_CLOEXEC) < 0)
		return neg_errno();
	return 0;
}

static int step_capabilities(const struct launch_plan *p)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	for (size_t i = 0; i < ARRAY_LEN(capabilities_dropped); i++) {
		/* EINVAL: a kernel that does not know it. */
		if (prctl(PR_CAPBSET_DROP, capabilities_dropped[i], 0, 0, 0) < 0 && errno != EINVAL)
			return neg_errno();
	}
	/* What assayd could pass on to programs it executes is not for this one. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return neg_errno();
	if (syscall(SYS_capget, &header, data) < 0)
		return neg_errno();
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &header, data) < 0 ? neg_errno() : 0;
}

/*
 * System calls themselves: the C library's functions tell the other threads of
 * the process, and it does not know that after a bare clone there are none.
 */
static int step_groups(const struct launch_plan *p)
{
	if (syscall(SYS_setgroups, p->user->n_groups, p->user->groups) < 0)
		return neg_errno();
	if (syscall(SYS_setresgid, p->user->gid, p->user->gid, p->user->gid) < 0)
		return neg_errno();
	return 0;
}

static int step_user(const struct launch_plan *p)
{
	if (syscall(SYS_setresuid, p->user->uid, p->user->uid, p->user->uid) < 0)
		return neg_errno();
	return 0;
}

static int step_directory(const struct launch_plan *p)
{
	umask(022);
	return chdir(p->directory) < 0 ? neg_errno() : 0;
}

static int step_go(const struct launch_plan *p)
{
	char go;

	/* End of file: assayd is gone, or changed its mind. */
	if (read(p->go_fd, &go, 1) != 1)
		_exit(0);
	return 0;
}

static int step_execute(const struct launch_plan *p)
{
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return neg_errno();
	execveat(p->program_fd, "", p->argv, p->envp, AT_EMPTY_PATH);
	return neg_errno();
}

static const struct {
	const char *name;
	int (*run)(const struct launch_plan *p);
} step_table[] = {
	{ "session", step_session },
	{ "signals", step_signals },
	{ "cgroup", step_cgroup },
	{ "mount namespace", step_mount_namespace },
	{ "credentials", step_credentials },
	{ "hiding the chip", step_hide },
	{ "descriptors", step_descriptors },
	{ "capabilities", step_capabilities },
	{ "groups", step_groups },
	{ "user", step_user },
	{ "working directory", step_directory },
	{ "start signal", step_go },
	{ "execve", step_execute },
};

const char *launch_step_name(uint32_t step)
{
	return step < ARRAY_LEN(step_table) ? step_table[step].name : "unknown step";
}

void launch_child(const struct launch_plan *p)
{
	struct launch_report report;

	for (size_t i = 0; i < ARRAY_LEN(step_table); i++) {
		int r = step_table[i].run(p);

		if (r < 0) {
			report = (struct launch_report){ (uint32_t)i, r };
			if (write(p->report_fd, &report, sizeof(report)) != sizeof(report))
				_exit(126);
			_exit(127);
		}
	}
	_exit(127);
}
