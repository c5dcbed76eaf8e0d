/* SPDX-License-Identifier: Apache-2.0 */
#include "own_mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

int own_mounts_begin(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return neg_errno();
	return 0;
}

static int bind_one(int from, const char *name, const char *to)
{
	char target[PATH_MAX], source[PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(target, sizeof(target), "%s/%s", to, name);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno();
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(from, name, source, sizeof(source) - 1);
		if (n < 0)
			return neg_errno();
		source[n] = '\0';
		return symlink(source, target) < 0 ? neg_errno() : 0;
	}
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(target, 0755) < 0)
			return neg_errno();
	} else {
		fd = open(target, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return neg_errno();
		close(fd);
	}
	snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", from, name);
	return mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0 ? neg_errno() : 0;
}

int own_mounts_cover(const char *path)
{
	CLEANUP(cleanup_fd) int below = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (below < 0)
		return neg_errno();
	if (mount("stand-in", path, "tmpfs", 0, "mode=0755,size=1m") < 0)
		return neg_errno();
	dir = fdopendir(dup(below));
	if (!dir)
		return neg_errno();
	while (r == 0 && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = bind_one(below, e->d_name, path);
	}
	closedir(dir);
	return r;
}

int own_mounts_directory(const char *path)
{
	char part[PATH_MAX];
	bool covered = false;
	int r;

	for (const char *end = path; *end;) {
		const char *next = strchr(end + 1, '/');
		size_t len = next ? (size_t)(next - path) : strlen(path);

		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		if (access(part, F_OK) < 0) {
			if (!covered) {
				char above[PATH_MAX];

				snprintf(above, sizeof(above), "%.*s", (int)(end - path), path);
				r = own_mounts_cover(above[0] ? above : "/");
				if (r < 0)
					return r;
				covered = true;
			}
			if (mkdir(part, 0755) < 0)
				return neg_errno();
		}
		end = path + len;
	}
	return 0;
}
