/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/deliver.h"
#include "daemon/launch.h"
#include "measure.h"

#define NOBODY	  65534
#define ARGUMENTS 16
#define SKIPPED	  77

struct fixture {
	struct event_base *base;
	char directory[64], cgroups[96], cgroup[128], program[128], output[128], root[128];
	char text[32 * 1024]; /* of output */
	struct target target;
	struct launch_user user;
	struct config_application application;
	char *exec[ARGUMENTS];
	struct launch_in in;
	struct measured *measured;
	struct launch *launch;
	int program_fd;

	int checks;
	int spoil_at_check; /* the program is touched at this one; 0: never */
	int started, failed, exited, status, error;
	char step[64];
};

static int check(void *arg)
{
	struct fixture *f = arg;
	char *path = NULL;
	int r;

	f->checks++;
	if (f->checks == f->spoil_at_check)
		assert_int_equal(chmod(f->program, 0750), 0);
	r = measured_check(f->measured, &path);
	free(path);
	return r;
}

static void on_started(void *arg)
{
	struct fixture *f = arg;

	f->started++;
}

static void on_failed(void *arg, const char *step, int error)
{
	struct fixture *f = arg;

	f->failed++;
	f->error = error;
	snprintf(f->step, sizeof(f->step), "%s", step);
}

static void on_exited(void *arg, int status)
{
	struct fixture *f = arg;

	f->exited++;
	f->status = status;
}

static const struct launch_events events = { on_started, on_failed, on_exited };

static void copy_file(const char *from, const char *to, mode_t mode)
{
	char buffer[64 * 1024];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(out, buffer, (size_t)n), n);
	assert_int_equal(fchmod(out, mode), 0);
	close(in);
	close(out);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *root = NULL;

	*state = f;
	f->program_fd = -1;
	snprintf(f->directory, sizeof(f->directory), "/tmp/assay-test-XXXXXX");
	if (!mkdtemp(f->directory) || chmod(f->directory, 0777) < 0)
		return -1;
	snprintf(f->cgroups, sizeof(f->cgroups), "%s/cgroups", f->directory);
	snprintf(f->cgroup, sizeof(f->cgroup), "%s/assay-test-%d", f->cgroups, getpid());
	snprintf(f->program, sizeof(f->program), "%s/application", f->directory);
	snprintf(f->output, sizeof(f->output), "%s/output", f->directory);
	snprintf(f->root, sizeof(f->root), "%s/credentials", f->directory);
	/* A hierarchy of cgroup v2 can be mounted any number of times; it is the same one. */
	if (mkdir(f->cgroups, 0755) < 0 || mount("none", f->cgroups, "cgroup2", 0, NULL) < 0 ||
	    mkdir(f->cgroup, 0755) < 0)
		return -1;
	f->target.cgroup_fd = open(f->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->base = event_base_new();
	if (secret_heap_open() < 0 || deliver_root_make(f->directory, &root) < 0)
		return -1;
	free(root);
	copy_file(APPLICATION, f->program, 0755);
	f->application.exec = f->exec;
	f->exec[0] = f->program;
	f->exec[1] = f->output;
	f->application.user = (char *)"nobody";
	return launch_user_of(&f->application, &f->user);
}

/* Leaves nothing behind, whatever the test left: a failed one may have a child that waits. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[256], path[192];
	int fd, left;

	launch_free(f->launch);
	measured_free(f->measured);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	event_base_free(f->base);
	close(f->target.cgroup_fd);
	if (f->program_fd >= 0)
		close(f->program_fd);
	left = rmdir(f->cgroup);
	if (left < 0) {
		snprintf(path, sizeof(path), "%s/cgroup.kill", f->cgroup);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			print_message("%s cannot be ended\n", f->cgroup);
		close(fd);
		for (int i = 0; i < 100 && rmdir(f->cgroup) < 0; i++)
			usleep(10000);
	}
	umount2(f->cgroups, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/payroll", f->root);
	umount2(path, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/other", f->root);
	umount2(path, MNT_DETACH);
	secret_heap_close();
	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	/* Not empty: something of the application was left. */
	assert_int_equal(left, 0);
	return 0;
}

static void measure(struct fixture *f)
{
	const char *paths[] = { f->program };
	const struct measure_options options = { .threads = 1 };
	char *path = NULL;

	assert_int_equal(measure_paths(paths, 1, &options, &f->measured, &path), 0);
	assert_int_equal(measured_open_program(f->measured, f->program, &f->program_fd), 0);
}

