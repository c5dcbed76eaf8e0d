/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cleanup.h"
#include "collectors/proc_text.h"

#define DEPTH_MAX    32
#define KILL_ROUNDS  100
#define BASE_NAME    "assay"
#define PROCS_BUFFER (16 * 1024)

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Undoes the \ooo escapes of proc(5) for space, tab, newline and backslash. */
static int unescape(struct view v, char **ret)
{
	char *text = malloc(v.len + 1);
	size_t to = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < v.len; i++) {
		const uint8_t *s = v.data + i;

		if (s[0] == '\\' && v.len - i >= 4 && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			text[to++] = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			i += 3;
		} else {
			text[to++] = (char)s[0];
		}
	}
	text[to] = '\0';
	*ret = text;
	return 0;
}

int cgroup_parse_mountinfo(struct view text, char **ret)
{
	struct view line, field, root, mount;

	while (proc_piece(&text, '\n', &line)) {
		bool found = true;

		/* id, parent, device, root, mount point, options, optional fields, "-", type */
		for (int i = 0; i < 3 && found; i++)
			found = proc_piece(&line, ' ', &field);
		found = found && proc_piece(&line, ' ', &root) && proc_piece(&line, ' ', &mount);
		while (found && (found = proc_piece(&line, ' ', &field)) && !view_is(field, "-"))
			;
		/* A bind mount of a part of the hierarchy is not the hierarchy. */
		if (found && proc_piece(&line, ' ', &field) && view_is(field, "cgroup2") &&
		    view_is(root, "/"))
			return unescape(mount, ret);
	}
	return -ENOENT;
}

int cgroup_parse_self(struct view text, char **ret)
{
	struct view line;

	while (proc_piece(&text, '\n', &line)) {
		if (line.len > 3 && memcmp(line.data, "0::", 3) == 0 && line.data[3] == '/') {
			*ret = strndup((const char *)line.data + 3, line.len - 3);
			return *ret ? 0 : -ENOMEM;
		}
	}
	return -ENOENT;
}

static int read_text(const char *path, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return neg_errno();
	return bytes_read_fd(ret, fd);
}

/* Opens a directory on a cgroup v2 file system. -ENOTSUP: it is on another. */
static int open_directory(const char *path, int *ret_fd)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct statfs fs;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	if (fstatfs(fd, &fs) < 0)
		return neg_errno();
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -ENOTSUP;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The directory below this process's own place; below the mount where that cannot be seen. */
static int own_place(char **ret, char *ret_why, size_t size)
{
	CLEANUP(bytes_cleanup) struct bytes mounts = BYTES_INIT(CGROUP_MOUNTINFO_MAX);
	CLEANUP(bytes_cleanup) struct bytes self = BYTES_INIT(64 * 1024);
	CLEANUP(cleanup_mem) char *mount = NULL, *place = NULL;
	int r;

	r = read_text("/proc/self/mountinfo", &mounts);
	if (r == 0)
		r = cgroup_parse_mountinfo(bytes_view(&mounts), &mount);
	if (r == -ENOENT)
		snprintf(ret_why, size,
			 "no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 none "
			 "/sys/fs/cgroup (or another directory)");
	else if (r < 0)
		snprintf(ret_why, size, "/proc/self/mountinfo: %s", strerror(-r));
	if (r < 0)
		return r;
	r = read_text("/proc/self/cgroup", &self);
	if (r == 0)
		r = cgroup_parse_self(bytes_view(&self), &place);
	if (r == -ENOMEM)
		return r;
	/* "/.." is how a place outside our cgroup namespace shows. */
	if (r < 0 || strncmp(place, "/..", 3) == 0 || strcmp(place, "/") == 0) {
		free(place);
		place = strdup("");
		if (!place)
			return -ENOMEM;
	}
	return asprintf(ret, "%s%s/" BASE_NAME, mount, place) < 0 ? -ENOMEM : 0;
}

