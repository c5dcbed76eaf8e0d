/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

/*
 * How often the account is read anew while a program in the kernel is half-way: that takes it
 * microseconds, unless its CPU is taken away, as a virtual machine's are, for milliseconds.
 */
#define SETTLE_TRIES  200
#define SETTLE_PAUSES 100
/* Longest that an event of a burst waits to be read; where so many come at once, twice as long. */
#define HOLD_NS	     500000L
#define HOLD_MANY    16
#define HOLD_MANY_NS 1000000L
/* The same for a mapping while there are only others'. */
#define HOLD_OTHERS_NS 2000000L

static const char *const kind_names[FOLLOW_KINDS] = {
	[FOLLOW_EXEC] = "exec",	    [FOLLOW_FORK] = "fork",
	[FOLLOW_EXIT] = "exit",	    [FOLLOW_ENTER] = "enter",
	[FOLLOW_LISTEN] = "listen", [FOLLOW_CONNECT] = "connect",
	[FOLLOW_SIGNAL] = "signal", [FOLLOW_FOREIGN] = "foreign_access",
	[FOLLOW_FILE_CHANGED] = "file_changed",
	[FOLLOW_IO_URING] = "io_uring",
	[FOLLOW_CREDENTIALS] = "credentials",
	[FOLLOW_CODE_MOVED] = "code_moved",
	[FOLLOW_USERFAULT] = "userfaultfd",
	[FOLLOW_CODE_MAPPED] = "code_mapped",
	[FOLLOW_CODE_ANONYMOUS] = "code_anonymous",
	[FOLLOW_WX_MEMORY] = "wx_memory",
};

static const char *const access_names[FOLLOW_ACCESSES] = {
	[FOLLOW_ACCESS_UNKNOWN] = "unknown",
	[FOLLOW_ACCESS_READ] = "state",
	[FOLLOW_ACCESS_ENVIRON] = "environ",
	[FOLLOW_ACCESS_MAPS] = "maps",
	[FOLLOW_ACCESS_MEM] = "mem",
	[FOLLOW_ACCESS_PTRACE] = "ptrace",
	[FOLLOW_ACCESS_PROCESS_VM] = "process_vm",
	[FOLLOW_ACCESS_PIDFD_GETFD] = "pidfd_getfd",
	[FOLLOW_ACCESS_MADVISE] = "process_madvise",
	[FOLLOW_ACCESS_PERF] = "perf",
};

static const char *const exec_names[FOLLOW_EXEC_FLAGS] = {
	[FOLLOW_EXEC_DELETED] = "deleted", [FOLLOW_EXEC_MEMFD] = "memfd",
	[FOLLOW_EXEC_TMPFS] = "tmpfs",	   [FOLLOW_EXEC_SCRIPT] = "script",
	[FOLLOW_EXEC_SECURE] = "privileged",
};

static const char *const loss_names[FOLLOW_LOSSES] = {
	[FOLLOW_LOST_RING] = "ring_full",
	[FOLLOW_LOST_MAP] = "map_full",
};

const char *follow_kind_name(uint32_t kind)
{
	return kind < FOLLOW_KINDS ? kind_names[kind] : NULL;
}

const char *follow_access_name(uint32_t access)
{
	return access < FOLLOW_ACCESSES ? access_names[access] : NULL;
}

const char *follow_exec_name(uint32_t flag)
{
	return flag < FOLLOW_EXEC_FLAGS ? exec_names[flag] : NULL;
}

const char *follow_loss_name(uint32_t loss)
{
	return loss < FOLLOW_LOSSES ? loss_names[loss] : NULL;
}

void follow_hand_out(struct follow *f, const struct follow_record *record)
{
	struct follow_slot *s = &f->slots[record->slot];
	/* New code that nobody forbids leaves room for what somebody may. */
	size_t max = record->kind == FOLLOW_CODE_MAPPED ? FOLLOW_WINDOW_MAX / 2 : FOLLOW_WINDOW_MAX;

	if (s->n_window < max)
		s->window[s->n_window++] = *record;
	else
		s->uncounted++;
	if (f->on_record)
		f->on_record(f->on_record_arg, record);
}

