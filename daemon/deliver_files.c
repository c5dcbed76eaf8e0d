/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as files, in memory that is never swapped and goes with the application. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claims.h"
#include "cleanup.h"
#include "deliver.h"
#include "log.h"

/* No credential has a name that begins with a dot. */
#define NEW_FILE ".new"

struct deliver_files {
	char *root, *path;
	int fd; /* of the directory; -1: not mounted */
	uid_t uid;
	gid_t gid;
};

static int directory_make(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return neg_errno();
	if (lstat(path, &st) < 0)
		return neg_errno();
	/* A link here would send secrets somewhere else. */
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int deliver_root_make(const char *runtime_directory, char **ret)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	int r;

	if (asprintf(&path, "%s/credentials", runtime_directory) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = directory_make(runtime_directory, 0755);
	if (r < 0)
		return r;
	r = directory_make(path, 0755);
	if (r < 0)
		return r;
	*ret = TAKE(path);
	return 0;
}

/* tmpfs that is not swapped (Linux 6.4), or ramfs, which never is and which has no size. */
static int mount_unswapped(const char *path)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char options[64];

	snprintf(options, sizeof(options), "mode=0500,noswap,size=%d", DELIVER_FILES_MAX);
	if (mount("assay", path, "tmpfs", flags, options) == 0)
		return 0;
	return mount("assay", path, "ramfs", flags, "mode=0500") < 0 ? neg_errno() : 0;
}

CLEANUP_FUNCTION(struct deliver_files *, deliver_files_close)

int deliver_files_open(const char *runtime_directory, const char *application, uid_t uid, gid_t gid,
		       struct deliver_files **ret)
{
	CLEANUP(deliver_files_closep) struct deliver_files *f = NULL;
	int r;

	if (!application_name_valid(application))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fd = -1;
	f->uid = uid;
	f->gid = gid;
	r = deliver_root_make(runtime_directory, &f->root);
	if (r < 0)
		return r;
	if (asprintf(&f->path, "%s/%s", f->root, application) < 0) {
		f->path = NULL;
		return -ENOMEM;
	}
	r = directory_make(f->path, 0700);
	if (r < 0)
		return r;

	/* Left by an assayd that was killed. EINVAL: nothing is mounted here. */
	while (umount2(f->path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		log_notice("%s: secrets of an earlier run are unmounted", f->path);
	r = mount_unswapped(f->path);
	if (r < 0)
		return r;
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0) {
		r = neg_errno();
		umount2(f->path, MNT_DETACH | UMOUNT_NOFOLLOW);
		return r;
	}
	if (fchown(f->fd, uid, gid) < 0 || fchmod(f->fd, 0500) < 0)
		return neg_errno();

	*ret = TAKE(f);
	return 0;
}

const char *deliver_files_root(const struct deliver_files *f)
{
	return f->root;
}

const char *deliver_files_path(const struct deliver_files *f)
{
	return f->path;
}

static int write_whole(int fd, struct view v)
{
	while (v.len > 0) {
		ssize_t n = write(fd, v.data, v.len);

		if (n < 0)
			return neg_errno();
		v = view_of(v.data + n, v.len - (size_t)n);
	}
	return 0;
}

/* Sum of the files, for a file system that has no size of its own. */
static int used_bytes(const struct deliver_files *f, uint64_t *ret)
{
	struct dirent *e;
	uint64_t sum = 0;
	struct stat st;
	DIR *d;
	int fd;

	fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return neg_errno();
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.' && fstatat(f->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (uint64_t)st.st_size;
	}
	closedir(d);
	*ret = sum;
	return 0;
}

static int write_file(struct deliver_files *f, const struct secret *value)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	fd = openat(f->fd, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (fd < 0)
		return neg_errno();
	r = write_whole(fd, secret_view(value));
	if (r < 0)
		return r;
	if (fchmod(fd, 0400) < 0 || fchown(fd, f->uid, f->gid) < 0)
		return neg_errno();
	return 0;
}

int deliver_files_put(struct deliver_files *f, const char *name, const struct secret *value)
{
	uint64_t used;
	int r;

	if (!deliver_name_valid(name))
		return -EINVAL;
	r = used_bytes(f, &used);
	if (r < 0)
		return r;
	if (used + value->len > DELIVER_FILES_MAX)
		return -ENOSPC;
	r = write_file(f, value);
	/* A reader sees the old content or the new, whole. */
	if (r == 0 && renameat(f->fd, NEW_FILE, f->fd, name) < 0)
		r = neg_errno();
	if (r < 0)
		unlinkat(f->fd, NEW_FILE, 0);
	return r;
}

/* The pages are freed with the file; the kernel clears them before anybody else gets them. */
static void remove_files(struct deliver_files *f)
{
	struct dirent *e;
	DIR *d;

	d = fdopendir(f->fd);
	if (!d) {
		close(f->fd);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			log_error("%s/%s: cannot be removed: %m", f->path, e->d_name);
	}
	closedir(d);
}

void deliver_files_close(struct deliver_files *f)
{
	if (!f)
		return;
	if (f->fd >= 0) {
		remove_files(f);
		if (umount2(f->path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 || rmdir(f->path) < 0)
			log_error("%s: cannot be unmounted and removed: %m", f->path);
	}
	free(f->root);
	free(f->path);
	free(f);
}