static int prepare(struct fixture *f, const struct deliver_secret *secrets, size_t n)
{
	struct deliver_strings arguments = { 0 }, environment = { 0 };
	const char *step;
	int r;

	if (!f->measured)
		measure(f);
	assert_int_equal(deliver_arguments(&f->application, secrets, n, &arguments), 0);
	assert_int_equal(deliver_environment(&f->application, &f->user, NULL, f->in.credentials,
					     secrets, n, &environment),
			 0);
	f->in.target = &f->target;
	f->in.user = &f->user;
	f->in.program_fd = f->program_fd;
	f->in.argv = arguments.list;
	f->in.envp = environment.list;
	f->in.credentials_root = f->root;
	f->in.check = check;
	r = launch_prepare(f->base, &f->application, &f->in, &events, f, &f->launch, &step);
	/* As the header says: the child has its own by now. */
	deliver_strings_done(&arguments);
	deliver_strings_done(&environment);
	return r;
}

static void stop_loop(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(arg);
}

/* Until the count is reached, or ten seconds are over. */
static void run_until(struct fixture *f, const int *count, int reached)
{
	struct timeval limit = { .tv_sec = 10 };
	struct event *timer = evtimer_new(f->base, stop_loop, f->base);

	event_add(timer, &limit);
	while (*count < reached && evtimer_pending(timer, NULL))
		event_base_loop(f->base, EVLOOP_ONCE);
	event_free(timer);
	assert_int_equal(*count, reached);
}

static void run_for(struct fixture *f, unsigned int ms)
{
	struct timeval t = { .tv_usec = ms * 1000 };

	event_base_loopexit(f->base, &t);
	event_base_dispatch(f->base);
}

static void read_output(struct fixture *f)
{
	int fd = -1;
	ssize_t n;

	for (int i = 0; i < 1000 && fd < 0; i++) {
		fd = open(f->output, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			usleep(5000);
	}
	assert_true(fd >= 0);
	n = read(fd, f->text, sizeof(f->text) - 1);
	assert_true(n > 0);
	f->text[n] = '\0';
	close(fd);
}

/* A whole line of the output. */
static bool has(const struct fixture *f, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = f->text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, len) == 0 && (at[len] == '\n' || at[len] == '\0'))
			return true;
	}
	return false;
}

static size_t count_lines(const struct fixture *f, const char *prefix)
{
	size_t n = 0;

	for (const char *at = f->text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		n += strncmp(at, prefix, strlen(prefix)) == 0;
	}
	return n;
}

static void run_to_end(struct fixture *f, const struct deliver_secret *secrets, size_t n)
{
	assert_int_equal(prepare(f, secrets, n), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->started, 1);
	run_until(f, &f->exited, 1);
	assert_int_equal(f->failed, 0);
	read_output(f);
}

static void nothing_was_started(struct fixture *f)
{
	run_for(f, 50);
	assert_int_equal(f->started, 0);
	assert_int_equal(f->exited, 0);
	assert_int_equal(access(f->output, F_OK), -1);
}

static void it_is_what_it_should_be_and_has_what_it_should_have(void **state)
{
	struct fixture *f = *state;
	char line[256];
	const char *capabilities;
	unsigned long long bounding;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	int leak;

	f->exec[2] = (char *)"exit:7";
	f->application.directory = f->directory;
	sigaction(SIGPIPE, &ignore, &before);
	/* Without close-on-exec: what a library may open. */
	leak = open("/dev/null", O_RDONLY);
	assert_true(leak >= 0);
	run_to_end(f, NULL, 0);
	close(leak);
	sigaction(SIGPIPE, &before, NULL);

	assert_true(WIFEXITED(f->status));
	assert_int_equal(WEXITSTATUS(f->status), 7);
	assert_int_equal(f->checks, 2);
	snprintf(line, sizeof(line), "arg 0 %s", f->program);
	assert_true(has(f, line));
	assert_true(has(f, "arg 2 exit:7"));
	assert_int_equal(count_lines(f, "arg "), 3);
	assert_true(has(f, "uid 65534 65534 gid 65534 65534"));
	assert_int_equal(count_lines(f, "group "), 1);
	snprintf(line, sizeof(line), "cwd %s", f->directory);
	assert_true(has(f, line));
	assert_true(has(f, "session own"));
	assert_true(has(f, "umask 022"));
	snprintf(line, sizeof(line), "0::/assay-test-%d", getpid());
	assert_true(has(f, line));
	assert_true(has(f, "SigBlk:\t0000000000000000"));
	assert_true(has(f, "SigIgn:\t0000000000000000"));
	assert_true(has(f, "TracerPid:\t0"));
	assert_true(has(f, "CapEff:\t0000000000000000"));
	assert_true(has(f, "CapAmb:\t0000000000000000"));
	capabilities = strstr(f->text, "CapBnd:\t");
	assert_non_null(capabilities);
	bounding = strtoull(capabilities + 8, NULL, 16);
	assert_int_equal(bounding & (1ULL << 21), 0); /* CAP_SYS_ADMIN */
	assert_int_equal(bounding & (1ULL << 19), 0); /* CAP_SYS_PTRACE */
	assert_int_equal(bounding & (1ULL << 27), 0); /* CAP_MKNOD */
	assert_true(bounding & (1ULL << 10));	      /* CAP_NET_BIND_SERVICE */

	assert_true(has(f, "env LANG=C.UTF-8"));
	assert_true(has(f, "env USER=nobody"));
	assert_int_equal(count_lines(f, "env PATH="), 1);
	assert_int_equal(count_lines(f, "env "), 6);
	assert_true(has(f, "fd 0"));
	assert_true(has(f, "fd 1"));
	assert_true(has(f, "fd 2"));
	assert_int_equal(count_lines(f, "fd "), 3);
}

