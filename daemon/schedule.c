/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "cleanup.h"
#include "collector.h"
#include "log.h"
#include "schedule_missed.h"

#define NS_PER_SECOND 1000000000ULL

/* What the time was suspended for before it counts as that, not as rounding. */
#define SUSPEND_MIN_NS (10 * 1000 * 1000LL)

/* A clock set back by less than this does not make a `daily` come twice. */
#define DAILY_AGAIN_SECONDS (12 * 60 * 60)

/*
 * From an expired timer to a running process takes tens of microseconds, in a virtual machine that
 * halts when idle a hundred. The timer is set earlier by what it took lately, and the rest
 * is spun away: at most this long, a node never early.
 */
#define LEAD_MAX_NS   (150 * 1000ULL)
#define LEAD_FIRST_NS (60 * 1000ULL)
/* Up when a node was late, down when it was not: two in three come in time. */
#define LEAD_UP_NS   (8 * 1000ULL)
#define LEAD_DOWN_NS (4 * 1000ULL)

struct spec;

/*
 * What differs from kind to kind, by index. Both clocks' times are in now; a function that
 * is missing has nothing to do for the kind.
 */
struct now {
	uint64_t boottime, realtime;
	bool suspended; /* since the last look */
	bool clock_set; /* CLOCK_REALTIME, likewise */
};

struct spec_ops {
	bool wall; /* follows CLOCK_REALTIME */
	bool triggered;
	void (*start)(struct schedule *s, struct spec *p, const struct now *now);
	/* Hands on what is due. */
	void (*look)(struct schedule *s, struct spec *p, const struct now *now);
	/* The time of the next look, 0: none. Of the clock that it follows, in ns. */
	uint64_t (*next)(const struct spec *p);
};

/* One time node of the configuration. */
struct spec {
	const struct config_node *config;
	const struct spec_ops *ops;

	struct schedule_every every;
	int64_t wall_due;   /* DAILY, TIME: seconds since 1970; 0: none */
	int64_t wall_last;  /* DAILY: the one before */
	uint64_t event_due; /* EVENT: end of the gap that gathers further ones; 0: none gathered */
	uint64_t event_quiet_until;

	bool waiting; /* fell due and is not handed out yet */
	uint64_t waiting_due;
	char reason[SCHEDULE_REASON_MAX];
};

struct schedule {
	struct spec *specs;
	size_t n;
	schedule_callback *on_node;
	void *arg;

	/*
	 * A timer descriptor of its own and not the loop's timers: those are on CLOCK_MONOTONIC,
	 * which stands still while the machine sleeps, and are sorted with everything else's.
	 */
	int boot_fd, wall_fd;
	struct event *boot_event, *wall_event;
	uint64_t boot_armed, wall_armed; /* what they are set to; 0: not */
	uint64_t lead_ns;
	int64_t suspended_ns; /* CLOCK_BOOTTIME's lead over CLOCK_MONOTONIC, at the last look */
	bool clock_set;	      /* CLOCK_REALTIME, since the last look */

	bool started, busy;
	struct missed_list missed;
	uint64_t missed_total;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + (uint64_t)ts.tv_nsec;
}

uint64_t schedule_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t schedule_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static struct now look_at_clocks(struct schedule *s)
{
	int64_t lead = (int64_t)(clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC));
	struct now now = {
		.boottime = schedule_boottime_ns(),
		.realtime = schedule_realtime_ns(),
		.suspended = lead > s->suspended_ns + SUSPEND_MIN_NS,
		.clock_set = s->clock_set,
	};

	s->suspended_ns = lead;
	s->clock_set = false;
	return now;
}

/* Nobody outside may know when a node with jitter comes. */
static uint64_t random_u64(void)
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v)) {
		log_warning("no random numbers (%m): continuing without jitter");
		return 0;
	}
	return v;
}

void schedule_missed(struct schedule *s, Assay__TimeNode__Kind kind, uint64_t due_boottime_ns,
		     const char *why)
{
	s->missed_total++;
	missed_list_add(&s->missed, kind, due_boottime_ns, why);
}

