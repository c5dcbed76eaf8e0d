/* SPDX-License-Identifier: Apache-2.0 */
#include "violation_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/follow.h"
#include "log.h"

/* On its way to the chip. */
struct extension {
	struct daemon *daemon;
	struct digest entry;
	char name[PRIVSEP_NAME_MAX];
	uint8_t kind;
};

static int extend(void *arg)
{
	struct extension *x = arg;
	struct daemon *d = x->daemon;
	uint64_t end;
	int r;

	r = runtime_log_prepare(d->runtime_log, &x->entry);
	if (r < 0)
		return r;
	r = d->attester_ops->extend(d->attester, &x->entry);
	if (r < 0) {
		runtime_log_abort(d->runtime_log);
		return r;
	}
	return runtime_log_commit(d->runtime_log, &end);
}

static void extended(void *arg, int r)
{
	struct extension *x = arg;

	if (r == 0)
		log_notice("%s: the violation is in the chip's runtime register: %s", x->name,
			   violation_name(x->kind));
	else
		log_error("%s: %s could not be put into the chip's runtime register: %s", x->name,
			  violation_name(x->kind), strerror(-r));
	free(x);
}

static int send_to_chip(struct application *a, enum violation_kind kind)
{
	struct daemon *d = a->daemon;
	struct extension *x;
	int r;

	if (!d->runtime_log)
		return 0;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->daemon = d;
	x->kind = (uint8_t)kind;
	snprintf(x->name, sizeof(x->name), "%s", a->config->name);
	r = violation_entry(kind, a->config->name, a->run_id, &x->entry);
	if (r == 0)
		r = worker_run(d->chip, extend, extended, x);
	if (r < 0)
		free(x);
	return r;
}

void violation_noticed(struct application *a, enum violation_kind kind, const char *detail)
{
	int r;

	if (a->violations >> kind & 1)
		return;
	log_warning("%s: violation: %s: %s", a->config->name, violation_name(kind), detail);
	r = send_to_chip(a, kind);
	if (r < 0)
		log_error("%s: %s cannot be put into the chip's runtime register: %s",
			  a->config->name, violation_name(kind), strerror(-r));
	else
		a->violations |= 1u << kind;
}

void violation_in_record(struct application *a, const struct follow_record *record)
{
	char detail[128];

	if (record->kind == FOLLOW_FOREIGN && !FOLLOW_ACCESS_LOOKS(record->value)) {
		snprintf(detail, sizeof(detail), "process %u by process %u (%.*s)", record->pid,
			 record->actor, (int)sizeof(record->comm), record->comm);
		violation_noticed(a, VIOLATION_FOREIGN_ACCESS, detail);
	} else if (record->kind == FOLLOW_FILE_CHANGED &&
		   record->value == FOLLOW_CHANGE_CONTENT) {
		snprintf(detail, sizeof(detail), "%.*s by process %u (%.*s)",
			 (int)sizeof(record->text), record->text, record->actor,
			 (int)sizeof(record->comm), record->comm);
		violation_noticed(a, VIOLATION_FILE_CHANGED, detail);
	}
}

void violation_in_mi(struct application *a, const Assay__Mi *mi)
{
	const Assay__Loss *loss = mi->kernel ? mi->kernel->loss : NULL;
	char detail[128];

	for (size_t i = 0; mi->code && i < mi->code->n_processes; i++) {
		const Assay__CodeOf *p = mi->code->processes[i];

		if (p->n_modified == 0)
			continue;
		snprintf(detail, sizeof(detail), "process %u, %llu pages from 0x%llx", p->pid,
			 (unsigned long long)p->modified[0]->pages,
			 (unsigned long long)p->modified[0]->start);
		violation_noticed(a, VIOLATION_MODIFIED_TEXT, detail);
	}
	if (loss && loss->window_dropped > 0) {
		snprintf(detail, sizeof(detail), "%llu records",
			 (unsigned long long)loss->window_dropped);
		violation_noticed(a, VIOLATION_LOST, detail);
	}
}