static void secrets_come_as_argument_and_variable(void **state)
{
	__typeof__(*((struct config_application *)0)->environment) variables[] = {
		{ (char *)"LANG", (char *)"de_DE" },
	};
	__typeof__(*((struct config_application *)0)->deliver) how[] = {
		{ 1, DELIVER_ARGUMENT },
		{ 2, DELIVER_ENVIRONMENT },
	};
	struct fixture *f = *state;
	struct secret argument, variable, socket;

	assert_int_equal(secret_copy(view_text("s3cret {secret:two}"), &argument), 0);
	assert_int_equal(secret_copy(view_text("v=1"), &variable), 0);
	assert_int_equal(secret_copy(view_text("not this way"), &socket), 0);
	f->application.environment = (void *)variables;
	f->application.n_environment = 1;
	f->application.deliver = (void *)how;
	f->application.n_deliver = 2;
	f->exec[2] = (char *)"--key={secret:one}.";
	run_to_end(f,
		   (struct deliver_secret[]){ { "one", 1, &argument },
					      { "db-pass.word", 2, &variable },
					      { "three", 3, &socket } },
		   3);
	/* What a secret contains is not a place for another. */
	assert_true(has(f, "arg 2 --key=s3cret {secret:two}."));
	assert_true(has(f, "env DB_PASS_WORD=v=1"));
	assert_true(has(f, "env LANG=de_DE"));
	assert_int_equal(count_lines(f, "env LANG="), 1);
	assert_null(strstr(f->text, "not this way"));
	secret_done(&argument);
	secret_done(&variable);
	secret_done(&socket);
}

static void a_script_runs_through_its_descriptor(void **state)
{
	struct fixture *f = *state;
	char text[512];

	assert_int_equal(unlink(f->program), 0);
	snprintf(text, sizeof(text),
		 "#!/bin/sh\necho \"script $1 $#\" > \"$1.part\"\nmv \"$1.part\" \"$1\"\n");
	write_file(f->program, text, 0755);
	run_to_end(f, NULL, 0);
	snprintf(text, sizeof(text), "script %s 1", f->output);
	assert_true(has(f, text));
	assert_int_equal(WEXITSTATUS(f->status), 0);
}

static void a_program_replaced_after_measuring_is_not_started(void **state)
{
	struct fixture *f = *state;
	char other[160];

	measure(f);
	snprintf(other, sizeof(other), "%s.new", f->program);
	copy_file("/bin/true", other, 0755);
	assert_int_equal(rename(other, f->program), 0);
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), -ESTALE);
	nothing_was_started(f);
	assert_int_equal(f->failed, 0);
	/* It stays so. */
	assert_int_equal(launch_go(f->launch), -ECHILD);
}

static void a_program_replaced_after_the_check_does_not_run(void **state)
{
	struct fixture *f = *state;
	char other[160];

	/* Between the check and execve: what is executed is the old file, and that it is not the
	 * one of that name any more is seen before it runs. */
	measure(f);
	snprintf(other, sizeof(other), "%s.new", f->program);
	copy_file("/bin/false", other, 0755);
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	assert_int_equal(rename(other, f->program), 0);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "measured files, after execve");
	nothing_was_started(f);
}