static void join_reason(struct spec *p, const char *reason)
{
	size_t len = strlen(p->reason);

	if (!reason || !*reason || strstr(p->reason, reason))
		return;
	snprintf(p->reason + len, sizeof(p->reason) - len, "%s%s", len > 0 ? "; " : "", reason);
}

static void fall_due(struct schedule *s, struct spec *p, uint64_t due)
{
	if (p->waiting) {
		schedule_missed(s, p->config->kind, due, "a node before it was still waiting");
		return;
	}
	p->waiting = true;
	p->waiting_due = due;
}

static const char *late_because(const struct now *now)
{
	return now->suspended ? "the machine was suspended" : "assayd did not run in time";
}

static void start_start(struct schedule *s, struct spec *p, const struct now *now)
{
	fall_due(s, p, now->boottime);
}

static void every_start(struct schedule *s, struct spec *p, const struct now *now)
{
	p->every = (struct schedule_every){
		.start = now->boottime,
		.every = p->config->every_ns,
		.jitter = p->config->jitter_ns,
	};
	schedule_every_first(&p->every, random_u64());
}

static void every_look(struct schedule *s, struct spec *p, const struct now *now)
{
	uint64_t due = p->every.due, skipped;

	if (due > now->boottime)
		return;
	skipped = schedule_every_skip(&p->every, now->boottime);
	for (uint64_t i = 0; i < skipped && i < SCHEDULE_MISSED_MAX; i++)
		schedule_missed(s, p->config->kind, due + i * p->every.every, late_because(now));
	if (skipped > SCHEDULE_MISSED_MAX) {
		s->missed.uncounted += skipped - SCHEDULE_MISSED_MAX;
		s->missed_total += skipped - SCHEDULE_MISSED_MAX;
	}
	fall_due(s, p, p->every.due);
	schedule_every_next(&p->every, random_u64());
}

static uint64_t every_next(const struct spec *p)
{
	return p->every.due;
}

/* CLOCK_BOOTTIME at an instant of CLOCK_REALTIME, by how far both are from now. */
static uint64_t boottime_of(int64_t seconds, const struct now *now)
{
	int64_t ago = (int64_t)now->realtime - seconds * (int64_t)NS_PER_SECOND;

	return ago > (int64_t)now->boottime ? 0 : (uint64_t)((int64_t)now->boottime - ago);
}

static int64_t seconds_of(uint64_t ns)
{
	return (int64_t)(ns / NS_PER_SECOND);
}

static uint64_t wall_next(const struct spec *p)
{
	return p->wall_due > 0 ? (uint64_t)p->wall_due * NS_PER_SECOND : 0;
}

static void daily_start(struct schedule *s, struct spec *p, const struct now *now)
{
	p->wall_last = 0;
	p->wall_due = schedule_daily_next(seconds_of(now->realtime), p->config->second_of_day);
}

static void daily_look(struct schedule *s, struct spec *p, const struct now *now)
{
	int64_t at = seconds_of(now->realtime), next;

	while (p->wall_due <= at) {
		next = schedule_daily_next(p->wall_due, p->config->second_of_day);
		if (next <= at)
			schedule_missed(s, p->config->kind, boottime_of(p->wall_due, now),
					now->suspended ? late_because(now) : "the clock was set");
		else
			fall_due(s, p, boottime_of(p->wall_due, now));
		p->wall_last = p->wall_due;
		p->wall_due = next;
	}
	/* The clock may have been set back, to before an earlier one. */
	if (!now->clock_set)
		return;
	if (p->wall_last > at && p->wall_last - at < DAILY_AGAIN_SECONDS)
		at = p->wall_last;
	p->wall_due = schedule_daily_next(at, p->config->second_of_day);
}

static void time_start(struct schedule *s, struct spec *p, const struct now *now)
{
	p->wall_due = p->config->time;
	if (p->wall_due > seconds_of(now->realtime))
		return;
	schedule_missed(s, p->config->kind, boottime_of(p->wall_due, now),
			"its time was past when the application started");
	p->wall_due = 0;
}