int cgroup_base(const char *configured, int *ret_fd, char **ret_path, char *ret_why, size_t size)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	int r;

	snprintf(ret_why, size, "out of memory");
	if (configured) {
		path = strdup(configured);
		r = path ? 0 : -ENOMEM;
	} else {
		r = own_place(&path, ret_why, size);
	}
	if (r < 0)
		return r;
	if (mkdir(path, 0755) < 0 && errno != EEXIST) {
		r = neg_errno();
		snprintf(ret_why, size, "cannot make the cgroup %s: %s", path, strerror(-r));
		return r;
	}
	r = open_directory(path, ret_fd);
	if (r == -ENOTSUP)
		snprintf(ret_why, size, "%s is not in a cgroup v2 hierarchy", path);
	else if (r < 0)
		snprintf(ret_why, size, "cannot open the cgroup %s: %s", path, strerror(-r));
	if (r < 0)
		return r;
	*ret_path = TAKE(path);
	return 0;
}

int cgroup_make(int parent_fd, const char *name, int *ret_fd)
{
	CLEANUP(cleanup_fd) int fd = -1;
	bool made, populated;
	int r;

	made = mkdirat(parent_fd, name, 0755) == 0;
	if (!made && errno != EEXIST)
		return neg_errno();
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return neg_errno();
	if (!made) {
		r = cgroup_populated(fd, &populated);
		if (r < 0)
			return r;
		if (populated)
			return -EEXIST;
		/* An earlier assayd may have died between freezing and ending it. */
		r = cgroup_freeze(fd, false);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Lists the cgroups below fd. The directory is read through a descriptor of its own. */
static int open_list(int fd, DIR **ret)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (own < 0)
		return neg_errno();
	*ret = fdopendir(own);
	if (!*ret) {
		r = neg_errno();
		close(own);
		return r;
	}
	return 0;
}

static bool is_child(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && entry->d_name[0] != '.';
}

static int remove_below(int parent_fd, const char *name, int depth)
{
	CLEANUP(cleanup_dir) DIR *list = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	struct dirent *entry;
	int r;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != EBUSY || depth == DEPTH_MAX)
		return neg_errno();
	/* Busy with processes, or with cgroups that the application made. */
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return neg_errno();
	r = open_list(fd, &list);
	if (r < 0)
		return r;
	while ((entry = readdir(list))) {
		if (!is_child(entry))
			continue;
		r = remove_below(fd, entry->d_name, depth + 1);
		if (r < 0)
			return r;
	}
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? neg_errno() : 0;
}

int cgroup_remove(int parent_fd, const char *name)
{
	return remove_below(parent_fd, name, 0);
}

int cgroup_id(int fd, uint64_t *ret)
{
	/* The file handle of kernfs is the number (cgroup_id() in the kernel; bpf-helpers(7)). */
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(uint64_t)];
	} h = { .handle.handle_bytes = sizeof(uint64_t) };
	int mount;

	if (name_to_handle_at(fd, "", &h.handle, &mount, AT_EMPTY_PATH) < 0)
		return neg_errno();
	if (h.handle.handle_bytes != sizeof(uint64_t))
		return -EBADMSG;
	memcpy(ret, h.handle.f_handle, sizeof(*ret));
	return 0;
}

static int write_file(int fd, const char *name, const char *text)
{
	CLEANUP(cleanup_fd) int file = openat(fd, name, O_WRONLY | O_CLOEXEC);

	if (file < 0)
		return neg_errno();
	return write(file, text, strlen(text)) < 0 ? neg_errno() : 0;
}

int cgroup_add(int fd, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return write_file(fd, "cgroup.procs", text);
}

struct pid_list {
	pid_t *pids;
	size_t n, max;
};