static void a_program_touched_during_execve_does_not_run(void **state)
{
	struct fixture *f = *state;

	f->spoil_at_check = 2;
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "measured files, after execve");
	assert_int_equal(f->error, -ESTALE);
	nothing_was_started(f);
}

static void the_child_waits_until_it_is_let_go(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	assert_int_equal(prepare(f, NULL, 0), 0);
	pid = launch_pid(f->launch);
	nothing_was_started(f);
	assert_int_equal(kill(pid, 0), 0);
	launch_free(f->launch);
	f->launch = NULL;
	run_for(f, 50);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(f->failed, 0);
}

static void one_that_is_killed_while_it_waits_is_reported(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(kill(launch_pid(f->launch), SIGKILL), 0);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "ended before it ran");
	nothing_was_started(f);
}

static void the_step_that_failed_has_a_name(void **state)
{
	struct fixture *f = *state;

	f->application.directory = (char *)"/nowhere";
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "working directory");
	assert_int_equal(f->error, -ENOENT);
	nothing_was_started(f);
}

static void what_cannot_be_executed_is_reported(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(f->program), 0);
	write_file(f->program, "not a program", 0755);
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "execve");
	assert_int_equal(f->error, -ENOEXEC);
	nothing_was_started(f);
}

static void the_chip_cannot_be_reached(void **state)
{
	struct fixture *f = *state;
	char chip[160], tree[160], inner[192], patterns[2][160], arguments[5][224], line[512];
	const char *hide[] = { patterns[0], patterns[1], NULL };

	snprintf(chip, sizeof(chip), "%s/chip0", f->directory);
	snprintf(tree, sizeof(tree), "%s/tsm", f->directory);
	snprintf(inner, sizeof(inner), "%s/report", tree);
	assert_int_equal(mknod(chip, S_IFCHR | 0666, makedev(1, 5)), 0);
	assert_int_equal(mkdir(tree, 0777), 0);
	write_file(inner, "quote", 0666);
	snprintf(patterns[0], sizeof(patterns[0]), "%s/chip*", f->directory);
	snprintf(patterns[1], sizeof(patterns[1]), "%s/tsm", f->directory);
	f->in.hide = hide;
	/* As root, which file permissions do not stop. */
	f->application.user = (char *)"root";
	assert_int_equal(launch_user_of(&f->application, &f->user), 0);
	snprintf(arguments[0], sizeof(arguments[0]), "umount:%s", chip);
	snprintf(arguments[1], sizeof(arguments[1]), "read:%s", chip);
	snprintf(arguments[2], sizeof(arguments[2]), "read:%s", inner);
	snprintf(arguments[3], sizeof(arguments[3]), "write:%s", chip);
	snprintf(arguments[4], sizeof(arguments[4]), "write:%s/new", tree);
	for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
		f->exec[2 + i] = arguments[i];
	run_to_end(f, NULL, 0);

	snprintf(line, sizeof(line), "umount %s: Operation not permitted", chip);
	assert_true(has(f, line));
	/* The empty file stands there: nothing can be read from it, and nothing written. */
	snprintf(line, sizeof(line), "read %s: opened: ", chip);
	assert_true(has(f, line));
	snprintf(line, sizeof(line), "read %s: No such file or directory: ", inner);
	assert_true(has(f, line));
	snprintf(line, sizeof(line), "write %s: Read-only file system: ", chip);
	assert_true(has(f, line));
	/* A directory that was removed: nothing can be made in it. */
	snprintf(line, sizeof(line), "write %s/new: No such file or directory: ", tree);
	assert_true(has(f, line));
	/* Outside all is as it was. */
	assert_int_equal(access(inner, R_OK), 0);
}

