/* SPDX-License-Identifier: Apache-2.0 */
/* One run of an application: measured, started, delivered to, ended. */
#include "application_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <openssl/rand.h>

#include "application_unit.h"
#include "batch.h"
#include "boot.h"
#include "cleanup.h"
#include "collectors/static_files.h"
#include "log.h"

#define RESTART_SECONDS 1
#define FAILED_SECONDS	10
#define SWTPM_PATH	"swtpm:path="

static const char *name_of(const struct application *a)
{
	return a->config->name;
}

/* Secrets of this stage must be there before the program runs. */
static bool delivered_at_start(const struct application *a, uint32_t stage)
{
	return stage >= 1 && stage <= a->config->stages &&
	       config_deliver_of(a->config, stage) != DELIVER_SOCKET;
}

void application_retry_in(struct application *a, int seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(a->retry_timer, &tv);
}

/* A run is over: nothing of it stays. */
void application_run_clear(struct application *a)
{
	struct application_secret *next;

	if (a->round) {
		round_abandon(a->round);
		a->round = NULL;
	}
	for (size_t i = 0; i < a->n_collectors; i++)
		a->collectors[i]->ops->close(a->collectors[i]);
	a->n_collectors = 0;
	for (struct application_secret *s = a->secrets; s; s = next) {
		next = s->next;
		secret_done(&s->value);
		free(s);
	}
	a->secrets = NULL;
	deliver_files_close(TAKE(a->files));
	application_unit_clear(a);
	launch_free(TAKE(a->launch));
	disk_free(TAKE(a->disk));
	measured_free(TAKE(a->measured));
	batch_drop(a);
	event_del(a->gone_timer);
}

static void run_begin(struct application *a)
{
	application_run_clear(a);
	if (RAND_bytes(a->run_id, sizeof(a->run_id)) != 1)
		abort(); /* without random numbers nothing here means anything */
	a->sequence = a->node_number = a->last_node_boottime_ns = a->dropped = 0;
	a->stage_passed = a->stage_wanted = 0;
	a->violations = 0;
	a->refused = a->frozen = a->stopping = false;
	snprintf(a->verdict, sizeof(a->verdict), "none");
	free(TAKE(a->reasons));
}

void application_run_failed(struct application *a, const char *why)
{
	application_run_clear(a);
	a->state = APPLICATION_FAILED;
	app_socket_notify(a->daemon->socket, a->index);
	/* A program or file that is missing may come: a disk is mounted late, a package installed.
	 */
	if (!a->daemon->stopping)
		application_retry_in(a, FAILED_SECONDS);
	if (a->config->disk.kind != DISK_NONE)
		boot_disk_failed(a->daemon->boot, a, why);
}

int application_run_check(struct application *a)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	int r;

	if (!a->measured)
		return 0;
	r = measured_check(a->measured, &path);
	if (r < 0)
		log_error("%s: %s: %s between measurement and start; nothing is started",
			  name_of(a), path ? path : "a measured file",
			  r == -ESTALE ? "it changed" : strerror(-r));
	return r;
}

static int check_measured(void *arg)
{
	return application_run_check(arg);
}