static void time_look(struct schedule *s, struct spec *p, const struct now *now)
{
	if (p->wall_due == 0 || p->wall_due > seconds_of(now->realtime))
		return;
	fall_due(s, p, boottime_of(p->wall_due, now));
	p->wall_due = 0;
}

static void event_start(struct schedule *s, struct spec *p, const struct now *now)
{
	p->event_due = 0;
	p->event_quiet_until = 0;
}

static void event_look(struct schedule *s, struct spec *p, const struct now *now)
{
	if (p->event_due == 0 || p->event_due > now->boottime)
		return;
	fall_due(s, p, p->event_due);
	p->event_due = 0;
}

static uint64_t event_next(const struct spec *p)
{
	return p->event_due;
}

static const struct spec_ops spec_table[] = {
	[ASSAY__TIME_NODE__KIND__START] = { .start = start_start },
	[ASSAY__TIME_NODE__KIND__EVERY] = { .start = every_start,
					    .look = every_look,
					    .next = every_next },
	[ASSAY__TIME_NODE__KIND__DAILY] = { .wall = true,
					    .start = daily_start,
					    .look = daily_look,
					    .next = wall_next },
	[ASSAY__TIME_NODE__KIND__TIME] = { .wall = true,
					   .start = time_start,
					   .look = time_look,
					   .next = wall_next },
	[ASSAY__TIME_NODE__KIND__STAGE] = { .triggered = true },
	[ASSAY__TIME_NODE__KIND__DEMAND] = { .triggered = true },
	[ASSAY__TIME_NODE__KIND__EVENT] = { .start = event_start,
					    .look = event_look,
					    .next = event_next },
};

/* The earliest next look of the specs that follow the clock; 0: none. */
static uint64_t earliest(const struct schedule *s, bool wall)
{
	uint64_t min = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct spec *p = &s->specs[i];
		uint64_t at = p->ops->next && p->ops->wall == wall ? p->ops->next(p) : 0;

		if (at != 0 && (min == 0 || at < min))
			min = at;
	}
	return min;
}

/* A time that is past fires at once; zero disarms. Nothing is done where it is set to that already.
 */
static int arm(int fd, int flags, uint64_t at, uint64_t *armed)
{
	struct itimerspec t = {
		.it_value = { .tv_sec = (time_t)(at / NS_PER_SECOND),
			      .tv_nsec = (long)(at % NS_PER_SECOND) },
	};

	if (at == *armed)
		return 0;
	*armed = at;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME | flags, &t, NULL) < 0 ? neg_errno() : 0;
}

/* Looks again from the loop. */
static void kick(struct schedule *s)
{
	event_active(s->boot_event, EV_READ, 0);
}

static int arm_both(struct schedule *s)
{
	uint64_t boot = s->started ? earliest(s, false) : 0;
	uint64_t wall = s->started ? earliest(s, true) : 0;
	int r;

	r = arm(s->boot_fd, 0, boot > s->lead_ns ? boot - s->lead_ns : boot, &s->boot_armed);
	if (r < 0)
		return r;
	r = arm(s->wall_fd, wall ? TFD_TIMER_CANCEL_ON_SET : 0, wall, &s->wall_armed);
	/* It is armed, and this was the one report of the clock having been set before. */
	if (r == -ECANCELED) {
		s->clock_set = true;
		kick(s);
		r = 0;
	}
	return r;
}

static struct spec *oldest_waiting(struct schedule *s)
{
	struct spec *oldest = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct spec *p = &s->specs[i];

		if (p->waiting && (!oldest || p->waiting_due < oldest->waiting_due))
			oldest = p;
	}
	return oldest;
}

