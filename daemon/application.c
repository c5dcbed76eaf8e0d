/* SPDX-License-Identifier: Apache-2.0 */
#include "application.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <openssl/rand.h>

#include "channel.h"
#include "cleanup.h"
#include "collectors/static_files.h"
#include "log.h"

#define RETRY_SECONDS	2
#define RESTART_SECONDS 1
#define REASONS_MAX	(64 * 1024)

static const char *const state_names[] = {
	[APPLICATION_WAITING] = "waiting",   [APPLICATION_MEASURING] = "measuring",
	[APPLICATION_STARTING] = "starting", [APPLICATION_RUNNING] = "running",
	[APPLICATION_REFUSED] = "refused",   [APPLICATION_ENDED] = "ended",
	[APPLICATION_FAILED] = "failed",
};

CLEANUP_FUNCTION(struct application *, application_free)

const char *application_state_name(const struct application *a)
{
	return state_names[a->state];
}

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

static void retry_in(struct application *a, int seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(a->retry_timer, &tv);
}

/* A run is over: nothing of it stays. */
static void run_clear(struct application *a)
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
	launch_free(TAKE(a->launch));
	measured_free(TAKE(a->measured));
	while (a->batch) {
		struct queued_measurement *m = a->batch;

		a->batch = m->next;
		queued_measurement_free(m);
	}
	a->batch_n = a->batch_bytes = 0;
	event_del(a->gone_timer);
}

static void run_begin(struct application *a)
{
	run_clear(a);
	if (RAND_bytes(a->run_id, sizeof(a->run_id)) != 1)
		abort(); /* without random numbers nothing here means anything */
	a->sequence = a->node_number = a->last_node_boottime_ns = a->dropped = 0;
	a->stage_passed = a->stage_wanted = 0;
	a->refused = false;
	snprintf(a->verdict, sizeof(a->verdict), "none");
	free(TAKE(a->reasons));
}

static void failed(struct application *a)
{
	run_clear(a);
	a->state = APPLICATION_FAILED;
	app_socket_notify(a->daemon->socket, a->index);
}