static int open_collectors(struct application *a)
{
	struct collector *c;
	int r;

	for (size_t i = 0; collector_table[i]; i++) {
		if (a->n_collectors == APPLICATION_COLLECTORS_MAX)
			return -E2BIG;
		r = collector_table[i]->open(a->target, &c);
		if (r < 0) {
			log_error("%s: collector %s: %s", name_of(a), collector_table[i]->name,
				  strerror(-r));
			return r;
		}
		a->collectors[a->n_collectors++] = c;
		if (collector_table[i] == &collector_static_files && a->measured) {
			r = static_files_baseline(c, a->measured);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

void application_run_delivered(struct application *a, bool at_start)
{
	static const struct {
		const char *how;
		bool later; /* reaches a program that runs already */
	} ways[] = {
		[DELIVER_CREDENTIAL] = { "credential", true },
		[DELIVER_ENVIRONMENT] = { "environment", false },
		[DELIVER_ARGUMENT] = { "argument", false },
	};

	for (struct application_secret *s = a->secrets; s; s = s->next) {
		enum config_deliver way = config_deliver_of(a->config, s->stage);

		if (s->delivered || (size_t)way >= ARRAY_LEN(ways) || !ways[way].how ||
		    (!at_start && !ways[way].later))
			continue;
		s->delivered = true;
		application_delivered(a, s->stage, s->name, a->target->root_pid, ways[way].how);
	}
}

void application_run_started(struct application *a)
{
	const char *unit = a->config->unit;
	int r;

	a->target->started_boottime_ns = schedule_boottime_ns();
	a->target->started_realtime_ns = schedule_realtime_ns();
	if (a->measured)
		log_step("A8", name_of(a), "started%s%s, pid %d%s", unit ? " by systemd as " : "",
			 unit ? unit : "", (int)a->target->root_pid,
			 a->secrets ? ", with its secrets" : "");
	if (a->config->measure_dynamic)
		log_step("B2", name_of(a), "runs as pid %d, its socket is %s",
			 (int)a->target->root_pid, a->daemon->config->socket);
	a->state = APPLICATION_RUNNING;
	application_run_delivered(a, true);
	if (!a->config->measure_dynamic)
		return;
	r = open_collectors(a);
	if (r == 0)
		r = schedule_start(a->schedule, schedule_boottime_ns());
	if (r < 0) {
		log_error("%s: cannot be measured while it runs: %s; it is ended", name_of(a),
			  strerror(-r));
		application_stop(a, LAUNCH_STOP_KILL);
	}
}

static void on_started(void *arg)
{
	application_run_started(arg);
}

static void on_start_failed(void *arg, const char *step, int error)
{
	struct application *a = arg;

	log_error("%s: not started: %s: %s", name_of(a), step,
		  strerror(error < 0 ? -error : error));
	application_run_failed(a, step);
}

void application_run_ended(struct application *a)
{
	schedule_stop(a->schedule);
	if (a->round)
		round_hand_over(a->round);
	batch_close(a);
	application_run_clear(a);
	a->state = a->refused ? APPLICATION_REFUSED : APPLICATION_ENDED;
	app_socket_notify(a->daemon->socket, a->index);
	if (a->daemon->stopping)
		return;
	/* systemd may start its unit again at any time. */
	if ((a->config->restart || a->config->unit) && !a->refused)
		application_retry_in(a, RESTART_SECONDS);
}

void application_run_on_gone(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval second = { 1, 0 };
	struct application *a = arg;

	if (target_populated(a->target)) {
		event_add(a->gone_timer, &second);
		return;
	}
	log_notice("%s: its last process ended", name_of(a));
	application_run_ended(a);
}

static void on_exited(void *arg, int status)
{
	static const struct timeval second = { 1, 0 };
	struct application *a = arg;

	if (WIFEXITED(status))
		log_notice("%s: ended with status %d", name_of(a), WEXITSTATUS(status));
	else
		log_notice("%s: ended by signal %d", name_of(a), WTERMSIG(status));
	if (target_populated(a->target)) {
		if (a->stopping && target_kill(a->target) < 0)
			log_error("%s: what it left behind cannot be ended", name_of(a));
		else if (!a->stopping)
			log_notice("%s: other processes of it run on and are measured further",
				   name_of(a));
		event_add(a->gone_timer, &second);
		return;
	}
	application_run_ended(a);
}

/* Descriptor of what will be executed: the one that was measured. */
static int open_program(struct application *a, int *ret)
{
	if (a->measured)
		return measured_open_program(a->measured, a->config->exec[0], ret);
	*ret = open(a->config->exec[0], O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? neg_errno() : 0;
}

static size_t list_secrets(struct application *a, struct deliver_secret *list, size_t max)
{
	size_t n = 0;

	for (struct application_secret *s = a->secrets; s && n < max; s = s->next)
		list[n++] = (struct deliver_secret){ s->name, s->stage, &s->value };
	return n;
}

static int deliver_to_files(struct application *a, const struct deliver_secret *list, size_t n)
{
	int r = 0;

	if (!a->files) {
		r = deliver_files_open(a->daemon->config->runtime_directory, name_of(a),
				       a->user.uid, a->user.gid, &a->files);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (config_deliver_of(a->config, list[i].stage) == DELIVER_CREDENTIAL)
			r = deliver_files_put(a->files, list[i].name, list[i].value);
	}
	return r;
}

static bool uses_files(const struct application *a)
{
	for (uint32_t i = 1; i <= a->config->stages; i++) {
		if (config_deliver_of(a->config, i) == DELIVER_CREDENTIAL)
			return true;
	}
	return false;
}

int application_run_deliver(struct application *a)
{
	struct deliver_secret list[PRIVSEP_SECRETS_MAX];

	return uses_files(a) ? deliver_to_files(a, list, list_secrets(a, list, ARRAY_LEN(list)))
			     : 0;
}

static const struct launch_events launch_events = { on_started, on_start_failed, on_exited };

/* A8, B2: the program, through the descriptor that was measured, and its secrets with it. */
static int launch(struct application *a, const char **ret_step)
{
	struct daemon *d = a->daemon;
	struct deliver_secret list[PRIVSEP_SECRETS_MAX];
	struct deliver_strings arguments = { 0 }, environment = { 0 };
	CLEANUP(cleanup_fd) int program = -1;
	struct launch_in in = { .target = a->target, .user = &a->user, .check = check_measured };
	const char *hide[3] = { NULL }; /* the chip's keys, and a TPM that is a socket */
	size_t n = list_secrets(a, list, ARRAY_LEN(list)), n_hide = 0;
	int r;

	*ret_step = "program";
	r = open_program(a, &program);
	if (r < 0)
		return r;
	*ret_step = "delivery of secrets";
	r = application_run_deliver(a);
	if (r < 0)
		return r;
	if (a->files)
		in.credentials = deliver_files_path(a->files);
	in.credentials_root = d->credentials_root;
	r = deliver_arguments(a->config, list, n, &arguments);
	if (r == 0)
		r = deliver_environment(a->config, &a->user, getenv("LANG"), in.credentials, list,
					n, &environment);
	if (r < 0)
		goto out;
	hide[n_hide++] = d->config->state_directory;
	if (d->config->chip.tcti &&
	    strncmp(d->config->chip.tcti, SWTPM_PATH, strlen(SWTPM_PATH)) == 0)
		hide[n_hide++] = d->config->chip.tcti + strlen(SWTPM_PATH);
	in.hide = hide;
	in.program_fd = program;
	in.argv = arguments.list;
	in.envp = environment.list;
	target_restart(a->target);
	r = launch_prepare(d->base, a->config, &in, &launch_events, a, &a->launch, ret_step);
	if (r < 0)
		goto out;
	a->target->root_pid = launch_pid(a->launch);
	*ret_step = "following its processes";
	if (d->follow)
		r = follow_add_root(d->follow, a->target->slot, a->target->root_pid);
	if (r == 0) {
		*ret_step = "measured files";
		r = launch_go(a->launch);
	}
out:
	deliver_strings_done(&arguments);
	deliver_strings_done(&environment);
	return r;
}

/* Of a LUKS2 disk: the one secret that its stage released. */
static const struct application_secret *passphrase_of(const struct application *a,
						      const char **ret_why)
{
	*ret_why = a->secrets ? "more than one secret was released for it; its policy is to "
				"release one, its passphrase"
			      : "no secret was released for it; its policy is to release one, its "
				"passphrase";
	return a->secrets && !a->secrets->next ? a->secrets : NULL;
}

static void on_disk_opened(void *arg, const char *why)
{
	struct application *a = arg;
	const struct application_secret *s = a->secrets;

	if (why) {
		log_error("%s: %s was not opened: %s", name_of(a), a->config->disk.device, why);
		application_run_failed(a, why);
		return;
	}
	log_step("A8", name_of(a), "opened: %s is /dev/mapper/%s", a->config->disk.device,
		 a->config->disk.name);
	if (s)
		application_delivered(a, s->stage, s->name, getpid(), "disk");
	a->disk_open = true;
	application_run_ended(a);
	boot_disk_opened(a->daemon->boot);
}

static void open_the_disk(struct application *a)
{
	const struct application_secret *passphrase = NULL;
	CLEANUP(cleanup_fd) int program = -1;
	const char *why = "its program is not as it was measured";
	int r;

	if (a->config->disk.kind == DISK_LUKS) {
		passphrase = passphrase_of(a, &why);
		if (!passphrase) {
			on_disk_opened(a, why);
			return;
		}
	}
	why = "its program is not as it was measured";
	r = application_run_check(a);
	if (r == 0)
		r = open_program(a, &program);
	if (r == 0)
		r = disk_open(a->daemon->base, a->config, program,
			      passphrase ? &passphrase->value : NULL, on_disk_opened, a, &a->disk);
	if (r < 0)
		on_disk_opened(a, r == -ESTALE ? why : strerror(-r));
}

void application_run_start(struct application *a)
{
	const char *step = "";
	int r;

	a->state = APPLICATION_STARTING;
	if (a->config->disk.kind != DISK_NONE) {
		open_the_disk(a);
		return;
	}
	if (a->config->measure_dynamic)
		log_step("B1", name_of(a), "ready: %zu kinds of time node, %u stages",
			 a->config->n_nodes, a->config->stages);
	if (a->config->unit) {
		application_unit_begin(a);
		return;
	}
	r = launch(a, &step);
	if (r < 0)
		on_start_failed(a, step, r);
}

static void measure_static(struct application *a)
{
	struct round_in in = {
		.kind = ASSAY__CLAIMS__KIND__STATIC,
		.node = ASSAY__TIME_NODE__KIND__START,
		.due_boottime_ns = schedule_boottime_ns(),
		.stage = delivered_at_start(a, 1) ? 1 : 0,
		.report_every = 1,
	};

	a->state = APPLICATION_MEASURING;
	log_step("A1", name_of(a), "found: %s",
		 a->config->unit ? a->config->unit : a->config->exec[0]);
	round_start(a, &in);
}

void application_start(struct application *a)
{
	if (a->state == APPLICATION_STARTING || a->state == APPLICATION_RUNNING ||
	    (a->state == APPLICATION_MEASURING && a->round))
		return;
	/* It is open, or waits for the root file system that its files are on. */
	if (a->disk_open || boot_holds(a->daemon->boot, a->config))
		return;
	if (a->config->measure_static && (!a->daemon->session_up || !a->challenged)) {
		/* Nothing starts before its static measurement passed; the Challenge comes back
		 * here. */
		a->state = APPLICATION_WAITING;
		return;
	}
	run_begin(a);
	if (application_find_user(a) < 0) {
		application_run_failed(a, "no such user");
		return;
	}
	if (a->config->measure_static)
		measure_static(a);
	else
		application_run_start(a);
}

void application_stop(struct application *a, enum launch_stop how)
{
	int r;

	if (a->state != APPLICATION_RUNNING && a->state != APPLICATION_STARTING)
		return;
	a->stopping = true;
	/* A frozen process could not be ended politely. */
	r = target_freeze(a->target, false);
	if (r == 0 && how == LAUNCH_STOP_KILL)
		r = target_kill(a->target);
	else if (a->launch)
		launch_stop(a->launch, how);
	else if (a->config->unit && target_has(a->target, a->target->root_pid) &&
		 kill(a->target->root_pid, SIGTERM) < 0 && errno != ESRCH)
		r = neg_errno(); /* what else is to end with its main process systemd knows */
	if (r < 0)
		log_error("%s: its processes cannot be ended: %s", name_of(a), strerror(-r));
}

/* What the configuration says shall happen to an application that was refused while it runs. */
static void refusal_withhold(struct application *a)
{
}

static void refusal_freeze(struct application *a)
{
	int r = target_freeze(a->target, true);

	a->frozen = r == 0;

	if (r < 0)
		log_error("%s: cannot be frozen: %s", name_of(a), strerror(-r));
}

static void refusal_stop(struct application *a)
{
	application_stop(a, LAUNCH_STOP_ASK);
}

static void refusal_kill(struct application *a)
{
	application_stop(a, LAUNCH_STOP_KILL);
}

static void (*const on_refusal[])(struct application *a) = {
	[REFUSAL_WITHHOLD] = refusal_withhold,
	[REFUSAL_FREEZE] = refusal_freeze,
	[REFUSAL_STOP] = refusal_stop,
	[REFUSAL_KILL] = refusal_kill,
};

void application_run_refused(struct application *a)
{
	on_refusal[a->config->on_refusal](a);
}
