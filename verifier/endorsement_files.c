/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "cleanup.h"
#include "endorsement_key.h"

/* The store as files: a directory of one folder a platform, or a tar file of such. */

#define PLATFORMS_MAX 64 /* folders */
#define TAR_BLOCK     (64 * 1024)

static void cleanup_archive(struct archive **a)
{
	archive_read_free(*a);
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int take(void *arg, const char *path, const char *name, struct view content)
{
	struct endorsement_store *s = arg;
	const char *why = "";
	int r = endorsement_store_read_file(s, name, content, &why);

	if (r != -EBADMSG)
		return r;
	endorsement_store_note(s, path, why);
	return 0;
}

static void note(void *arg, const char *path, const char *why)
{
	endorsement_store_note(arg, path, why);
}

static int read_file(const struct endorsement_files_sink *to, int folder, const char *path,
		     const char *name)
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(ENDORSEMENT_BYTES_MAX);
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st;
	int r;

	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	r = fd < 0 || fstat(fd, &st) < 0 ? neg_errno() : 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == 0)
		r = bytes_read_fd(&content, fd);
	if (r < 0) {
		to->left_out(to->arg, path,
			     r == -EMSGSIZE ? "larger than an endorsement may be"
			     : r == -EINVAL ? "not a regular file"
					    : strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	return to->file(to->arg, path, name, bytes_view(&content));
}

static int read_folder(const struct endorsement_files_sink *to, int above, const char *directory,
		       const char *platform)
{
	CLEANUP(cleanup_dir) DIR *d = NULL;
	struct dirent *entry;
	int fd, r = 0;

	fd = openat(above, platform, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR ? 0 : neg_errno();
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(d))) {
		CLEANUP(cleanup_mem) char *path = NULL;

		/* One with a dot first is being written. */
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s/%s", directory, platform, entry->d_name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = read_file(to, dirfd(d), path, entry->d_name);
	}
	return r;
}

int endorsement_files_read(const char *directory, const struct endorsement_files_sink *to)
{
	CLEANUP(cleanup_dir) DIR *d = opendir(directory);
	struct dirent *entry;
	size_t n = 0;
	int r = 0;

	if (!d)
		return neg_errno();
	while (r == 0 && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		r = ++n > PLATFORMS_MAX ? -EMSGSIZE
					: read_folder(to, dirfd(d), directory, entry->d_name);
	}
	return r;
}

static int read_member(struct endorsement_store *s, struct archive *a, struct archive_entry *entry,
		       const char *bundle)
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(ENDORSEMENT_BYTES_MAX);
	const char *path = archive_entry_pathname(entry), *slash;
	int64_t size = archive_entry_size(entry);
	la_ssize_t n;
	uint8_t *to;
	int r;

	slash = path ? strrchr(path, '/') : NULL;
	if (!slash || size < 0 || size > ENDORSEMENT_BYTES_MAX) {
		endorsement_store_note(s, bundle, "a member that a store's files are not like");
		return 0;
	}
	r = bytes_reserve(&content, (size_t)size, &to);
	if (r < 0)
		return r;
	for (; content.len < (size_t)size; content.len += (size_t)n) {
		n = archive_read_data(a, to + content.len, (size_t)size - content.len);
		if (n <= 0)
			return -EBADMSG;
	}
	return take(s, path, slash + 1, bytes_view(&content));
}

/* Plain tar, nothing compressed: what it unpacks to is not larger than it is. */
static int open_tar(struct archive **ret)
{
	struct archive *a = archive_read_new();

	if (!a)
		return -ENOMEM;
	*ret = a;
	return archive_read_support_format_tar(a) == ARCHIVE_OK ? 0 : -ENOMEM;
}

static int read_members(struct endorsement_store *s, struct archive *a, const char *bundle)
{
	struct archive_entry *entry;
	size_t n = 0;
	int r = 0, got;

	while (r == 0 && (got = archive_read_next_header(a, &entry)) == ARCHIVE_OK) {
		if (++n > 2 * ENDORSEMENT_STORE_MAX)
			r = -EMSGSIZE;
		else if (archive_entry_filetype(entry) == AE_IFREG)
			r = read_member(s, a, entry, bundle);
	}
	if (r == 0 && got != ARCHIVE_EOF)
		r = -EBADMSG;
	return r;
}

int endorsement_store_read_bundle(struct endorsement_store *s, const char *name, struct view tar)
{
	CLEANUP(cleanup_archive) struct archive *a = NULL;
	int r = open_tar(&a);

	if (r == 0 && archive_read_open_memory(a, tar.data, tar.len) != ARCHIVE_OK)
		r = -EBADMSG;
	return r < 0 ? r : read_members(s, a, name);
}

static int read_bundle(struct endorsement_store *s, const char *path)
{
	CLEANUP(cleanup_archive) struct archive *a = NULL;
	int r = open_tar(&a);

	if (r == 0 && archive_read_open_filename(a, path, TAR_BLOCK) != ARCHIVE_OK)
		r = -EBADMSG;
	return r < 0 ? r : read_members(s, a, path);
}

int endorsement_store_read(struct endorsement_store *s, const char *path)
{
	const struct endorsement_files_sink to = { take, note, s };
	struct stat st;

	if (stat(path, &st) < 0)
		return neg_errno();
	return S_ISDIR(st.st_mode) ? endorsement_files_read(path, &to) : read_bundle(s, path);
}

/* Beside, and renamed into place: nobody reads half of one. */
static int write_file(int folder, const char *name, struct view content)
{
	char beside[ENDORSEMENT_NAME_MAX + 16];
	CLEANUP(cleanup_fd) int fd = -1;
	ssize_t n;
	int r = 0;

	snprintf(beside, sizeof(beside), ".%s.%d", name, (int)getpid());
	fd = openat(folder, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return neg_errno();
	for (size_t at = 0; r == 0 && at < content.len; at += (size_t)n) {
		n = write(fd, content.data + at, content.len - at);
		if (n < 0) {
			r = neg_errno();
			n = 0;
			if (r == -EINTR)
				r = 0;
		}
	}
	if (r == 0 && (fsync(fd) < 0 || renameat(folder, beside, folder, name) < 0))
		r = neg_errno();
	if (r < 0)
		unlinkat(folder, beside, 0);
	return r;
}

int endorsement_store_write(const char *directory, const struct endorsement *e)
{
	CLEANUP(cleanup_fd) int above = -1;
	CLEANUP(cleanup_fd) int folder = -1;
	char name[ENDORSEMENT_NAME_MAX];
	struct endorsement_key key;
	const char *why;
	int r;

	r = endorsement_key_read(e, &key, &why);
	if (r == 0)
		r = endorsement_name(e, name);
	if (r < 0)
		return r;
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return neg_errno();
	above = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above < 0 || (mkdirat(above, key.platform, 0755) < 0 && errno != EEXIST))
		return neg_errno();
	folder = openat(above, key.platform, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return neg_errno();
	return write_file(folder, name, e->bytes);
}