static int on_record(void *arg, void *data, size_t len)
{
	const struct follow_record *record = data;
	struct follow *f = arg;
	struct follow_slot *s;
	uint32_t cpu;
	int r;

	if (len < sizeof(*record) || len != sizeof(*record) + record->extra ||
	    record->slot >= FOLLOW_SLOTS || record->kind >= FOLLOW_BPF_KINDS ||
	    FOLLOW_SEQUENCE_CPU(record->sequence) >= f->cpus) {
		f->error = -EBADMSG;
		return f->error;
	}
	cpu = FOLLOW_SEQUENCE_CPU(record->sequence);
	if (FOLLOW_SEQUENCE_NUMBER(record->sequence) > f->limit[cpu])
		f->ahead++;
	else
		f->delivered++;
	s = &f->slots[record->slot];
	if (!s->used)
		return 0; /* of an application that is gone */
	r = environments_note(f->environments, record);
	if (r == 0)
		r = follow_maps_note(f, record);
	if (r < 0) {
		f->error = r;
		return r;
	}
	follow_hand_out(f, record);
	return 0;
}

/* Says for a ring whether it makes events_fd readable. */
static int watch(const struct follow *f, int operation, int ring_fd, bool wakes)
{
	struct epoll_event event = { .events = wakes ? EPOLLIN : 0 };

	return epoll_ctl(f->events_fd, operation, ring_fd, &event) < 0 ? neg_errno() : 0;
}

/* One descriptor that is readable when either ring is. */
static int open_events(struct follow *f)
{
	int r;

	f->events_fd = epoll_create1(EPOLL_CLOEXEC);
	f->hold_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f->events_fd < 0 || f->hold_fd < 0)
		return neg_errno();
	r = watch(f, EPOLL_CTL_ADD, f->hold_fd, true);
	if (r == 0)
		r = watch(f, EPOLL_CTL_ADD, ring_buffer__epoll_fd(f->ring), true);
	if (r == 0 && f->exec_maps)
		r = watch(f, EPOLL_CTL_ADD, exec_maps_events_fd(f->exec_maps), true);
	return r;
}

/* What has been taken so far. */
struct taken {
	uint64_t events; /* of BPF's ring */
	uint64_t maps, followed; /* of perf's, where it wakes at once: all, and those of our processes */
};

static struct taken taken(const struct follow *f)
{
	bool maps = f->exec_maps && f->code_at_once;

	return (struct taken){ .events = f->delivered + f->ahead,
			       .maps = maps ? exec_maps_records(f->exec_maps) : 0,
			       .followed = maps ? f->maps_followed : 0 };
}

static int hold_ring(const struct follow *f, int ring_fd, bool some, bool *held)
{
	int r = some == *held ? 0 : watch(f, EPOLL_CTL_MOD, ring_fd, !some);

	if (r == 0)
		*held = some;
	return r;
}

/*
 * Waking for each event of a burst costs more than the event. So the first one wakes at once, and
 * what follows it waits until the timer has run out, until nothing follows. Mappings of the rest of
 * the machine alone, which never end where it compiles, are looked at less often.
 */
static int hold(struct follow *f, const struct taken *before, bool *ret_released)
{
	struct taken now = taken(f);
	bool ours = now.events != before->events || now.followed != before->followed;
	bool some = ours || now.maps != before->maps;
	struct itimerspec after = {
		.it_value.tv_nsec = ours ? HOLD_NS : some ? HOLD_OTHERS_NS : 0
	};
	uint64_t runs;
	int r;

	if (now.events - before->events >= HOLD_MANY)
		after.it_value.tv_nsec = HOLD_MANY_NS;
	*ret_released = !some && (f->held_ring || f->held_maps);
	if (!some && !f->held_ring && !f->held_maps)
		return 0;
	(void)!read(f->hold_fd, &runs, sizeof(runs));
	r = hold_ring(f, ring_buffer__epoll_fd(f->ring), now.events != before->events,
		      &f->held_ring);
	if (r == 0 && f->exec_maps)
		r = hold_ring(f, exec_maps_events_fd(f->exec_maps), now.maps != before->maps,
			      &f->held_maps);
	if (r < 0)
		return r;
	return timerfd_settime(f->hold_fd, 0, &after, NULL) < 0 ? neg_errno() : 0;
}

int follow_ring_open(struct follow *f, size_t perf_ring_bytes)
{
	int cpus = libbpf_num_possible_cpus(), r;

	if (cpus < 0)
		return cpus;
	f->cpus = (unsigned int)cpus;
	f->ledger = calloc(f->cpus, sizeof(*f->ledger));
	f->traffic = calloc(f->cpus, sizeof(*f->traffic));
	f->limit = malloc(f->cpus * sizeof(*f->limit));
	if (!f->ledger || !f->traffic || !f->limit)
		return -ENOMEM;
	memset(f->limit, 0xff, f->cpus * sizeof(*f->limit)); /* before the first account: all */
	r = environments_new(&f->environments);
	if (r < 0)
		return r;
	f->ring = ring_buffer__new(bpf_map__fd(f->skel->maps.records), on_record, f, NULL);
	if (!f->ring)
		return neg_errno();
	r = follow_maps_open(f, perf_ring_bytes);
	return r < 0 ? r : open_events(f);
}

