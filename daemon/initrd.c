/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "attester.h"
#include "cleanup.h"
#include "log.h"

#define LOOK_MS	  100
#define SECOND_NS 1000000000ULL
#define TCTI_FILE "device:"
#define SHELL	  "/bin/sh"

/* The front outlives no error: this is the process whose end the kernel would panic at. */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void look_pause(void)
{
	static const struct timespec look = { .tv_nsec = LOOK_MS * 1000L * 1000 };

	nanosleep(&look, NULL);
}

/* The file that a TPM is; NULL: the chip is found otherwise, or is no file. */
static const char *chip_file(const struct config *c)
{
	if (strcmp(c->attester, "tpm") != 0 || !c->chip.tcti ||
	    strncmp(c->chip.tcti, TCTI_FILE, strlen(TCTI_FILE)) != 0)
		return NULL;
	return c->chip.tcti + strlen(TCTI_FILE);
}

static int wait_for_file(const char *path, uint64_t limit_ns)
{
	uint64_t begin = now_ns();

	while (access(path, F_OK) < 0) {
		if (now_ns() - begin > limit_ns)
			return -ENODEV;
		look_pause();
	}
	return 0;
}

static int wait_for_chip(const struct config *c, char *ret_why, size_t size)
{
	const char *file = chip_file(c);
	char why[ATTESTER_WHY_MAX] = "";
	uint64_t begin = now_ns();

	if (file && wait_for_file(file, c->initrd.wait_ns) < 0) {
		snprintf(ret_why, size,
			 "no chip: there is no %s after %llu s; has the machine a TPM, and is its "
			 "driver in the kernel or among initrd.modules?",
			 file, (unsigned long long)(c->initrd.wait_ns / SECOND_NS));
		return -ENODEV;
	}
	while (!attester_pick(c->attester, &c->chip, why, sizeof(why))) {
		if (now_ns() - begin > c->initrd.wait_ns) {
			snprintf(ret_why, size, "no chip after %llu s: %s",
				 (unsigned long long)(c->initrd.wait_ns / SECOND_NS), why);
			return -ENODEV;
		}
		look_pause();
	}
	return 0;
}

int initrd_wait_for_devices(const struct config *c, char *ret_why, size_t size)
{
	int r = wait_for_chip(c, ret_why, size);

	for (size_t i = 0; i < c->n_applications && r == 0; i++) {
		const struct config_application *a = &c->applications[i];
		const char *devices[] = { a->disk.device, a->disk.hash_device };

		for (size_t k = 0; k < ARRAY_LEN(devices) && r == 0; k++) {
			if (!devices[k])
				continue;
			r = wait_for_file(devices[k], c->initrd.wait_ns);
			if (r < 0)
				snprintf(ret_why, size,
					 "%s: no disk %s after %llu s; is its driver among "
					 "initrd.modules?",
					 a->name, devices[k],
					 (unsigned long long)(c->initrd.wait_ns / SECOND_NS));
		}
	}
	return r;
}

static void end_daemon(pid_t daemon)
{
	if (daemon <= 0)
		return;
	kill(daemon, SIGKILL);
	while (waitpid(daemon, NULL, 0) < 0 && errno == EINTR)
		;
}

/* On the console, as long as somebody wants it. */
static void run_shell(void)
{
	pid_t shell = fork();

	if (shell == 0) {
		setsid();
		execl(SHELL, SHELL, (char *)NULL);
		log_error("initrd: %s: %m", SHELL);
		_exit(127);
	}
	while (shell > 0 && waitpid(shell, NULL, 0) < 0 && errno == EINTR)
		;
}

void initrd_give_up(const struct config_initrd *c, pid_t daemon, const char *why)
{
	static const char *const then[] = {
		[FAILURE_POWEROFF] = "the machine is turned off",
		[FAILURE_REBOOT] = "the machine is started again",
		[FAILURE_SHELL] = "a shell follows, as initrd.on_failure has it",
	};

	log_error("initrd: %s", why);
	log_error("initrd: nothing was handed over; %s (initrd.on_failure)", then[c->on_failure]);
	/* With it go the chip's session and every secret, before anybody else gets a say. */
	end_daemon(daemon);
	sync();
	tcdrain(STDERR_FILENO);
	if (c->on_failure == FAILURE_SHELL) {
		/* Whoever started us, not being process 1, has a shell of its own. */
		if (getpid() != 1)
			exit(3);
		run_shell();
	}
	reboot(c->on_failure == FAILURE_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
	/* No such right in a container: then whoever started us is told. */
	exit(3);
}

/* Collects the processes that ended; the daemon's status in *ret, where it is one. */
static bool daemon_ended(pid_t daemon, int *ret)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != daemon)
			continue;
		*ret = status;
		ended = true;
	}
	return ended;
}

