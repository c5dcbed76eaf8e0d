/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <event2/buffer.h>
#include <openssl/rand.h>
#include <systemd/sd-daemon.h>

#include "application.h"
#include "application_unit.h"
#include "boot.h"
#include "channel.h"
#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/guard.h"
#include "footprint.h"
#include "ima_log.h"
#include "initrd.h"
#include "log.h"
#include "requests.h"
#include "violation_log.h"

#define STOP_SECONDS 15 /* for applications to end when assayd is told to */

/* For killed processes to be gone, two seconds in all; the loop does not run then. */
#define KILL_LOOKS   100
#define KILL_LOOK_US 20000

struct application *monitor_application(struct daemon *d, const char *name)
{
	for (size_t i = 0; i < d->n_applications; i++) {
		if (strcmp(d->applications[i]->config->name, name) == 0)
			return d->applications[i];
	}
	return NULL;
}

struct application *monitor_application_of(struct daemon *d, pid_t pid)
{
	for (size_t i = 0; i < d->n_applications; i++) {
		if (target_has(d->applications[i]->target, pid))
			return d->applications[i];
	}
	return NULL;
}

/* /proc/sys/kernel/random/boot_id, as 16 bytes. */
static int read_boot_id(uint8_t ret[BOOT_ID_SIZE])
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(64);
	CLEANUP(cleanup_fd) int fd = -1;
	char hex[2 * BOOT_ID_SIZE + 1] = "";
	size_t n = 0;
	int r;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	r = bytes_read_fd(&text, fd);
	if (r < 0)
		return r;
	for (size_t i = 0; i < text.len && n < sizeof(hex) - 1; i++) {
		if (text.data[i] != '-' && text.data[i] != '\n')
			hex[n++] = (char)text.data[i];
	}
	return hex_decode_exact(hex, ret, BOOT_ID_SIZE);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct timeval limit = { STOP_SECONDS, 0 };
	struct daemon *d = arg;
	bool running = false;

	if (d->stopping) {
		event_base_loopbreak(d->base);
		return;
	}
	log_notice("asked to end; the applications are ended first");
	sd_notify(0, "STOPPING=1");
	d->stopping = true;
	for (size_t i = 0; i < d->n_applications; i++) {
		/* systemd's own are systemd's to end. */
		if (d->applications[i]->config->unit)
			continue;
		application_stop(d->applications[i], LAUNCH_STOP_ASK);
		running = running || target_populated(d->applications[i]->target);
	}
	event_base_loopexit(d->base, running ? &limit : NULL);
}

/* Every half second once told to end: are they all gone? And the watchdog's beat. */
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	bool running = false;

	sd_notify(0, "WATCHDOG=1");
	if (!d->stopping)
		return;
	for (size_t i = 0; i < d->n_applications; i++)
		running = running || (!d->applications[i]->config->unit &&
				      target_populated(d->applications[i]->target));
	if (!running)
		event_base_loopexit(d->base, NULL);
}

static void on_net_ended(void *arg, const char *why)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	/* Without net there is no verifier; systemd starts both anew. */
	log_error("the net process is gone: %s", why);
	d->exit_status = 3;
	event_base_loopbreak(d->base);
}

static void on_follow_readable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	int r = follow_drain(d->follow);

	if (r < 0) {
		log_error("kernel events cannot be read: %s; their loss shows in MI", strerror(-r));
		event_del(d->follow_readable);
	}
}

static const struct {
	uint32_t kind; /* enum follow_kind */
	enum config_event event;
	const char *text;
} event_nodes[] = {
	{ FOLLOW_EXEC, CONFIG_EVENT_EXEC, "exec" },
	{ FOLLOW_LISTEN, CONFIG_EVENT_LISTEN, "listen" },
	{ FOLLOW_CONNECT, CONFIG_EVENT_CONNECT, "connect" },
	{ FOLLOW_EXIT, CONFIG_EVENT_EXIT, "exit" },
	{ FOLLOW_FOREIGN, CONFIG_EVENT_FOREIGN, "foreign_access" },
	{ FOLLOW_WX_MEMORY, CONFIG_EVENT_WX_MEMORY, "wx_memory" },
	{ FOLLOW_FILE_CHANGED, CONFIG_EVENT_FILE_CHANGED, "file_changed" },
};