static int pids_of(int fd, struct pid_list *list)
{
	CLEANUP(cleanup_fd) int file = -1;
	char buffer[PROCS_BUFFER];
	pid_t pid = 0;
	bool digits = false;
	ssize_t n;

	file = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return neg_errno();
	while ((n = read(file, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] >= '0' && buffer[i] <= '9') {
				pid = pid * 10 + (buffer[i] - '0');
				digits = true;
			} else if (digits) {
				if (list->n < list->max && pid > 0)
					list->pids[list->n] = pid;
				list->n++;
				pid = 0;
				digits = false;
			}
		}
	}
	/* A threaded cgroup has no cgroup.procs to read; its processes are in its domain's. */
	return n < 0 && errno != EOPNOTSUPP ? neg_errno() : 0;
}

static int pids_below(int fd, struct pid_list *list, int depth)
{
	CLEANUP(cleanup_dir) DIR *children = NULL;
	struct dirent *entry;
	struct stat st;
	int r;

	r = pids_of(fd, list);
	if (r < 0)
		return r;
	/* Each cgroup below adds a link: none, nothing to list. */
	if (depth == DEPTH_MAX || fstat(fd, &st) < 0 || st.st_nlink <= 2)
		return 0;
	r = open_list(fd, &children);
	if (r < 0)
		return r;
	while ((entry = readdir(children))) {
		CLEANUP(cleanup_fd) int child = -1;

		if (!is_child(entry))
			continue;
		child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child < 0 && errno == ENOENT)
			continue;
		r = child < 0 ? neg_errno() : pids_below(child, list, depth + 1);
		if (r < 0 && r != -ENODEV)
			return r; /* -ENODEV: removed meanwhile, so it was empty */
	}
	return 0;
}

ssize_t cgroup_pids(int fd, pid_t *ret, size_t max)
{
	struct pid_list list = { ret, 0, max };
	int r = pids_below(fd, &list, 0);

	return r < 0 ? r : (ssize_t)list.n;
}

/* The number after the key in a file of lines "key number". */
static int read_key(int fd, const char *name, const char *key, uint64_t *ret)
{
	CLEANUP(cleanup_fd) int file = openat(fd, name, O_RDONLY | O_CLOEXEC);
	char text[4096], *at;
	ssize_t n;

	if (file < 0)
		return neg_errno();
	n = read(file, text, sizeof(text) - 1);
	if (n < 0)
		return neg_errno();
	text[n] = '\0';
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, strlen(key)) == 0 && at[strlen(key)] == ' ') {
			*ret = strtoull(at + strlen(key) + 1, NULL, 10);
			return 0;
		}
	}
	return -ENOENT;
}

int cgroup_populated(int fd, bool *ret)
{
	uint64_t value;
	int r;

	r = read_key(fd, "cgroup.events", "populated", &value);
	if (r < 0)
		return r;
	*ret = value != 0;
	return 0;
}

int cgroup_open_events(int fd, int *ret_fd)
{
	int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (events < 0)
		return neg_errno();
	*ret_fd = events;
	return 0;
}

/* Kernels before 5.14. Processes fork while we go, so again until a pass finds none alive. */
static int kill_each(int fd)
{
	pid_t pids[1024];
	bool populated;
	ssize_t n;
	int r;

	for (int i = 0; i < KILL_ROUNDS; i++) {
		n = cgroup_pids(fd, pids, ARRAY_LEN(pids));
		if (n < 0)
			return (int)n;
		for (size_t j = 0; j < (size_t)n && j < ARRAY_LEN(pids); j++)
			kill(pids[j], SIGKILL);
		r = cgroup_populated(fd, &populated);
		if (r < 0 || !populated)
			return r;
	}
	return -EBUSY;
}

int cgroup_kill(int fd)
{
	int r = write_file(fd, "cgroup.kill", "1");

	return r == -ENOENT ? kill_each(fd) : r;
}

int cgroup_freeze(int fd, bool stop)
{
	return write_file(fd, "cgroup.freeze", stop ? "1" : "0");
}

int cgroup_cpu_ns(int fd, uint64_t *ret)
{
	uint64_t usage_us;
	int r;

	r = read_key(fd, "cpu.stat", "usage_usec", &usage_us);
	if (r < 0)
		return r;
	*ret = usage_us * 1000;
	return 0;
}