static void say_ended(int status, char *ret_why, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(ret_why, size, "assayd was ended by signal %d", WTERMSIG(status));
	else
		snprintf(ret_why, size, "assayd ended with status %d; what it said is above",
			 WEXITSTATUS(status));
}

/* 0: every disk is open. */
static int wait_for_report(const struct config_initrd *c, int fd, pid_t daemon, char *ret_why,
			   size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t begin = now_ns();
	struct initrd_report report;
	int status = 0;

	for (;;) {
		if (poll(&p, 1, LOOK_MS) > 0 &&
		    recv(fd, &report, sizeof(report), MSG_DONTWAIT) == sizeof(report)) {
			report.why[sizeof(report.why) - 1] = '\0';
			snprintf(ret_why, size, "%s", report.why);
			return report.what == INITRD_OPEN ? 0 : -EACCES;
		}
		if (daemon_ended(daemon, &status)) {
			say_ended(status, ret_why, size);
			return -ECHILD;
		}
		if (now_ns() - begin > c->timeout_ns) {
			snprintf(ret_why, size,
				 "no disk was opened within %llu s (initrd.timeout): does the "
				 "verifier run, is it reached from here, and does it know this "
				 "machine? Its log says what it refused, assayd's, above, why it "
				 "was not reached",
				 (unsigned long long)(c->timeout_ns / SECOND_NS));
			return -ETIMEDOUT;
		}
	}
}

/* Process 1 without another root: the applications are those of the initrd. */
static _Noreturn void stay(const struct config_initrd *c, pid_t daemon)
{
	char why[INITRD_WHY_MAX];
	int status = 0;

	while (!daemon_ended(daemon, &status))
		look_pause();
	say_ended(status, why, sizeof(why));
	initrd_give_up(c, 0, why);
}

static _Noreturn void front(const struct config *c, int fd, pid_t daemon)
{
	char why[INITRD_WHY_MAX];

	if (wait_for_report(&c->initrd, fd, daemon, why, sizeof(why)) < 0)
		initrd_give_up(&c->initrd, daemon, why);
	if (getpid() != 1)
		exit(0);
	if (!c->initrd.root.device)
		stay(&c->initrd, daemon);
	if (initrd_mount_root(&c->initrd, why, sizeof(why)) < 0)
		initrd_give_up(&c->initrd, daemon, why);
	log_notice("initrd: %s is the root now; %s goes on", c->initrd.root.device,
		   c->initrd.root.init);
	initrd_switch_root(&c->initrd, why, sizeof(why));
	initrd_give_up(&c->initrd, daemon, why);
}

static int make_ready(const struct config *c, char *ret_why, size_t size)
{
	int r;

	r = initrd_mount_all(ret_why, size);
	if (r == 0)
		r = initrd_load_modules(&c->initrd, ret_why, size);
	if (r == 0)
		r = initrd_network_up(&c->initrd, ret_why, size);
	if (r == 0)
		r = initrd_wait_for_devices(c, ret_why, size);
	return r;
}

int initrd_enter(const struct config *c)
{
	char why[INITRD_WHY_MAX] = "";
	int ends[2];
	pid_t daemon;

	if (make_ready(c, why, sizeof(why)) < 0)
		initrd_give_up(&c->initrd, 0, why);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		initrd_give_up(&c->initrd, 0, strerror(errno));
	daemon = fork();
	if (daemon < 0)
		initrd_give_up(&c->initrd, 0, strerror(errno));
	if (daemon == 0) {
		close(ends[0]);
		/* Not the console's: what happens to that is nothing to us. */
		setsid();
		return ends[1];
	}
	close(ends[1]);
	front(c, ends[0], daemon);
}