void follow_ring_close(struct follow *f)
{
	if (f->events_fd >= 0)
		close(f->events_fd);
	if (f->hold_fd >= 0)
		close(f->hold_fd);
	ring_buffer__free(f->ring);
	follow_maps_close(f);
	environments_free(f->environments);
	free(f->ledger);
	free(f->traffic);
	free(f->limit);
}

int follow_events_fd(const struct follow *f)
{
	return f->events_fd;
}

void follow_listen(struct follow *f,
		   void (*listener)(void *arg, const struct follow_record *record), void *arg)
{
	f->on_record = listener;
	f->on_record_arg = arg;
}

int follow_ring_drain(struct follow *f)
{
	int r;

	if (f->error < 0)
		return f->error;
	r = ring_buffer__consume(f->ring);
	return r < 0 ? r : 0;
}

int follow_drain(struct follow *f)
{
	struct taken before = taken(f);
	bool released = false;
	int r;

	r = follow_maps_drain(f);
	if (r == 0)
		r = hold(f, &before, &released);
	/* perf says of a record only once that it is there, and said it while nobody was to be woken. */
	return r < 0 || !released ? r : follow_maps_drain(f);
}

void follow_window(const struct follow *f, uint32_t slot, struct follow_window *ret)
{
	const struct follow_slot *s = &f->slots[slot];

	*ret = (struct follow_window){ s->window, s->n_window, s->uncounted };
}

void follow_window_reset(struct follow *f, uint32_t slot)
{
	/* Each watched file may be told of again. */
	f->skel->data->window_number++;
	f->slots[slot].n_window = 0;
	f->slots[slot].uncounted = 0;
}

static bool ledger_settled(const struct follow *f)
{
	for (unsigned int i = 0; i < f->cpus; i++) {
		const struct follow_ledger *l = &f->ledger[i];
		uint64_t ended = l->submitted;

		for (size_t j = 0; j < FOLLOW_LOSSES; j++)
			ended += l->dropped[j];
		if (l->assigned != ended)
			return false;
	}
	return true;
}

/*
 * One try. Records numbered above what the ledger had assigned when it was read belong to the next
 * account, although this drain may bring them: so events may go on while we count.
 */
static int account_once(struct follow *f, struct follow_loss_account *ret)
{
	uint32_t zero = 0;
	int r;

	r = bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.ledger), &zero, f->ledger);
	if (r < 0)
		return r;
	f->delivered += f->ahead;
	f->ahead = 0;
	for (unsigned int i = 0; i < f->cpus; i++)
		f->limit[i] = f->ledger[i].assigned;
	r = follow_drain(f);
	if (r < 0)
		return r;
	*ret = (struct follow_loss_account){ .delivered = f->delivered,
					     .hooks_since_boottime_ns = f->since_boottime_ns };
	for (unsigned int i = 0; i < f->cpus; i++) {
		const struct follow_ledger *l = &f->ledger[i];

		ret->assigned += l->assigned;
		for (size_t j = 0; j < FOLLOW_LOSSES; j++) {
			ret->dropped[j] += l->dropped[j];
			ret->dropped_total += l->dropped[j];
		}
		for (size_t j = 0; j < FOLLOW_ACCESSES; j++) {
			ret->checks[j] += l->checks[j];
			ret->own[j] += l->own[j];
		}
		ret->bpf += l->bpf;
	}
	ret->settled = ledger_settled(f) && ret->assigned == ret->delivered + ret->dropped_total;
	return 0;
}

int follow_account(struct follow *f, struct follow_loss_account *ret)
{
	static const struct timespec a_moment = { .tv_nsec = 1000000 };
	struct follow_loss_account account = { 0 };
	int r;

	for (int i = 0; i < SETTLE_TRIES + SETTLE_PAUSES; i++) {
		r = account_once(f, &account);
		if (r < 0)
			return r;
		if (account.settled)
			break;
		if (i < SETTLE_TRIES)
			sched_yield(); /* to the program, if it was preempted here */
		else
			nanosleep(&a_moment, NULL);
	}
	account.recursion_misses = follow_hooks_missed(f);
	f->has_dropped = account.dropped_total > 0;
	if (f->exec_maps)
		exec_maps_account(f->exec_maps, &account.maps);
	*ret = account;
	return 0;
}
