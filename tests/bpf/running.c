/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/running.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/cgroup.h"

#define ANSWER_MS 20000

unsigned long long running_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

bool running_possible(void)
{
	struct follow_options options = { 0 };
	struct follow *f = NULL;
	char why[256], *path = NULL;
	int fd = -1;

	if (geteuid() != 0) {
		printf("skipped: needs root\n");
		return false;
	}
	if (cgroup_base(NULL, &fd, &path, why, sizeof(why)) < 0 ||
	    follow_open(&options, &f, why, sizeof(why)) < 0) {
		printf("skipped: %s\n", why);
		return false;
	}
	follow_close(f);
	close(fd);
	free(path);
	return true;
}

void running_prepare(struct running *x, size_t ring_bytes)
{
	running_prepare_with(x, &(struct follow_options){ .ring_bytes = ring_bytes });
}

void running_prepare_with(struct running *x, const struct follow_options *given)
{
	struct follow_options options = *given;
	char why[256] = "";
	struct target_config config = x->config;

	options.now_boottime_ns = running_now_ns();
	*x = (struct running){ .config = config, .commands = -1, .answers = -1 };
	snprintf(x->name, sizeof(x->name), "assay-test-%d", getpid());
	x->config.name = x->name;
	assert_int_equal(cgroup_base(NULL, &x->base_fd, &x->base_path, why, sizeof(why)), 0);
	if (follow_open(&options, &x->follow, why, sizeof(why)) < 0)
		fail_msg("follow_open: %s", why);
	assert_int_equal(target_new(&x->config, x->base_fd, x->base_path, x->follow, &x->target),
			 0);
}

static pid_t start(struct running *x, bool inside, int (*body)(struct running *x, void *arg),
		   void *arg)
{
	int commands[2], answers[2];
	char go;
	pid_t pid;

	assert_int_equal(pipe2(commands, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(commands[1]);
		close(answers[0]);
		x->commands = commands[0];
		x->answers = answers[1];
		if (read(commands[0], &go, 1) != 1)
			_exit(99);
		r = body(x, arg);
		_exit(r);
	}
	close(commands[0]);
	close(answers[1]);
	x->commands = commands[1];
	x->answers = answers[0];
	if (inside) {
		assert_int_equal(cgroup_add(x->target->cgroup_fd, pid), 0);
		assert_int_equal(follow_add_root(x->follow, x->target->slot, pid), 0);
		x->target->root_pid = pid;
		x->target->started_boottime_ns = running_now_ns();
		x->target->started_realtime_ns = 1;
	}
	running_go(x);
	return pid;
}

pid_t running_start(struct running *x, int (*body)(struct running *x, void *arg), void *arg)
{
	return start(x, true, body, arg);
}

pid_t running_outsider(struct running *x, int (*body)(struct running *x, void *arg), void *arg)
{
	struct running other = *x;
	pid_t pid = start(&other, false, body, arg);

	close(other.commands);
	close(other.answers);
	return pid;
}

void running_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

void running_stop(struct running *x)
{
	bool populated = true;

	if (x->target) {
		assert_int_equal(target_kill(x->target), 0);
		for (int i = 0; i < 500 && populated; i++) {
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			populated = target_populated(x->target);
			usleep(populated ? 10000 : 0);
		}
	}
	target_free(x->target);
	follow_close(x->follow);
	if (x->commands >= 0)
		close(x->commands);
	if (x->answers >= 0)
		close(x->answers);
	/* It must be gone; what is below the base now belongs to others. */
	assert_int_equal(faccessat(x->base_fd, x->name, F_OK, 0), -1);
	close(x->base_fd);
	rmdir(x->base_path);
	free(x->base_path);
	assert_false(populated);
}

void running_wait(struct running *x)
{
	char go;

	if (read(x->commands, &go, 1) != 1)
		_exit(98);
}

void running_go(struct running *x)
{
	assert_int_equal(write(x->commands, "g", 1), 1);
}

void running_say(struct running *x, long number)
{
	if (write(x->answers, &number, sizeof(number)) != sizeof(number))
		_exit(97);
}

long running_hear(struct running *x)
{
	struct pollfd ready = { x->answers, POLLIN, 0 };
	long number;

	if (poll(&ready, 1, ANSWER_MS) != 1)
		fail_msg("the child says nothing");
	assert_int_equal(read(x->answers, &number, sizeof(number)), sizeof(number));
	return number;
}
