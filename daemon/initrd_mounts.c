/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

#define ROOTFS_LINE "rootfs / rootfs " /* proc(5): the kernel's first root, and nothing over it */
#define LOCKED	    (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* In the order in which they are mounted: one may lie in another. */
static const struct {
	const char *type, *where;
	unsigned long flags;
	const char *options;
	bool needed; /* without it nothing works; others are left out where the kernel has none */
} mounts[] = {
	{ "proc", "/proc", LOCKED, NULL, true },
	{ "sysfs", "/sys", LOCKED, NULL, true },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=0755", true },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666", false },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", false },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", true },
	{ "cgroup2", "/sys/fs/cgroup", LOCKED, NULL, true },
	{ "securityfs", "/sys/kernel/security", LOCKED, NULL, false },
	{ "tracefs", "/sys/kernel/tracing", LOCKED, NULL, false },
	{ "bpf", "/sys/fs/bpf", LOCKED, "mode=0700", false },
	{ "configfs", "/sys/kernel/config", LOCKED, NULL, false },
};

/* What programs expect in /dev and the kernel does not make; a script is opened by /dev/fd/N. */
static const struct {
	const char *to, *at;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* What moves into the new root, with all that is mounted below. */
static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };

bool initrd_root_in_memory(void)
{
	struct statfs fs;

	return statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

bool initrd_here(void)
{
	CLEANUP(cleanup_file) FILE *mounts_of_ours = NULL;
	char line[256];

	if (!initrd_root_in_memory())
		return false;
	if (getpid() == 1)
		return true;
	mounts_of_ours = fopen("/proc/self/mounts", "re");
	while (mounts_of_ours && fgets(line, sizeof(line), mounts_of_ours)) {
		if (strncmp(line, ROOTFS_LINE, strlen(ROOTFS_LINE)) == 0)
			return true;
	}
	return false;
}

/* Another file system begins there than in the directory above. */
static bool is_mounted(const char *where)
{
	char above[64];
	struct stat there, parent;

	snprintf(above, sizeof(above), "%s/..", where);
	return stat(where, &there) == 0 && stat(above, &parent) == 0 &&
	       there.st_dev != parent.st_dev;
}

static int mount_one(size_t i, char *ret_why, size_t size)
{
	int r;

	if (is_mounted(mounts[i].where))
		return 0;
	/* EROFS and ENOENT of one in sysfs: the mount then fails, and says why. */
	(void)!mkdir(mounts[i].where, 0755);
	if (mount(mounts[i].type, mounts[i].where, mounts[i].type, mounts[i].flags,
		  mounts[i].options) == 0)
		return 0;
	r = neg_errno();
	if (!mounts[i].needed) {
		log_notice("initrd: no %s at %s: %s; continuing without", mounts[i].type,
			   mounts[i].where, strerror(-r));
		return 0;
	}
	snprintf(ret_why, size, "%s cannot be mounted at %s: %s", mounts[i].type, mounts[i].where,
		 strerror(-r));
	return r;
}

/* A kernel that finds no /dev/console in the initramfs starts process 1 with nothing open. */
static void open_console(void)
{
	int fd;

	if (fcntl(STDERR_FILENO, F_GETFD) >= 0 && fcntl(STDIN_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	for (int to = STDIN_FILENO; fd >= 0 && to <= STDERR_FILENO; to++) {
		if (fd != to)
			(void)!dup2(fd, to);
	}
	if (fd > STDERR_FILENO)
		close(fd);
}

int initrd_mount_all(char *ret_why, size_t size)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(mounts) && r == 0; i++)
		r = mount_one(i, ret_why, size);
	for (size_t i = 0; i < ARRAY_LEN(links) && r == 0; i++) {
		if (symlink(links[i].to, links[i].at) < 0 && errno != EEXIST) {
			r = neg_errno();
			snprintf(ret_why, size, "%s cannot be made: %s", links[i].at, strerror(-r));
		}
	}
	open_console();
	return r;
}

/* The init of the new root, its symbolic links followed as the new root has them. */
static int find_init(const char *init, char *ret_why, size_t size)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	CLEANUP(cleanup_fd)
	int root = open(INITRD_NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;
	int r = 0;

	if (root >= 0)
		fd = (int)syscall(SYS_openat2, root, init, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0)
		r = neg_errno();
	else if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		r = -ENOEXEC;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		snprintf(ret_why, size, "the new root has no %s that could run: %s (initrd.root)",
			 init, strerror(-r));
	return r;
}

int initrd_mount_root(const struct config_initrd *c, char *ret_why, size_t size)
{
	unsigned long flags = c->root.writable ? 0 : MS_RDONLY;
	char at[64];
	struct stat st;
	int r;

	if (mkdir(INITRD_NEW_ROOT, 0755) < 0 && errno != EEXIST) {
		r = neg_errno();
		snprintf(ret_why, size, "%s: %s", INITRD_NEW_ROOT, strerror(-r));
		return r;
	}
	if (mount(c->root.device, INITRD_NEW_ROOT, c->root.type, flags, NULL) < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "%s cannot be mounted as %s: %s%s", c->root.device,
			 c->root.type, strerror(-r),
			 r == -ENODEV ? "; is that file system among initrd.modules?"
				      : "; the disk is damaged, or holds another file system");
		return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
		snprintf(at, sizeof(at), INITRD_NEW_ROOT "%s", moved[i]);
		if (stat(at, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		snprintf(ret_why, size, "the new root (%s) has no directory %s", c->root.device,
			 moved[i]);
		return -ENOTDIR;
	}
	return find_init(c->root.init, ret_why, size);
}

/* Gives the memory back; what is mounted below, or still open somewhere, is left alone. */
static void empty(int fd, dev_t device)
{
	DIR *list = fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	while (list && (entry = readdir(list))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_dev != device)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int below = openat(dirfd(list), entry->d_name,
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			if (below >= 0)
				empty(below, device);
		}
		(void)!unlinkat(dirfd(list), entry->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
	if (list)
		closedir(list);
	else
		close(fd);
}

static void empty_old_root(int fd)
{
	struct stat st;
	struct statfs fs;

	/* Twice sure that it is memory: nobody wants to see this on a disk. */
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 ||
	    (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC)) {
		cleanup_fd(&fd);
		return;
	}
	empty(fd, st.st_dev);
}

int initrd_switch_root(const struct config_initrd *c, char *ret_why, size_t size)
{
	char *const argv[] = { c->root.init, NULL };
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char at[64];
	int r;

	for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
		snprintf(at, sizeof(at), INITRD_NEW_ROOT "%s", moved[i]);
		if (mount(moved[i], at, NULL, MS_MOVE, NULL) < 0) {
			r = neg_errno();
			snprintf(ret_why, size, "%s cannot be moved to the new root: %s", moved[i],
				 strerror(-r));
			return r;
		}
	}
	if (chdir(INITRD_NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "the new root cannot become the root: %s", strerror(-r));
		return r;
	}
	empty_old_root(old);
	execv(c->root.init, argv);
	r = neg_errno();
	snprintf(ret_why, size, "%s cannot be run: %s", c->root.init, strerror(-r));
	return r;
}
