/* SPDX-License-Identifier: Apache-2.0 */
#include "application.h"

#include <stdlib.h>
#include <string.h>

#include "application_run.h"
#include "application_unit.h"
#include "boot.h"
#include "channel.h"
#include "cleanup.h"
#include "footprint.h"
#include "log.h"

#define RETRY_SECONDS 2
#define REASONS_MAX   (64 * 1024)

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

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	application_start(arg);
}

static void readmitted(struct application *a)
{
	int r = target_freeze(a->target, false);

	log_notice("%s: readmitted", name_of(a));
	a->refused = a->frozen = false;
	if (r < 0)
		log_error("%s: cannot be thawed: %s", name_of(a), strerror(-r));
}

void application_judged(struct application *a, bool accepted, bool latched, uint32_t stage,
			struct view reasons)
{
	free(a->reasons);
	a->reasons = reasons.len > 0 ? strndup((const char *)reasons.data, reasons.len) : NULL;
	snprintf(a->verdict, sizeof(a->verdict), "%s", accepted ? "accepted" : "refused");
	if (accepted) {
		if (stage > 0)
			a->stage_passed = stage;
		/* The latch is the verifier's; it was opened while this machine was away. */
		if ((a->refused || a->frozen) && !latched)
			readmitted(a);
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
			application_run_refused(a);
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

static int trigger_stage(struct application *a)
{
	char reason[64];
	int r;

	snprintf(reason, sizeof(reason), "stage %u", a->stage_wanted);
	r = schedule_trigger(a->schedule, ASSAY__TIME_NODE__KIND__STAGE, reason);
	if (r == -ENOENT)
		r = -ENOTSUP;
	if (r < 0)
		log_error("%s: stage %u: %s", name_of(a), a->stage_wanted,
			  r == -ENOTSUP ? "time_nodes has no {on: stage}" : strerror(-r));
	return r;
}

int application_begin_stage(struct application *a, uint32_t stage, const char **ret_why)
{
	int r;

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
	r = trigger_stage(a);
	if (r < 0) {
		a->stage_wanted = 0;
		*ret_why = r == -ENOTSUP ? "time_nodes has no {on: stage}" : strerror(-r);
	}
	return r;
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

	if (a->config->unit && application_unit_ending(a))
		return;
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
			application_retry_in(a, RETRY_SECONDS);
		return;
	}
	if (r < 0) {
		application_run_failed(a, "its measurement, or the chip's report over it, failed");
		return;
	}
	if (!round_accepted(round) && !a->refused) {
		/* Refused for the channel's reasons alone, an expired nonce: measured again. */
		a->state = APPLICATION_WAITING;
		application_retry_in(a, RETRY_SECONDS);
		return;
	}
	if (!round_accepted(round)) {
		application_run_clear(a);
		a->state = APPLICATION_REFUSED;
		if (a->config->disk.kind != DISK_NONE)
			boot_disk_refused(a->daemon->boot, a, a->reasons ? a->reasons : "");
		app_socket_notify(a->daemon->socket, a->index);
		return;
	}
	a->measured = round_take_measured(round);
	application_run_start(a);
	footprint_trim();
}

static void dynamic_round_ended(struct application *a, struct round *round, int r)
{
	uint32_t stage = round ? round_stage(round) : 0;
	int e;

	if (stage > 0 && r == -ENOTCONN) {
		/* The stage stays begun; it is measured again when the verifier is there. */
		log_notice("%s: stage %u waits for the verifier", name_of(a), stage);
	} else if (stage > 0) {
		a->stage_wanted = 0;
		e = r == 0 ? application_run_deliver(a) : 0;
		if (e < 0)
			log_error("%s: credential files: %s", name_of(a), strerror(-e));
		else
			application_run_delivered(a, false);
	}
	/* The first one of a run reads every object that is loaded; those after it compare. */
	if (a->node_number == 1)
		footprint_trim();
	schedule_ready(a->schedule);
}

void application_round_ended(struct application *a, struct round *round, int r)
{
	bool is_static = a->state == APPLICATION_MEASURING;
	uint32_t stage = round ? round_stage(round) : 0;
	char unit[APPLICATION_NAME_MAX + 1];

	a->round = NULL;
	if (is_static)
		static_round_ended(a, round, r);
	else
		dynamic_round_ended(a, round, r);
	app_socket_notify(a->daemon->socket, a->index);
	if (a->daemon->credentials)
		deliver_socket_notify(a->daemon->credentials, application_unit_name(a, unit));
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
	if ((a->refused || a->frozen) && strcmp(c->reason, CHALLENGE_READMITTED) == 0)
		readmitted(a);
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
	/* The latch is the verifier's: ours only spares it questions, and it may have been opened.
	 */
	a->refused = false;
	if (a->state == APPLICATION_WAITING || a->state == APPLICATION_REFUSED)
		application_start(a);
	else if (a->stage_wanted > 0 && !a->round && trigger_stage(a) < 0)
		a->stage_wanted = 0;
	channel_flush(a);
}

int application_find_user(struct application *a)
{
	const struct config_application *config = a->config;
	int r;

	/* A unit's is in its file, and a disk has none. */
	if (a->user_known || !config->exec || config->disk.kind != DISK_NONE)
		return 0;
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
	a->user_known = true;
	return 0;
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
	/* Users of a root file system that is not there yet are looked for when it is. */
	r = boot_holds(d->boot, config) ? 0 : application_find_user(a);
	if (r < 0)
		return r;
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
	a->gone_timer = evtimer_new(d->base, application_run_on_gone, a);
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
		application_run_clear(a);
	if (a->unit.look)
		event_free(a->unit.look);
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
