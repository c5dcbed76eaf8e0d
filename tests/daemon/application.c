/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application that the tests start: writes what it finds itself to be into
 * the file of its first argument, a line each, and does what the others say.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void copy_lines(FILE *out, const char *path, const char *prefix)
{
	char line[1024];
	FILE *in = fopen(path, "re");

	while (in && fgets(line, sizeof(line), in)) {
		if (strncmp(line, prefix, strlen(prefix)) == 0)
			fputs(line, out);
	}
	if (in)
		fclose(in);
}

static void descriptors(FILE *out)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd != dirfd(d) && fd != fileno(out))
			fprintf(out, "fd %d\n", fd);
	}
	if (d)
		closedir(d);
}

static void try_open(FILE *out, const char *path, int flags, const char *verb)
{
	char content[256] = "";
	int fd = open(path, flags | O_CLOEXEC, 0600);
	ssize_t n = 0;

	if (fd >= 0 && flags == O_RDONLY)
		n = read(fd, content, sizeof(content) - 1);
	fprintf(out, "%s %s: %s: %s\n", verb, path,
		fd < 0	? strerror(errno)
		: n < 0 ? "unreadable"
			: "opened",
		content);
	if (fd >= 0)
		close(fd);
}

static void list(FILE *out, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		fprintf(out, "list %s: %s\n", path, strerror(errno));
	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fprintf(out, "list %s: %s\n", path, e->d_name);
	}
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	char path[4096], temporary[4096];
	int status = 0, waits = 0;
	gid_t groups[64];
	FILE *out;
	int n;

	if (argc < 2)
		return 120;
	snprintf(temporary, sizeof(temporary), "%s.part", argv[1]);
	out = fopen(temporary, "we");
	if (!out)
		return 121;
	for (int i = 0; i < argc; i++)
		fprintf(out, "arg %d %s\n", i, argv[i]);
	for (char **e = environ; *e; e++)
		fprintf(out, "env %s\n", *e);
	fprintf(out, "uid %d %d gid %d %d\n", getuid(), geteuid(), getgid(), getegid());
	n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		fprintf(out, "group %d\n", groups[i]);
	fprintf(out, "cwd %s\n", getcwd(path, sizeof(path)) ? path : "?");
	fprintf(out, "session %s\n", getsid(0) == getpid() ? "own" : "another's");
	fprintf(out, "umask %03o\n", umask(022));
	copy_lines(out, "/proc/self/status", "Sig");
	copy_lines(out, "/proc/self/status", "Cap");
	copy_lines(out, "/proc/self/status", "TracerPid");
	copy_lines(out, "/proc/self/cgroup", "0::");
	descriptors(out);
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "read:", 5) == 0)
			try_open(out, argv[i] + 5, O_RDONLY, "read");
		if (strncmp(argv[i], "write:", 6) == 0)
			try_open(out, argv[i] + 6, O_WRONLY | O_CREAT, "write");
		if (strncmp(argv[i], "list:", 5) == 0)
			list(out, argv[i] + 5);
		if (strncmp(argv[i], "umount:", 7) == 0)
			fprintf(out, "umount %s: %s\n", argv[i] + 7,
				umount(argv[i] + 7) < 0 ? strerror(errno) : "done");
		if (strncmp(argv[i], "exit:", 5) == 0)
			status = atoi(argv[i] + 5);
		if (strcmp(argv[i], "wait") == 0)
			waits = 1;
	}
	/* There at once and whole, for whoever waits for it. */
	if (fclose(out) != 0 || rename(temporary, argv[1]) < 0)
		return 122;
	while (waits)
		pause();
	return status;
}