static void credentials_are_there_for_it_alone(void **state)
{
	struct fixture *f = *state;
	struct deliver_files *own = NULL, *other = NULL;
	char arguments[5][256], line[512];
	struct secret s;

	assert_int_equal(secret_copy(view_text("tls key"), &s), 0);
	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &own), 0);
	assert_int_equal(deliver_files_open(f->directory, "other", NOBODY, NOBODY, &other), 0);
	assert_int_equal(deliver_files_put(own, "tls-key", &s), 0);
	assert_int_equal(deliver_files_put(other, "other-key", &s), 0);
	f->in.credentials = deliver_files_path(own);
	snprintf(arguments[0], sizeof(arguments[0]), "read:%s/payroll/tls-key", f->root);
	snprintf(arguments[1], sizeof(arguments[1]), "list:%s", f->root);
	snprintf(arguments[2], sizeof(arguments[2]), "read:%s/other/other-key", f->root);
	snprintf(arguments[3], sizeof(arguments[3]), "write:%s/payroll/new", f->root);
	snprintf(arguments[4], sizeof(arguments[4]), "wait");
	for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
		f->exec[2 + i] = arguments[i];
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->started, 1);
	read_output(f);
	snprintf(line, sizeof(line), "env CREDENTIALS_DIRECTORY=%s/payroll", f->root);
	assert_true(has(f, line));
	snprintf(line, sizeof(line), "read %s/payroll/tls-key: opened: tls key", f->root);
	assert_true(has(f, line));
	snprintf(line, sizeof(line), "list %s: payroll", f->root);
	assert_true(has(f, line));
	assert_int_equal(count_lines(f, "list "), 1);
	snprintf(line, sizeof(line),
		 "read %s/other/other-key: No such file or directory: ", f->root);
	assert_true(has(f, line));
	snprintf(line, sizeof(line), "write %s/payroll/new: Read-only file system: ", f->root);
	assert_true(has(f, line));

	/* One that comes later is seen by the running application. */
	assert_int_equal(deliver_files_put(own, "stage-2", &s), 0);
	snprintf(line, sizeof(line), "/proc/%d/root%s/payroll/stage-2", launch_pid(f->launch),
		 f->root);
	assert_int_equal(access(line, R_OK), 0);
	/* And gone when it ends, inside and outside. */
	deliver_files_close(own);
	deliver_files_close(other);
	assert_int_equal(access(line, F_OK), -1);
	launch_stop(f->launch, LAUNCH_STOP_KILL);
	run_until(f, &f->exited, 1);
	assert_true(WIFSIGNALED(f->status));
	assert_int_equal(WTERMSIG(f->status), SIGKILL);
	secret_done(&s);
}

static void it_is_asked_to_stop(void **state)
{
	struct fixture *f = *state;

	f->exec[2] = (char *)"wait";
	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	run_until(f, &f->started, 1);
	read_output(f);
	assert_int_equal(f->exited, 0);
	launch_stop(f->launch, LAUNCH_STOP_ASK);
	run_until(f, &f->exited, 1);
	assert_int_equal(WTERMSIG(f->status), SIGTERM);
}

static void one_stopped_before_it_runs_never_does(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(prepare(f, NULL, 0), 0);
	assert_int_equal(launch_go(f->launch), 0);
	launch_stop(f->launch, LAUNCH_STOP_ASK);
	run_until(f, &f->failed, 1);
	assert_string_equal(f->step, "stopped before it ran");
	run_for(f, 20);
	assert_int_equal(f->started, 0);
	assert_int_equal(f->exited, 0);
}

static void users_that_do_not_exist_are_refused(void **state)
{
	struct fixture *f = *state;
	struct launch_user user;

	f->application.user = (char *)"no-such-user";
	assert_int_equal(launch_user_of(&f->application, &user), -ENOENT);
	f->application.user = (char *)"4294967295";
	assert_int_equal(launch_user_of(&f->application, &user), -ENOENT);
	f->application.user = (char *)"nobody";
	f->application.group = (char *)"no-such-group";
	assert_int_equal(launch_user_of(&f->application, &user), -ENOENT);
	f->application.group = (char *)"65534";
	assert_int_equal(launch_user_of(&f->application, &user), 0);
	assert_int_equal(user.gid, NOBODY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_what_it_should_be_and_has_what_it_should_have),
		TEST(secrets_come_as_argument_and_variable),
		TEST(a_script_runs_through_its_descriptor),
		TEST(a_program_replaced_after_measuring_is_not_started),
		TEST(a_program_replaced_after_the_check_does_not_run),
		TEST(a_program_touched_during_execve_does_not_run),
		TEST(the_child_waits_until_it_is_let_go),
		TEST(one_that_is_killed_while_it_waits_is_reported),
		TEST(the_step_that_failed_has_a_name),
		TEST(what_cannot_be_executed_is_reported),
		TEST(the_chip_cannot_be_reached),
		TEST(credentials_are_there_for_it_alone),
		TEST(it_is_asked_to_stop),
		TEST(one_stopped_before_it_runs_never_does),
		TEST(users_that_do_not_exist_are_refused),
	};

	if (getuid() != 0) {
		printf("skipped: needs root\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