static void hand_out(struct schedule *s)
{
	struct spec *p;

	while (s->started && !s->busy && (p = oldest_waiting(s))) {
		char reason[SCHEDULE_REASON_MAX];
		struct schedule_node node = {
			.config = p->config,
			.due_boottime_ns = p->waiting_due,
			.reason = reason,
		};

		memcpy(reason, p->reason, sizeof(reason));
		p->reason[0] = '\0';
		p->waiting = false;
		p->event_quiet_until = schedule_boottime_ns() + SCHEDULE_EVENT_GAP_NS;
		s->on_node(s->arg, &node);
	}
}

static void look(struct schedule *s)
{
	struct now now = look_at_clocks(s);
	int r;

	if (!s->started)
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (s->specs[i].ops->look)
			s->specs[i].ops->look(s, &s->specs[i], &now);
	}
	/* First what is due: setting the timer for the next one costs microseconds. */
	hand_out(s);
	r = arm_both(s);
	if (r < 0)
		log_error("time nodes: the timer cannot be set: %s", strerror(-r));
}

/* The timer fired ahead of the next node. */
static void spin_to_due(struct schedule *s)
{
	uint64_t due = earliest(s, false);

	if (!s->started || due == 0)
		return;
	if (schedule_boottime_ns() > due) {
		s->lead_ns += LEAD_UP_NS;
		if (s->lead_ns > LEAD_MAX_NS)
			s->lead_ns = LEAD_MAX_NS;
		return;
	}
	s->lead_ns -= s->lead_ns > LEAD_DOWN_NS ? LEAD_DOWN_NS : s->lead_ns;
	if (due - schedule_boottime_ns() > LEAD_MAX_NS)
		return;
	while (schedule_boottime_ns() < due)
		;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct schedule *s = arg;
	uint64_t expired;
	ssize_t n = read(fd, &expired, sizeof(expired));

	/* EAGAIN: it was made active to hand out. */
	if (n < 0 && errno == ECANCELED)
		s->clock_set = true;
	else if (n < 0 && errno != EAGAIN)
		log_error("time nodes: the timer cannot be read: %m");
	if (n < 0 && errno == EAGAIN) {
		look(s);
		return;
	}
	/* It is not set to anything any more. */
	if (fd == s->boot_fd) {
		s->boot_armed = 0;
		spin_to_due(s);
	} else {
		s->wall_armed = 0;
	}
	look(s);
}