static void on_record(void *arg, const struct follow_record *record)
{
	struct daemon *d = arg;
	char reason[SCHEDULE_REASON_MAX];
	int r;

	/* Looking at it, as ps does, is counted and makes no measurement. */
	if (record->kind == FOLLOW_FOREIGN && FOLLOW_ACCESS_LOOKS(record->value))
		return;
	for (size_t k = 0; k < d->n_applications; k++) {
		struct application *a = d->applications[k];

		if (a->state == APPLICATION_RUNNING && a->target->slot == record->slot)
			violation_in_record(a, record);
	}
	for (size_t i = 0; i < ARRAY_LEN(event_nodes); i++) {
		if (event_nodes[i].kind != record->kind)
			continue;
		for (size_t k = 0; k < d->n_applications; k++) {
			struct application *a = d->applications[k];

			if (a->state != APPLICATION_RUNNING || a->target->slot != record->slot ||
			    !schedule_wants_event(a->schedule, event_nodes[i].event))
				continue;
			snprintf(reason, sizeof(reason), "%s by pid %u", event_nodes[i].text,
				 record->actor);
			r = schedule_event(a->schedule, event_nodes[i].event, reason);
			if (r < 0)
				log_warning("%s: no measurement on %s: %s", a->config->name, reason,
					    strerror(-r));
		}
	}
}

/*
 * The kernel measures into its machine's own TPM; what a TPM at another address has in PCR 10 only
 * the configuration knows. A kernel without IMA is no error: the reports say it.
 */
static int open_ima(struct daemon *d, struct attester_config *chip)
{
	const struct config *c = d->config;
	bool own = strncmp(chip->tcti, "device", strlen("device")) == 0;
	const char *file = c->ima_log ? c->ima_log : own ? IMA_LIST_KERNEL : CONFIG_NONE;
	int r;

	if (!d->attester_ops->quotes_ima)
		return 0;
	if (strcmp(file, CONFIG_NONE) == 0) {
		snprintf(d->ima_why, sizeof(d->ima_why), "%s",
			 c->ima_log ? "assayd is told not to send it (tpm.ima_log)"
				    : "the TPM is not the machine's own (tpm.tcti)");
		return 0;
	}
	if (chip->runtime_pcr == IMA_PCR) {
		snprintf(d->ima_why, sizeof(d->ima_why), "PCR %d is assayd's own (tpm.runtime_pcr)",
			 IMA_PCR);
		log_warning("IMA's list is not sent: %s", d->ima_why);
		return 0;
	}
	r = ima_list_open(file, &d->ima);
	if (r < 0)
		snprintf(d->ima_why, sizeof(d->ima_why), "%s: %s", file, strerror(-r));
	if (r == -ENOENT && !c->ima_log) {
		log_info("IMA's list is not sent: %s; continuing without", d->ima_why);
		return 0;
	}
	if (r < 0) {
		log_error("IMA's list cannot be read: %s", d->ima_why);
		return r;
	}
	chip->pcrs |= 1u << IMA_PCR;
	log_info("IMA's list goes with every report: %s", file);
	return 0;
}

