/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define READY_TRIES 200
#define READY_MS    25

void swtpm_path(const struct swtpm *s, const char *name, char *to, size_t size)
{
	snprintf(to, size, "%s/%s", s->directory, name);
}

static int write_text(const struct swtpm *s, const char *name, const char *text)
{
	CLEANUP(cleanup_file) FILE *f = NULL;
	char path[128];

	swtpm_path(s, name, path, sizeof(path));
	f = fopen(path, "we");
	if (!f)
		return neg_errno();
	return fputs(text, f) < 0 || fflush(f) != 0 ? neg_errno() : 0;
}

/* Every path is absolute: the defaults would write to the machine's own CA. */
static int write_setup(const struct swtpm *s)
{
	char text[1024];
	int r;

	snprintf(text, sizeof(text),
		 "statedir = %1$s/ca\nsigningkey = %1$s/ca/signkey.pem\n"
		 "issuercert = %1$s/ca/issuercert.pem\ncertserial = %1$s/ca/certserial\n",
		 s->directory);
	r = write_text(s, "localca.conf", text);
	if (r < 0)
		return r;
	r = write_text(s, "localca.options",
		       "--platform-manufacturer Test\n--platform-version 1\n"
		       "--platform-model VM\n");
	if (r < 0)
		return r;
	snprintf(text, sizeof(text),
		 "create_certs_tool = /usr/bin/swtpm_localca\n"
		 "create_certs_tool_config = %1$s/localca.conf\n"
		 "create_certs_tool_options = %1$s/localca.options\n",
		 s->directory);
	return write_text(s, "setup.conf", text);
}

/* The child ends with this process, whatever becomes of it. */
static pid_t spawn(char *const argv[], const struct swtpm *s)
{
	char log[128];
	pid_t pid;
	int fd;

	swtpm_path(s, "log", log, sizeof(log));
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int setup(const struct swtpm *s, const char *banks)
{
	char state[128], config[128];
	char *argv[] = { (char *)"swtpm_setup",
			 (char *)"--tpm2",
			 (char *)"--tpm-state",
			 state,
			 (char *)"--config",
			 config,
			 (char *)"--create-ek-cert",
			 (char *)"--pcr-banks",
			 (char *)banks,
			 (char *)"--lock-nvram",
			 (char *)"--not-overwrite",
			 NULL };
	int status;
	pid_t pid;

	swtpm_path(s, "state", state, sizeof(state));
	swtpm_path(s, "setup.conf", config, sizeof(config));
	pid = spawn(argv, s);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return neg_errno();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static bool answers(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return false;
	strcpy(a.sun_path, path);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static int run(struct swtpm *s)
{
	char state[128], server[128], control[128], socket_path[128], control_path[128];
	char *argv[] = { (char *)"swtpm",
			 (char *)"socket",
			 (char *)"--tpm2",
			 (char *)"--tpmstate",
			 state,
			 (char *)"--server",
			 server,
			 (char *)"--ctrl",
			 control,
			 (char *)"--flags",
			 (char *)"not-need-init,startup-clear",
			 NULL };
	struct timespec wait = { .tv_nsec = READY_MS * 1000 * 1000 };

	swtpm_path(s, "sock", socket_path, sizeof(socket_path));
	swtpm_path(s, "sock.ctrl", control_path, sizeof(control_path)); /* tss2 adds the .ctrl */
	snprintf(state, sizeof(state), "dir=%s/state", s->directory);
	snprintf(server, sizeof(server), "type=unixio,path=%s/sock", s->directory);
	snprintf(control, sizeof(control), "type=unixio,path=%s/sock.ctrl", s->directory);
	snprintf(s->tcti, sizeof(s->tcti), "swtpm:path=%s/sock", s->directory);
	s->pid = spawn(argv, s);
	if (s->pid < 0)
		return neg_errno();
	for (unsigned int i = 0; i < READY_TRIES; i++) {
		/* The control socket takes any number of connections, the other one only one. */
		if (answers(control_path) && access(socket_path, F_OK) == 0)
			return 0;
		nanosleep(&wait, NULL);
	}
	return -ETIMEDOUT;
}

int swtpm_start(const char *banks, struct swtpm *ret)
{
	struct swtpm s = { .directory = "/tmp/assay-swtpm-XXXXXX" };
	char path[128];
	int r = 0;

	if (!mkdtemp(s.directory))
		return neg_errno();
	swtpm_path(&s, "state", path, sizeof(path));
	if (mkdir(path, 0700) < 0)
		r = neg_errno();
	swtpm_path(&s, "ca", path, sizeof(path));
	if (r == 0 && mkdir(path, 0700) < 0)
		r = neg_errno();
	if (r == 0)
		r = write_setup(&s);
	if (r == 0)
		r = setup(&s, banks);
	if (r == 0)
		r = run(&s);
	if (r < 0) {
		swtpm_stop(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void swtpm_stop(struct swtpm *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		s->pid = 0;
	}
	if (s->directory[0])
		nftw(s->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	s->directory[0] = '\0';
}

static int append_file(const char *path, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
}

int swtpm_roots(const struct swtpm *s, struct bytes *ret)
{
	char path[128];
	int r;

	swtpm_path(s, "ca/swtpm-localca-rootca-cert.pem", path, sizeof(path));
	r = append_file(path, ret);
	if (r < 0)
		return r;
	swtpm_path(s, "ca/issuercert.pem", path, sizeof(path));
	return append_file(path, ret);
}