static int check_measured(void *arg)
{
	struct application *a = arg;
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

static void on_started(void *arg)
{
	struct application *a = arg;
	int r;

	a->target->started_boottime_ns = schedule_boottime_ns();
	a->target->started_realtime_ns = schedule_realtime_ns();
	log_step(a->measured ? "A8" : "B2", name_of(a), "started, pid %d%s",
		 (int)a->target->root_pid, a->secrets ? ", with its secrets" : "");
	a->state = APPLICATION_RUNNING;
	for (struct application_secret *s = a->secrets; s; s = s->next) {
		static const char *const how[] = { [DELIVER_SOCKET] = "socket",
						   [DELIVER_CREDENTIAL] = "credential",
						   [DELIVER_ENVIRONMENT] = "environment",
						   [DELIVER_ARGUMENT] = "argument",
						   [DELIVER_SYSTEMD] = "systemd" };
		enum config_deliver d = config_deliver_of(a->config, s->stage);

		if (d != DELIVER_SOCKET && d != DELIVER_SYSTEMD)
			application_delivered(a, s->stage, s->name, a->target->root_pid, how[d]);
	}
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

static void on_start_failed(void *arg, const char *step, int error)
{
	struct application *a = arg;

	log_error("%s: not started: %s: %s", name_of(a), step,
		  strerror(error < 0 ? -error : error));
	failed(a);
}

static void run_ended(struct application *a)
{
	schedule_stop(a->schedule);
	run_clear(a);
	a->state = a->refused ? APPLICATION_REFUSED : APPLICATION_ENDED;
	app_socket_notify(a->daemon->socket, a->index);
	if (a->daemon->stopping)
		return;
	if (a->config->restart && !a->refused)
		retry_in(a, RESTART_SECONDS);
}

static void on_gone_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval second = { 1, 0 };
	struct application *a = arg;

	if (target_populated(a->target)) {
		event_add(a->gone_timer, &second);
		return;
	}
	log_notice("%s: its last process ended", name_of(a));
	run_ended(a);
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
		log_notice("%s: other processes of it run on and are measured further", name_of(a));
		event_add(a->gone_timer, &second);
		return;
	}
	run_ended(a);
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

static const struct launch_events launch_events = { on_started, on_start_failed, on_exited };

/* A8, B2: the program, through the descriptor that was measured, and its secrets with it. */
static int launch(struct application *a, const char **ret_step)
{
	struct daemon *d = a->daemon;
	struct deliver_secret list[PRIVSEP_SECRETS_MAX];
	struct deliver_strings arguments = { 0 }, environment = { 0 };
	CLEANUP(cleanup_fd) int program = -1;
	struct launch_in in = { .target = a->target, .user = &a->user, .check = check_measured };
	size_t n = list_secrets(a, list, ARRAY_LEN(list));
	int r;

	*ret_step = "program";
	r = open_program(a, &program);
	if (r < 0)
		return r;
	*ret_step = "delivery of secrets";
	if (uses_files(a)) {
		r = deliver_to_files(a, list, n);
		if (r < 0)
			return r;
		in.credentials = deliver_files_path(a->files);
	}
	in.credentials_root = d->credentials_root;
	r = deliver_arguments(a->config, list, n, &arguments);
	if (r == 0)
		r = deliver_environment(a->config, &a->user, getenv("LANG"), in.credentials, list,
					n, &environment);
	if (r < 0)
		goto out;
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

static void start_program(struct application *a)
{
	const char *step = "";
	int r;

	a->state = APPLICATION_STARTING;
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
	log_step("A1", name_of(a), "found: %s", a->config->exec[0]);
	round_start(a, &in);
}

void application_start(struct application *a)
{
	if (a->state == APPLICATION_STARTING || a->state == APPLICATION_RUNNING ||
	    (a->state == APPLICATION_MEASURING && a->round))
		return;
	if (a->config->measure_static && (!a->daemon->session_up || !a->challenged)) {
		/* Nothing starts before its static measurement passed; the Challenge comes back
		 * here. */
		a->state = APPLICATION_WAITING;
		return;
	}
	run_begin(a);
	if (a->config->measure_static)
		measure_static(a);
	else
		start_program(a);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	application_start(arg);
}

void application_stop(struct application *a, enum launch_stop how)
{
	int r;

	if (a->state != APPLICATION_RUNNING && a->state != APPLICATION_STARTING)
		return;
	/* A frozen process could not be ended politely. */
	r = target_freeze(a->target, false);
	if (r == 0 && how == LAUNCH_STOP_KILL)
		r = target_kill(a->target);
	else if (a->launch)
		launch_stop(a->launch, how);
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

void application_judged(struct application *a, bool accepted, bool latched, uint32_t stage,
			struct view reasons)
{
	free(a->reasons);
	a->reasons = reasons.len > 0 ? strndup((const char *)reasons.data, reasons.len) : NULL;
	snprintf(a->verdict, sizeof(a->verdict), "%s", accepted ? "accepted" : "refused");
	if (accepted) {
		if (stage > 0)
			a->stage_passed = stage;
		log_step(a->state == APPLICATION_MEASURING ? "A5" : "B8", name_of(a),
			 "accepted by the verifier%s%.*s", reasons.len ? ", with: " : "",
			 (int)reasons.len, (const char *)reasons.data);
		return;
	}
	log_error("%s: refused by the verifier: %.*s", name_of(a), (int)reasons.len,
		  (const char *)reasons.data);
	if (latched && !a->refused) {
		a->refused = true;
		log_error("%s: nothing more is released until the owner readmits it", name_of(a));
		if (a->state == APPLICATION_RUNNING)
			on_refusal[a->config->on_refusal](a);
	}
}

int application_keep_secret(struct application *a, const char *name, uint32_t stage,
			    const struct digest *claims_hash, struct secret *value)
{
	struct application_secret *s;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->stage = stage;
	s->claims_hash = *claims_hash;
	s->value = *value;
	*value = (struct secret){ 0 };
	s->next = a->secrets;
	a->secrets = s;
	return 0;
}

void application_delivered(struct application *a, uint32_t stage, const char *name, pid_t pid,
			   const char *how)
{
	Assay__Receipt receipt = ASSAY__RECEIPT__INIT;

	log_step("B11", name_of(a), "stage %u: %s handed to pid %d (%s)", stage, name, (int)pid,
		 how);
	receipt.application = (char *)name_of(a);
	receipt.stage = stage;
	receipt.secret = (char *)name;
	receipt.pid = (uint32_t)pid;
	receipt.how = (char *)how;
	for (const struct application_secret *s = a->secrets; s; s = s->next) {
		if (s->stage == stage && strcmp(s->name, name) == 0)
			receipt.claims_hash =
				(ProtobufCBinaryData){ s->claims_hash.size,
						       (uint8_t *)s->claims_hash.bytes };
	}
	channel_receipt(a->daemon, &receipt);
}

static void trigger_stage(struct application *a)
{
	char reason[64];
	int r;

	snprintf(reason, sizeof(reason), "stage %u", a->stage_wanted);
	r = schedule_trigger(a->schedule, ASSAY__TIME_NODE__KIND__STAGE, reason);
	if (r < 0)
		log_error("%s: stage %u: %s", name_of(a), a->stage_wanted,
			  r == -ENOENT ? "time_nodes has no {on: stage}" : strerror(-r));
}

int application_begin_stage(struct application *a, uint32_t stage, const char **ret_why)
{
	if (stage == 0 || stage > a->config->stages) {
		*ret_why = "no such stage";
		return -EINVAL;
	}
	if (stage <= a->stage_passed || stage == a->stage_wanted)
		return 0;
	if (a->refused) {
		*ret_why = "the application was refused; its owner can readmit it";
		return -EACCES;
	}
	if (stage != a->stage_passed + 1) {
		*ret_why = "stages come in order";
		return -ERANGE;
	}
	if (a->state != APPLICATION_RUNNING) {
		*ret_why = "the application is not running";
		return -EAGAIN;
	}
	a->stage_wanted = stage;
	log_step("", name_of(a), "stage %u begins: it is measured first", stage);
	trigger_stage(a);
	return 0;
}

/* A time node fell due: a round begins. */
static void on_node(void *arg, const struct schedule_node *node)
{
	struct application *a = arg;
	struct round_in in = {
		.kind = ASSAY__CLAIMS__KIND__DYNAMIC,
		.node = node->config->kind,
		.due_boottime_ns = node->due_boottime_ns,
		.reason = node->reason,
		.report_every = node->config->report_every,
	};

	if (in.node == ASSAY__TIME_NODE__KIND__STAGE) {
		if (a->stage_wanted == 0)
			return;
		in.stage = a->stage_wanted;
		in.report_every = 1;
	} else if (in.node == ASSAY__TIME_NODE__KIND__DEMAND) {
		in.report_every = 1;
	}
	schedule_busy(a->schedule);
	round_start(a, &in);
}

static void static_round_ended(struct application *a, struct round *round, int r)
{
	if (r == -ENOTCONN) {
		log_notice("%s: waits for the verifier before it starts", name_of(a));
		a->state = APPLICATION_WAITING;
		if (a->daemon->session_up && a->challenged)
			retry_in(a, RETRY_SECONDS);
		return;
	}
	if (r < 0) {
		failed(a);
		return;
	}
	if (!round_accepted(round)) {
		run_clear(a);
		a->state = APPLICATION_REFUSED;
		app_socket_notify(a->daemon->socket, a->index);
		return;
	}
	a->measured = round_take_measured(round);
	start_program(a);
}

static void dynamic_round_ended(struct application *a, struct round *round, int r)
{
	struct deliver_secret list[PRIVSEP_SECRETS_MAX];
	uint32_t stage = round ? round_stage(round) : 0;
	int e;

	if (stage > 0 && r == -ENOTCONN) {
		/* The stage stays begun; it is measured again when the verifier is there. */
		log_notice("%s: stage %u waits for the verifier", name_of(a), stage);
	} else if (stage > 0) {
		a->stage_wanted = 0;
		if (r == 0 && uses_files(a)) {
			e = deliver_to_files(a, list, list_secrets(a, list, ARRAY_LEN(list)));
			if (e < 0)
				log_error("%s: credential files: %s", name_of(a), strerror(-e));
		}
	}
	schedule_ready(a->schedule);
}

void application_round_ended(struct application *a, struct round *round, int r)
{
	bool is_static = a->state == APPLICATION_MEASURING;
	uint32_t stage = round ? round_stage(round) : 0;

	a->round = NULL;
	if (is_static)
		static_round_ended(a, round, r);
	else
		dynamic_round_ended(a, round, r);
	app_socket_notify(a->daemon->socket, a->index);
	if (a->daemon->credentials)
		deliver_socket_notify(a->daemon->credentials, name_of(a));
	if (r == 0 && (stage > 0 || is_static))
		app_socket_event(a->daemon->socket, a->index, stage, a->refused ? -EACCES : 0,
				 a->verdict);
}

void application_session_down(struct application *a)
{
	a->challenged = false;
	a->nonce_until_boottime_ns = 0;
	a->dropped += queue_session_ended(&a->queue, round_session_lost);
	if (a->round)
		round_session_down(a->round);
}

/* The owner asks for a measurement, or has readmitted the application. */
static void demanded(struct application *a, const struct privsep_challenge *c)
{
	int r;

	log_step("", name_of(a), "the verifier demands a measurement%s%s", *c->reason ? ": " : "",
		 c->reason);
	if (a->refused && strcmp(c->reason, "readmitted") == 0) {
		a->refused = false;
		r = target_freeze(a->target, false);
		if (r < 0)
			log_error("%s: cannot be thawed: %s", name_of(a), strerror(-r));
	}
	if (a->state == APPLICATION_RUNNING) {
		r = schedule_trigger(a->schedule, ASSAY__TIME_NODE__KIND__DEMAND, c->reason);
		if (r < 0)
			log_warning("%s: no measurement on demand: %s", name_of(a),
				    r == -ENOENT ? "time_nodes has no {on: demand}" : strerror(-r));
	} else {
		application_start(a);
	}
}

void application_challenged(struct application *a, const struct privsep_challenge *c)
{
	bool first = !a->challenged, taken;

	a->challenged = true;
	/* A nonce is used once: by the round that asked for it, or kept for the next. */
	taken = a->round && !c->demand && round_challenged(a->round, c);
	if (!taken && c->stage == 0) {
		memcpy(a->nonce, c->nonce, NONCE_SIZE);
		a->nonce_until_boottime_ns = schedule_boottime_ns() + c->valid_ms * 1000000ULL;
	}
	if (c->demand) {
		demanded(a, c);
		return;
	}
	if (!first)
		return;
	if (a->state == APPLICATION_WAITING)
		application_start(a);
	else if (a->stage_wanted > 0 && !a->round)
		trigger_stage(a);
	channel_flush(a);
}

int application_new(struct daemon *d, const struct config_application *config, int index,
		    struct application **ret)
{
	CLEANUP(application_freep) struct application *a = NULL;
	int r;

	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->daemon = d;
	a->config = config;
	a->index = index;
	a->queue.max = d->config->queue_max;
	snprintf(a->verdict, sizeof(a->verdict), "none");
	r = launch_user_of(config, &a->user);
	if (r < 0) {
		log_error("%s: no user or group %s%s%s on this machine", config->name,
			  config->user ? config->user : "", config->group ? ":" : "",
			  config->group ? config->group : "");
		return r;
	}
	if (!config->user)
		log_warning(
			"%s: no user: it runs as assayd's own, which can read its memory unseen",
			config->name);
	r = target_new(&config->target, d->cgroup_fd, d->cgroup_path, d->follow, &a->target);
	if (r < 0) {
		log_error("%s: cgroup: %s", config->name, strerror(-r));
		return r;
	}
	if (!d->follow)
		a->target->follow_why = d->follow_why;
	r = schedule_new(d->base, config->nodes, config->n_nodes, on_node, a, &a->schedule);
	if (r < 0)
		return r;
	a->gone_timer = evtimer_new(d->base, on_gone_timer, a);
	a->retry_timer = evtimer_new(d->base, on_retry, a);
	if (!a->gone_timer || !a->retry_timer)
		return -ENOMEM;
	*ret = TAKE(a);
	return 0;
}

void application_free(struct application *a)
{
	if (!a)
		return;
	if (a->gone_timer && a->retry_timer)
		run_clear(a);
	schedule_free(a->schedule);
	queue_done(&a->queue);
	target_free(a->target);
	free(a->reasons);
	if (a->gone_timer)
		event_free(a->gone_timer);
	if (a->retry_timer)
		event_free(a->retry_timer);
	free(a);
}