static int open_chip(struct daemon *d)
{
	const struct config *c = d->config;
	struct attester_config chip = c->chip;
	CLEANUP(cleanup_mem) char *path = NULL;
	char why[MONITOR_WHY_MAX] = "";
	struct digest reg;
	unsigned int number;
	int r;

	d->attester_ops = attester_pick(c->attester, &c->chip, why, sizeof(why));
	if (!d->attester_ops) {
		log_error("attester: %s: %s", c->attester, why);
		return -ENODEV;
	}
	if (strcmp(c->attester, "auto") == 0)
		log_notice("attester: %s: %s", d->attester_ops->platform, why);
	r = open_ima(d, &chip);
	if (r < 0)
		return r;
	r = d->attester_ops->open(&chip, &d->attester, why, sizeof(why));
	if (r < 0) {
		log_error("attester: %s: %s", d->attester_ops->platform, why);
		return r;
	}
	if (d->attester_ops->insecure)
		log_warning(
			"attester: %s is INSECURE: its reports prove nothing; for development only",
			d->attester_ops->platform);
	r = d->attester_ops->identity(d->attester, &d->identity);
	if (r < 0) {
		log_error("attester: %s: the chip's keys cannot be read: %s",
			  d->attester_ops->platform, strerror(-r));
		return r;
	}
	if (!d->attester_ops->extend)
		return 0;
	r = d->attester_ops->runtime(d->attester, &number, &reg);
	if (r == -EOPNOTSUPP) {
		log_notice("no runtime register: %s; continuing without", d->attester->why);
		return 0;
	}
	if (r == 0 && asprintf(&path, "%s/runtime-log", c->runtime_directory) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = runtime_log_open(path, number, &reg, &d->runtime_log);
	if (r == -EBADE) {
		log_warning("runtime register %u was extended by somebody else: the verifier will "
			    "refuse what this boot reports; reboot, or (a TPM) name another PCR in "
			    "tpm.runtime_pcr",
			    number);
		r = 0;
	}
	if (r < 0)
		log_error("runtime register: %s",
			  d->attester->why[0] ? d->attester->why : strerror(-r));
	return r;
}

_Static_assert((int)PROTECT_SELF == (int)GUARD_SELF && (int)PROTECT_FILES == (int)GUARD_FILES &&
		       (int)PROTECT_CHIP == (int)GUARD_CHIP,
	       "what is configured is what the guard is asked for");

/* Once all eBPF objects of the start are there. */
static int open_guard(struct daemon *d)
{
	const struct config *c = d->config;
	const char *why = d->follow_why;
	int r = 0;

	if (!c->protect)
		return 0;
	if (d->follow) {
		r = guard_open(d->follow, c->protect, &d->guard);
		if (r < 0)
			return r;
		if (guard_active(d->guard) == c->protect)
			return 0;
		why = guard_why_not(d->guard);
	}
	if (!c->protect_required) {
		log_warning("nothing is protected: %s; continuing without, and every MI says so",
			    why);
		return 0;
	}
	log_error("protect_required: %s", why);
	return -EOPNOTSUPP;
}

/* Whether an application has a time node for new executable memory. */
static bool measures_at_new_code(const struct config *c)
{
	for (size_t i = 0; i < c->n_applications; i++) {
		for (size_t k = 0; k < c->applications[i].n_nodes; k++) {
			if (c->applications[i].nodes[k].events & CONFIG_EVENT_WX_MEMORY)
				return true;
		}
	}
	return false;
}

static int open_kernel_side(struct daemon *d)
{
	struct follow_options options = { .now_boottime_ns = schedule_boottime_ns(),
					  .full = d->config->hooks_full,
					  .code_at_once = measures_at_new_code(d->config) };
	char why[MONITOR_WHY_MAX] = "";
	int r;

	r = cgroup_base(d->config->cgroup, &d->cgroup_fd, &d->cgroup_path, why, sizeof(why));
	if (r < 0) {
		log_error("cgroup: %s", why);
		return r;
	}
	r = follow_open(&options, &d->follow, d->follow_why, sizeof(d->follow_why));
	if (r < 0) {
		log_warning("no eBPF: %s; continuing without, and every MI says so", d->follow_why);
		return 0;
	}
	if (d->net_pid > 0 && follow_add_own(d->follow, d->net_pid) < 0)
		log_warning("access to the net process cannot be counted; continuing without");
	follow_listen(d->follow, on_record, d);
	d->follow_readable = event_new(d->base, follow_events_fd(d->follow), EV_READ | EV_PERSIST,
				       on_follow_readable, d);
	if (!d->follow_readable || event_add(d->follow_readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/*
 * Processes that an assayd which was killed left behind: nobody watched them since, so they are
 * ended, and the verifier is told.
 */
static int end_survivors(struct daemon *d)
{
	for (size_t i = 0; i < d->config->n_applications; i++) {
		const char *name = d->config->applications[i].name;
		CLEANUP(cleanup_fd) int fd = -1;
		bool populated = false;
		int r;

		if (d->config->applications[i].unit &&
		    application_unit_runs(d->config->applications[i].unit)) {
			log_warning("%s: it runs already, and nobody watched it", name);
			d->survivors[d->n_survivors++] = (char *)name;
			continue;
		}
		r = cgroup_make(d->cgroup_fd, name, &fd);
		if (r != -EEXIST)
			continue;
		fd = openat(d->cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return neg_errno();
		log_warning("%s: processes of it were left by an earlier assayd; they are ended",
			    name);
		r = cgroup_freeze(fd, false);
		if (r == 0)
			r = cgroup_kill(fd);
		for (int tries = 0; r == 0 && tries < KILL_LOOKS; tries++) {
			r = cgroup_populated(fd, &populated);
			if (r < 0 || !populated)
				break;
			usleep(KILL_LOOK_US);
		}
		if (r == 0 && populated)
			r = -EBUSY;
		if (r < 0) {
			log_error("%s: they cannot be ended: %s", name, strerror(-r));
			return r;
		}
		d->survivors[d->n_survivors++] = (char *)name;
	}
	return 0;
}

static int make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST) {
		log_error("%s: %s", path, strerror(errno));
		return neg_errno();
	}
	return 0;
}

static int open_applications(struct daemon *d)
{
	int r;

	d->applications = calloc(d->config->n_applications, sizeof(struct application *));
	d->survivors = calloc(d->config->n_applications, sizeof(*d->survivors));
	if (!d->applications || !d->survivors)
		return -ENOMEM;
	r = end_survivors(d);
	for (size_t i = 0; r == 0 && i < d->config->n_applications; i++) {
		r = application_new(d, &d->config->applications[i], (int)i, &d->applications[i]);
		if (r == 0)
			d->n_applications++;
	}
	return r;
}

/* Of assayd.socket; sd_listen_fds(3). What else was passed, and is not ours, is closed. -1: none. */
static int passed_socket(const char *path)
{
	int n = sd_listen_fds(1), found = -1;

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		if (found < 0 && path && sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) > 0) {
			found = fd;
			continue;
		}
		log_warning("a socket was passed that is not credential_socket: it is closed");
		close(fd);
	}
	return found;
}

static int open_sockets(struct daemon *d)
{
	const struct config *c = d->config;
	int passed = passed_socket(c->credential_socket), r;

	r = app_socket_new(d->base, c->socket, &requests_ops, d, &d->socket);
	if (r < 0) {
		log_error("socket: %s: %s", c->socket, strerror(-r));
		return r;
	}
	r = deliver_root_make(c->runtime_directory, &d->credentials_root);
	if (r == 0 && c->credential_socket)
		r = deliver_socket_open(d->base, c->credential_socket, passed,
					&requests_credential_ops, d, &d->credentials);
	if (r < 0)
		log_error("credentials: %s", strerror(-r));
	return r;
}

static int open_loop(struct daemon *d)
{
	struct timeval beat = { 0, 500000 };
	struct event_config *ec = event_config_new();
	uint64_t watchdog_us = 0;

	/* Default timers are over a millisecond late. */
	if (!ec || event_config_set_flag(ec, EVENT_BASE_FLAG_PRECISE_TIMER) < 0)
		return -ENOMEM;
	d->base = event_base_new_with_config(ec);
	event_config_free(ec);
	d->receipts = evbuffer_new();
	if (!d->base || !d->receipts)
		return -ENOMEM;
	d->on_terminate = evsignal_new(d->base, SIGTERM, on_signal, d);
	d->on_interrupt = evsignal_new(d->base, SIGINT, on_signal, d);
	d->watchdog = event_new(d->base, -1, EV_PERSIST, on_beat, d);
	if (!d->on_terminate || !d->on_interrupt || !d->watchdog ||
	    event_add(d->on_terminate, NULL) < 0 || event_add(d->on_interrupt, NULL) < 0)
		return -ENOMEM;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us / 2 < 500000)
		beat.tv_usec = (suseconds_t)(watchdog_us / 2);
	return event_add(d->watchdog, &beat) < 0 ? -ENOMEM : 0;
}

