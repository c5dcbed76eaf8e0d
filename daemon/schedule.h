/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_SCHEDULE_H
#define ASSAY_DAEMON_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

struct event_base;
struct mi;

/*
 * Makes the time nodes of one application. All calls come from the loop's thread; nodes are handed
 * out from the loop only, never from inside a call. This is where assayd reads clocks.
 *
 * A node is measured, waits its turn, or is reported as missed; none disappears.
 */
struct schedule;

/* Missed nodes listed for the next MI; past them they are counted. */
#define SCHEDULE_MISSED_MAX 64
#define SCHEDULE_REASON_MAX 256
#define SCHEDULE_WHY_MAX    128

/* Events closer together than this make one node. */
#define SCHEDULE_EVENT_GAP_NS (100 * 1000 * 1000ULL)

/* A node that has fallen due. Lent: good during the callback. */
struct schedule_node {
	const struct config_node *config;
	uint64_t due_boottime_ns;
	const char *reason; /* of STAGE, DEMAND, EVENT: why, several joined by "; ". "" otherwise */
};

typedef void schedule_callback(void *arg, const struct schedule_node *node);

/*
 * A schedule that is not started yet. nodes are lent and outlive it. The base should have
 * EVENT_BASE_FLAG_PRECISE_TIMER. on_node may call everything here but schedule_free. -ENOMEM, and
 * errors of timerfd_create(2).
 */
MUST_CHECK int schedule_new(struct event_base *base, const struct config_node *nodes, size_t n,
			    schedule_callback *on_node, void *arg, struct schedule **ret);

/* Accepts NULL. */
void schedule_free(struct schedule *s);

/*
 * The application starts: START falls due now, EVERY counts from now, and a TIME that is past is
 * missed. Starting again forgets what was due, queued and missed before. Errors of
 * timerfd_settime(2).
 */
MUST_CHECK int schedule_start(struct schedule *s, uint64_t now_boottime_ns);

/* The application ended: nothing falls due any more. What waits becomes missed. */
void schedule_stop(struct schedule *s);

/*
 * A STAGE or DEMAND node falls due now. -ENOENT: not configured for this application;
 * -ESHUTDOWN: not started.
 */
MUST_CHECK int schedule_trigger(struct schedule *s, Assay__TimeNode__Kind kind, const char *reason);

/* As above for the EVENT nodes that name this event. The first comes at once. */
MUST_CHECK int schedule_event(struct schedule *s, enum config_event event, const char *reason);

/* True if a node with `on: event` names this event. */
bool schedule_wants_event(const struct schedule *s, enum config_event event);

/*
 * A round of the application begins (to be called in on_node) and has ended. In between a node
 * of each spec waits; a further one of an EVERY, DAILY or TIME is missed, a further trigger joins
 * the one that waits.
 */
void schedule_busy(struct schedule *s);
void schedule_ready(struct schedule *s);

/*
 * Whether a node of that kind is brief (collector.h): in_a_row, which begins with 0, counts the
 * brief ones before it, so that whoever makes events cannot put off for ever what is looked at by
 * turns.
 */
bool schedule_brief(Assay__TimeNode__Kind kind, unsigned int *in_a_row);

/* A node was handed out and could not be measured, for this reason (copied). */
void schedule_missed(struct schedule *s, Assay__TimeNode__Kind kind, uint64_t due_boottime_ns,
		     const char *why);

/* Moves the missed nodes into node, in the memory of mi. -ENOMEM: then they are kept. */
MUST_CHECK int schedule_take_missed(struct schedule *s, struct mi *mi, Assay__TimeNode *node);

/* The MI that took them was thrown away: they are to be reported by the next one. */
void schedule_give_back(struct schedule *s, const Assay__TimeNode *node);

/* Missed since schedule_start, for the status. */
uint64_t schedule_missed_total(const struct schedule *s);

/* The clocks: CLOCK_BOOTTIME, CLOCK_REALTIME. */
uint64_t schedule_boottime_ns(void);
uint64_t schedule_realtime_ns(void);

/* The arithmetic, pure but for the time zone. */

/* Where an `every` stands: period k begins at start + k * every and its node is up to jitter later.
 */
struct schedule_every {
	uint64_t start, every, jitter;
	uint64_t k;
	uint64_t due;
};

/* The first node; random: any number, uniform. */
void schedule_every_first(struct schedule_every *e, uint64_t random);

/*
 * A node that is late by whole periods stands for the last of them: moves there and returns how
 * many were passed over, from the due time that e had. 0 for one that is in time, or not due yet.
 */
uint64_t schedule_every_skip(struct schedule_every *e, uint64_t now);

/* The node after this one. */
void schedule_every_next(struct schedule_every *e, uint64_t random);

/*
 * The first instant after `after` (seconds since 1970) at which local clocks show second_of_day.
 * One a day: a time that the change to summer time skips comes as much later as it skips, of one
 * that comes twice the first counts.
 */
int64_t schedule_daily_next(int64_t after, uint32_t second_of_day);

#endif
