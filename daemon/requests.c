/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <string.h>

#include "application.h"
#include "application_unit.h"
#include "log.h"
#include "monitor.h"

static int which(void *arg, pid_t pid)
{
	struct application *a = monitor_application_of(arg, pid);

	return a ? a->index : APP_NONE;
}

static const struct application_secret *find_secret(const struct application *a, const char *name,
						    uint32_t stage)
{
	for (const struct application_secret *s = a->secrets; s; s = s->next) {
		if (name ? strcmp(s->name, name) == 0 : s->stage == stage)
			return s;
	}
	return NULL;
}

/* Why a secret is not there: -EAGAIN where it may still come. */
static int not_there(const struct application *a, const char *name, uint32_t stage,
		     const char **ret_why)
{
	if (a->refused) {
		*ret_why = a->reasons ? a->reasons : "refused";
		return -EACCES;
	}
	if (a->stage_wanted > 0 && (name || stage == a->stage_wanted))
		return -EAGAIN;
	if (!name && stage > a->config->stages) {
		*ret_why = "no such stage";
		return -ENOENT;
	}
	if (strcmp(a->verdict, "refused") == 0) {
		*ret_why = a->reasons ? a->reasons : "refused";
		return -EACCES;
	}
	*ret_why = name ? "no secret of that name was released to this run"
			: "the stage was not begun, or releases no secret";
	return -ENOENT;
}

static int get_secret(void *arg, int application, const char *name, uint32_t stage,
		      struct app_secret *ret, const char **ret_why)
{
	struct daemon *d = arg;
	const struct application *a = d->applications[application];
	const struct application_secret *s = find_secret(a, name, stage);

	/* What was released before a refusal stays the application's; nothing new comes. */
	if (!s)
		return not_there(a, name, stage, ret_why);
	*ret = (struct app_secret){ &s->value, s->name, s->stage };
	return 0;
}

static int begin_stage(void *arg, int application, uint32_t stage, pid_t pid, const char **ret_why)
{
	struct daemon *d = arg;

	return application_begin_stage(d->applications[application], stage, ret_why);
}

static int measure(void *arg, int application, const char *reason, pid_t pid, const char **ret_why)
{
	struct daemon *d = arg;
	struct application *a = d->applications[application];
	char text[SCHEDULE_REASON_MAX];
	int r;

	snprintf(text, sizeof(text), "pid %d: %s", (int)pid, reason);
	r = schedule_trigger(a->schedule, ASSAY__TIME_NODE__KIND__DEMAND, text);
	if (r == -ENOENT)
		*ret_why = "time_nodes has no {on: demand}";
	return r;
}

static int status_of(struct daemon *d, const struct application *a, struct arena *arena,
		     Assay__ApplicationStatus *s)
{
	assay__application_status__init(s);
	s->application = a->config->name;
	s->state = (char *)application_state_name(a);
	s->stage = a->stage_passed;
	s->stages = a->config->stages;
	s->node = a->node_number;
	s->verdict = (char *)a->verdict;
	if (a->reasons) {
		s->reasons = arena_alloc(arena, sizeof(*s->reasons));
		if (!s->reasons)
			return -ENOMEM;
		s->reasons[0] = arena_text(arena, a->reasons);
		if (!s->reasons[0])
			return -ENOMEM;
		s->n_reasons = 1;
	}
	s->pid = a->state == APPLICATION_RUNNING ? (uint32_t)a->target->root_pid : 0;
	s->insecure = d->attester_ops->insecure;
	s->platform = (char *)d->attester_ops->platform;
	s->verifier_connected = d->session_up && a->challenged;
	s->queued = a->queue.n;
	s->missed = schedule_missed_total(a->schedule);
	s->foreign_callers = app_socket_foreign(d->socket);
	return 0;
}

static int status(void *arg, int application, struct arena *arena, Assay__Answer *answer)
{
	struct daemon *d = arg;
	size_t n = application == APP_NONE ? d->n_applications : 1;
	int r;

	answer->status = arena_alloc(arena, n * sizeof(*answer->status));
	if (!answer->status)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t index = application == APP_NONE ? i : (size_t)application;
		Assay__ApplicationStatus *s = arena_alloc(arena, sizeof(*s));

		if (!s)
			return -ENOMEM;
		r = status_of(d, d->applications[index], arena, s);
		if (r < 0)
			return r;
		answer->status[answer->n_status++] = s;
	}
	return 0;
}

static void delivered(void *arg, int application, uint32_t stage, const char *name, pid_t pid)
{
	struct daemon *d = arg;

	application_delivered(d->applications[application], stage, name, pid, "socket");
}

static void foreign(void *arg, pid_t pid, uid_t uid)
{
	log_warning("application socket: pid %d (uid %u) belongs to no measured application; it "
		    "got nothing",
		    (int)pid, uid);
}

const struct app_socket_ops requests_ops = {
	.which = which,
	.get_secret = get_secret,
	.begin_stage = begin_stage,
	.measure = measure,
	.status = status,
	.delivered = delivered,
	.foreign = foreign,
};

/* The application whose unit it is. */
static struct application *find_unit(struct daemon *d, const char *unit)
{
	char own[APPLICATION_NAME_MAX + 1];

	for (size_t i = 0; i < d->n_applications; i++) {
		if (strcmp(application_unit_name(d->applications[i], own), unit) == 0)
			return d->applications[i];
	}
	return NULL;
}

static int credential_get(void *arg, const char *unit, const char *name, pid_t pid,
			  struct deliver_secret *ret)
{
	struct application *a = find_unit(arg, unit);
	const struct application_secret *s;
	const char *why;
	int r;

	if (!a)
		return -ENOENT;
	if (a->config->unit && !a->refused) {
		r = application_unit_enter(a, pid);
		if (r < 0)
			return r;
	}
	s = find_secret(a, name, 0);
	if (!s)
		return a->state == APPLICATION_WAITING || a->state == APPLICATION_MEASURING
			       ? -EAGAIN
			       : not_there(a, name, 0, &why);
	if (config_deliver_of(a->config, s->stage) != DELIVER_SYSTEMD)
		return -EACCES;
	*ret = (struct deliver_secret){ s->name, s->stage, &s->value };
	return 0;
}

static void credential_delivered(void *arg, const char *unit, uint32_t stage, const char *name,
				 pid_t pid)
{
	struct application *a = find_unit(arg, unit);

	if (a)
		application_delivered(a, stage, name, pid, "systemd");
}

static void credential_foreign(void *arg, pid_t pid, uid_t uid)
{
	log_warning("credential socket: pid %d (uid %u) is not systemd; it got nothing", (int)pid,
		    uid);
}

const struct deliver_socket_ops requests_credential_ops = {
	.get = credential_get,
	.delivered = credential_delivered,
	.foreign = credential_foreign,
};