/*
 * systemd's interface: an initrd has this file, and its root is memory. A root file system has
 * neither, and one of the two anybody could make.
 */
static bool runs_in_initrd(void)
{
	return access("/etc/initrd-release", F_OK) == 0 && initrd_root_in_memory();
}

static int monitor_open(struct daemon *d, int net_fd, int report_fd)
{
	const struct config *c = d->config;
	int r;

	/* The keys of P_i live here: no core dump, no ptrace by those without CAP_SYS_PTRACE. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return neg_errno();
	r = secret_heap_open();
	if (r < 0) {
		log_error("memory for secrets cannot be locked: %s (RLIMIT_MEMLOCK)", strerror(-r));
		return r;
	}
	r = open_loop(d);
	if (r == 0)
		r = read_boot_id(d->boot_id);
	if (r == 0 && RAND_bytes(d->epoch, sizeof(d->epoch)) != 1)
		r = -EIO;
	if (r == 0)
		r = make_directory(c->runtime_directory, 0755);
	if (r == 0)
		r = make_directory(c->state_directory, 0700);
	if (r < 0)
		return r;
	/* Of how this process was started: it stays so when another root takes the initrd's place. */
	d->in_initrd = report_fd >= 0 || runs_in_initrd();
	if (report_fd >= 0)
		r = boot_new(d, report_fd, &d->boot);
	if (r == 0)
		r = open_chip(d);
	if (r == 0)
		r = open_kernel_side(d);
	if (r == 0)
		r = worker_new(d->base, "assayd-chip", &d->chip);
	if (r == 0)
		r = worker_new(d->base, "assayd-files", &d->files);
	if (r == 0)
		r = open_sockets(d);
	if (r == 0)
		r = open_applications(d);
	if (r == 0)
		r = open_guard(d);
	if (r == 0)
		r = privsep_new(d->base, net_fd, PRIVSEP_TO_MONITOR_MAX, channel_on_net,
				on_net_ended, d, &d->net);
	if (r == 0)
		r = privsep_send(d->net, PRIVSEP_READY, (struct view){ 0 });
	return r;
}