static int open_timer(struct event_base *base, struct schedule *s, clockid_t clock, int *fd,
		      struct event **event)
{
	*fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*fd < 0)
		return neg_errno();
	*event = event_new(base, *fd, EV_READ | EV_PERSIST, on_timer, s);
	if (!*event || event_add(*event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

CLEANUP_FUNCTION(struct schedule *, schedule_free)

int schedule_new(struct event_base *base, const struct config_node *nodes, size_t n,
		 schedule_callback *on_node, void *arg, struct schedule **ret)
{
	CLEANUP(schedule_freep) struct schedule *s = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->boot_fd = s->wall_fd = -1;
	s->lead_ns = LEAD_FIRST_NS;
	s->on_node = on_node;
	s->arg = arg;
	s->specs = calloc(n ? n : 1, sizeof(*s->specs));
	if (!s->specs)
		return -ENOMEM;
	for (; s->n < n; s->n++) {
		if ((size_t)nodes[s->n].kind >= ARRAY_LEN(spec_table) ||
		    nodes[s->n].kind == ASSAY__TIME_NODE__KIND__NONE)
			return -EINVAL;
		s->specs[s->n].config = &nodes[s->n];
		s->specs[s->n].ops = &spec_table[nodes[s->n].kind];
	}

	r = open_timer(base, s, CLOCK_BOOTTIME, &s->boot_fd, &s->boot_event);
	if (r < 0)
		return r;
	r = open_timer(base, s, CLOCK_REALTIME, &s->wall_fd, &s->wall_event);
	if (r < 0)
		return r;

	*ret = TAKE(s);
	return 0;
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	if (s->boot_event)
		event_free(s->boot_event);
	if (s->wall_event)
		event_free(s->wall_event);
	cleanup_fd(&s->boot_fd);
	cleanup_fd(&s->wall_fd);
	free(s->specs);
	free(s);
}

static void forget_waiting(struct spec *p)
{
	p->waiting = false;
	p->reason[0] = '\0';
	p->event_due = 0;
}

int schedule_start(struct schedule *s, uint64_t now_boottime_ns)
{
	struct now now = look_at_clocks(s);
	int r;

	now.boottime = now_boottime_ns;
	s->busy = false;
	s->missed.n = 0;
	s->missed.uncounted = s->missed_total = 0;
	s->started = true;
	for (size_t i = 0; i < s->n; i++) {
		forget_waiting(&s->specs[i]);
		if (s->specs[i].ops->start)
			s->specs[i].ops->start(s, &s->specs[i], &now);
	}
	r = arm_both(s);
	if (r < 0) {
		s->started = false;
		return r;
	}
	kick(s);
	return 0;
}

void schedule_stop(struct schedule *s)
{
	int r;

	s->started = false;
	s->busy = false;
	for (size_t i = 0; i < s->n; i++) {
		struct spec *p = &s->specs[i];

		if (p->waiting || p->event_due != 0)
			schedule_missed(s, p->config->kind,
					p->waiting ? p->waiting_due : p->event_due,
					"the application ended before it");
		forget_waiting(p);
	}
	r = arm_both(s);
	if (r < 0)
		log_error("time nodes: the timer cannot be stopped: %s", strerror(-r));
}

int schedule_trigger(struct schedule *s, Assay__TimeNode__Kind kind, const char *reason)
{
	int r = -ENOENT;

	if (!s->started)
		return -ESHUTDOWN;
	for (size_t i = 0; i < s->n; i++) {
		struct spec *p = &s->specs[i];

		if (p->config->kind != kind || !p->ops->triggered)
			continue;
		r = 0;
		join_reason(p, reason);
		if (!p->waiting)
			fall_due(s, p, schedule_boottime_ns());
	}
	if (r == 0)
		kick(s);
	return r;
}

bool schedule_wants_event(const struct schedule *s, enum config_event event)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->specs[i].config->kind == ASSAY__TIME_NODE__KIND__EVENT &&
		    (s->specs[i].config->events & event))
			return true;
	}
	return false;
}

int schedule_event(struct schedule *s, enum config_event event, const char *reason)
{
	uint64_t now = schedule_boottime_ns();
	int r = -ENOENT;

	if (!s->started)
		return -ESHUTDOWN;
	for (size_t i = 0; i < s->n; i++) {
		struct spec *p = &s->specs[i];

		if (p->config->kind != ASSAY__TIME_NODE__KIND__EVENT ||
		    !(p->config->events & event))
			continue;
		r = 0;
		join_reason(p, reason);
		if (p->waiting || p->event_due != 0)
			continue;
		/* The first at once; what follows it closely is gathered until the gap is over. */
		p->event_due = now > p->event_quiet_until ? now : p->event_quiet_until;
	}
	if (r == 0)
		kick(s);
	return r;
}

bool schedule_brief(Assay__TimeNode__Kind kind, unsigned int *in_a_row)
{
	bool brief = kind == ASSAY__TIME_NODE__KIND__EVENT && *in_a_row < COLLECTOR_BRIEF_MAX;

	*in_a_row = brief ? *in_a_row + 1 : 0;
	return brief;
}

void schedule_busy(struct schedule *s)
{
	s->busy = true;
}

void schedule_ready(struct schedule *s)
{
	s->busy = false;
	if (oldest_waiting(s))
		kick(s);
}

int schedule_take_missed(struct schedule *s, struct mi *mi, Assay__TimeNode *node)
{
	return missed_list_take(&s->missed, mi, node);
}

void schedule_give_back(struct schedule *s, const Assay__TimeNode *node)
{
	missed_list_give_back(&s->missed, node);
}

uint64_t schedule_missed_total(const struct schedule *s)
{
	return s->missed_total;
}
