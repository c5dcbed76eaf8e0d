/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "collectors/cgroup.h"

#define SLICE_SUFFIX   ".slice"
#define SERVICE_SUFFIX ".service"
#define SLICES_DEEP    16
#define PRIVATE_BUS    "/run/systemd/private"

/* systemd.unit(5), "System Unit Search Path", first to last. */
static const char *const directories[] = {
	"/etc/systemd/system.control", "/run/systemd/system.control",
	"/run/systemd/transient",      "/run/systemd/generator.early",
	"/etc/systemd/system",	       "/etc/systemd/system.attached",
	"/run/systemd/system",	       "/run/systemd/system.attached",
	"/run/systemd/generator",      "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",     "/lib/systemd/system",
	"/run/systemd/generator.late",
};

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/* /lib may be a name of /usr/lib: what was listed there is not listed twice. */
static bool same_as_before(const char *root, size_t i)
{
	char path[UNIT_PATH_MAX];
	struct stat one, other;

	snprintf(path, sizeof(path), "%s%s", root, directories[i]);
	if (stat(path, &one) < 0)
		return true; /* not there at all */
	for (size_t k = 0; k < i; k++) {
		snprintf(path, sizeof(path), "%s%s", root, directories[k]);
		if (stat(path, &other) == 0 && other.st_dev == one.st_dev &&
		    other.st_ino == one.st_ino)
			return true;
	}
	return false;
}

static int add(struct unit_files *f, const char *path)
{
	if (f->n == UNIT_FILES_MAX)
		return -E2BIG;
	f->paths[f->n] = strdup(path);
	if (!f->paths[f->n])
		return -ENOMEM;
	f->n++;
	return 0;
}

static int is_drop_in(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ends_with(entry->d_name, ".conf");
}

static int add_drop_ins(struct unit_files *f, const char *directory)
{
	struct dirent **names;
	char path[UNIT_PATH_MAX];
	int n = scandir(directory, &names, is_drop_in, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : neg_errno();
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		if (r == 0)
			r = add(f, path);
		free(names[i]);
	}
	free(names);
	return r;
}

/* "service.d", "a-.service.d" and "a-b.service.d" of a-b.service. */
static int add_all_drop_ins(struct unit_files *f, const char *directory, const char *unit)
{
	char path[UNIT_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/service.d", directory);
	r = add_drop_ins(f, path);
	for (const char *dash = strchr(unit, '-'); r == 0 && dash; dash = strchr(dash + 1, '-')) {
		snprintf(path, sizeof(path), "%s/%.*s" SERVICE_SUFFIX ".d", directory,
			 (int)(dash - unit + 1), unit);
		r = add_drop_ins(f, path);
	}
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s.d", directory, unit);
	return add_drop_ins(f, path);
}

int unit_files(const char *root, const char *unit, struct unit_files *ret)
{
	struct unit_files f = { .paths = calloc(UNIT_FILES_MAX + 1, sizeof(*f.paths)) };
	char directory[UNIT_PATH_MAX / 2], path[UNIT_PATH_MAX];
	bool found = false;
	int r = f.paths ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(directories); i++) {
		if (same_as_before(root, i))
			continue;
		snprintf(directory, sizeof(directory), "%s%s", root, directories[i]);
		snprintf(path, sizeof(path), "%s/%s", directory, unit);
		if (!found && access(path, F_OK) == 0) {
			found = true;
			r = add(&f, path);
		}
		if (r == 0)
			r = add_all_drop_ins(&f, directory, unit);
	}
	if (r == 0 && !found)
		r = -ENOENT;
	if (r < 0) {
		unit_files_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void unit_files_done(struct unit_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->paths[i]);
	free(f->paths);
	*f = (struct unit_files){ 0 };
}

static int look_in(int fd, const char *path, const char *unit, int depth, int *ret_fd,
		   char **ret_path)
{
	CLEANUP(cleanup_dir) DIR *list = NULL;
	struct dirent *entry;
	int own, r;

	own = openat(fd, unit, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (own >= 0) {
		if (asprintf(ret_path, "%s/%s", path, unit) < 0) {
			close(own);
			return -ENOMEM;
		}
		*ret_fd = own;
		return 0;
	}
	if (errno != ENOENT)
		return neg_errno();
	own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = own < 0 ? NULL : fdopendir(own);
	if (!list) {
		r = neg_errno();
		cleanup_fd(&own);
		return r;
	}
	while ((entry = readdir(list))) {
		CLEANUP(cleanup_mem) char *below = NULL;
		CLEANUP(cleanup_fd) int slice = -1;

		if (entry->d_type != DT_DIR || !ends_with(entry->d_name, SLICE_SUFFIX) ||
		    depth == SLICES_DEEP)
			continue;
		slice = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (slice < 0)
			continue; /* it was removed meanwhile */
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0) {
			below = NULL;
			return -ENOMEM;
		}
		r = look_in(slice, below, unit, depth + 1, ret_fd, ret_path);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

int unit_cgroup(int hierarchy_fd, const char *hierarchy, const char *unit, int *ret_fd,
		char **ret_path)
{
	return look_in(hierarchy_fd, hierarchy, unit, 0, ret_fd, ret_path);
}

bool unit_owns(struct view proc_cgroup, const char *unit)
{
	CLEANUP(cleanup_mem) char *place = NULL;
	char *at = NULL, *part;
	bool own = false;

	if (cgroup_parse_self(proc_cgroup, &place) < 0)
		return false;
	/* All above is a slice; the service may have made cgroups below its own. */
	for (part = strtok_r(place, "/", &at); part && !own; part = strtok_r(NULL, "/", &at)) {
		own = strcmp(part, unit) == 0;
		if (!own && !ends_with(part, SLICE_SUFFIX))
			return false;
	}
	return own;
}

static void cleanup_bus(sd_bus **bus)
{
	sd_bus_close_unref(*bus);
}

static void cleanup_error(sd_bus_error *e)
{
	sd_bus_error_free(e);
}

int unit_main_process(const char *unit, pid_t *ret, bool *ret_started)
{
	static const char interface[] = "org.freedesktop.systemd1.Service";
	static const char any_unit[] = "org.freedesktop.systemd1.Unit";
	CLEANUP(cleanup_error) sd_bus_error error = SD_BUS_ERROR_NULL;
	CLEANUP(cleanup_mem) char *path = NULL, *state = NULL;
	CLEANUP(cleanup_bus) sd_bus *bus = NULL;
	uint32_t pid = 0;
	int r;

	if (access(PRIVATE_BUS, F_OK) < 0)
		return -ENOENT;
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, "unix:path=" PRIVATE_BUS);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, UNIT_ASK_SECONDS * UINT64_C(1000000));
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
	if (r >= 0)
		r = sd_bus_get_property_string(bus, NULL, path, any_unit, "ActiveState", &error,
					       &state);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, NULL, path, interface, "MainPID", &error, 'u',
						&pid);
	if (r < 0)
		return r;
	*ret = (pid_t)pid;
	*ret_started = strcmp(state, "active") == 0 || strcmp(state, "reloading") == 0;
	return 0;
}