/* What did not end when it was told to is killed; the cgroups can be removed once it is gone. */
static void end_applications(struct daemon *d)
{
	for (size_t i = 0; i < d->n_applications; i++) {
		struct target *t = d->applications[i]->target;

		if (d->applications[i]->config->unit)
			continue;
		if (target_populated(t) && target_kill(t) < 0)
			log_error("%s: its processes could not be ended",
				  d->applications[i]->config->name);
		for (int tries = 0; tries < KILL_LOOKS && target_populated(t); tries++)
			usleep(KILL_LOOK_US);
	}
}

static void monitor_close(struct daemon *d)
{
	int status;

	end_applications(d);
	/* Jobs hold rounds: the threads end first. */
	worker_free(d->chip);
	worker_free(d->files);
	boot_free(d->boot);
	app_socket_free(d->socket);
	deliver_socket_close(d->credentials);
	for (size_t i = 0; i < d->n_applications; i++)
		application_free(d->applications[i]);
	free(d->applications);
	free(d->survivors);
	privsep_free(d->net);
	if (d->net_pid > 0)
		waitpid(d->net_pid, &status, 0);
	runtime_log_free(d->runtime_log);
	ima_list_free(d->ima);
	attester_identity_done(&d->identity);
	if (d->attester)
		d->attester_ops->close(d->attester);
	if (d->follow_readable)
		event_free(d->follow_readable);
	guard_close(d->guard);
	follow_close(d->follow);
	if (d->cgroup_fd >= 0)
		close(d->cgroup_fd);
	free(d->cgroup_path);
	free(d->credentials_root);
	if (d->receipts)
		evbuffer_free(d->receipts);
	if (d->on_terminate)
		event_free(d->on_terminate);
	if (d->on_interrupt)
		event_free(d->on_interrupt);
	if (d->watchdog)
		event_free(d->watchdog);
	if (d->base)
		event_base_free(d->base);
	secret_heap_close();
}

int monitor_main(const struct config *config, int net_fd, pid_t net_pid, int report_fd)
{
	struct daemon d = { .config = config, .net_pid = net_pid, .cgroup_fd = -1 };
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = monitor_open(&d, net_fd, report_fd);
	if (r == 0) {
		log_notice("assayd %s: %zu application%s, chip: %s%s", ASSAY_VERSION,
			   d.n_applications, d.n_applications == 1 ? "" : "s",
			   d.attester_ops->platform, d.attester_ops->insecure ? " (INSECURE)" : "");
		sd_notify(0, "READY=1");
		/* Loading eBPF took megabytes that are not needed again. */
		footprint_trim();
		for (size_t i = 0; i < d.n_applications; i++)
			application_start(d.applications[i]);
		if (d.boot)
			boot_begin(d.boot);
		event_base_dispatch(d.base);
	}
	if (!d.net)
		close(net_fd); /* net ends when its other end does */
	monitor_close(&d);
	return r < 0 ? 3 : d.exit_status;
}
