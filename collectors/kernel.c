/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "cleanup.h"
#include "collectors/coverage.h"
#include "collectors/guard.h"
#include "collectors/kernel_events.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 10: what happened in the kernel since the previous node. Counters are complete
 * whatever the ring lost; detail is of the first FOLLOW_WINDOW_MAX events.
 */
struct kernel {
	struct collector base;
	struct target *target;
	struct follow_counts counts;   /* as of the previous node */
	struct follow_counts run_base; /* when this run began */
	struct follow_loss_account account;
	uint64_t lost; /* by all causes, as of the previous node */
	uint64_t denied, guard_denied;
	uint64_t scans_incomplete;
	uint64_t run;
};

static int kernel_open(struct target *t, struct collector **ret)
{
	struct kernel *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_kernel;
	x->target = t;
	/* What other applications lost before this one came is not its. */
	if (t->follow && follow_account(t->follow, &x->account) < 0)
		x->account = (struct follow_loss_account){ 0 };
	x->lost = x->account.dropped_total + x->account.recursion_misses + x->account.maps.lost +
		  x->account.maps.unreadable + x->account.maps.cpus_late;
	*ret = &x->base;
	return 0;
}

static int add_counter(struct mi *mi, Assay__KernelEvents *out, const char *kind, uint64_t total,
		       uint64_t previous)
{
	Assay__EventCounter *c = MI_MESSAGE(mi, Assay__EventCounter, assay__event_counter__init);
	int r;

	if (!c)
		return -ENOMEM;
	r = mi_text(mi, kind, &c->kind);
	if (r < 0)
		return r;
	c->total = total;
	c->window = total - previous;
	return mi_push(mi, &out->n_counters, &out->counters, c);
}

/* What others did to it; looking at state under /proc, as ps does, is counted apart. */
static uint64_t reached_into(const uint64_t access[FOLLOW_ACCESSES])
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < FOLLOW_ACCESSES; i++) {
		if (!FOLLOW_ACCESS_LOOKS(i))
			sum += access[i];
	}
	return sum;
}

/* True if one of the hooks, which end with NULL, is there. */
static bool any_attached(const struct follow *f, const char *const *hooks)
{
	for (; *hooks; hooks++) {
		const struct follow_hook *h = follow_hook_named(f, *hooks);

		if (h && h->attached)
			return true;
	}
	return false;
}

#define HOOKS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Whoever saw nothing because nobody looked must not say that nothing happened. */
static bool is_counted(const struct follow *f, uint32_t kind)
{
	switch (kind) {
	case FOLLOW_EXEC:
		return any_attached(f, HOOKS("sched_process_exec"));
	case FOLLOW_FORK:
		return any_attached(f, HOOKS("task_newtask"));
	case FOLLOW_EXIT:
		return any_attached(f, HOOKS("sched_process_exit"));
	case FOLLOW_ENTER:
		return any_attached(f, HOOKS("cgroup_attach_task"));
	case FOLLOW_LISTEN:
	case FOLLOW_CONNECT:
		return any_attached(f, HOOKS("inet_sock_set_state"));
	case FOLLOW_SIGNAL:
		return any_attached(f, HOOKS("signal_generate"));
	case FOLLOW_FOREIGN:
		return any_attached(f, HOOKS("cap_capable", FOLLOW_ACCESS_CHECK));
	case FOLLOW_FILE_CHANGED:
		return any_attached(f, HOOKS("writeback_dirty_folio")) &&
		       any_attached(f, HOOKS("ctime_ns_xchg", "writeback_mark_inode_dirty"));
	case FOLLOW_IO_URING:
		return any_attached(f, HOOKS("io_uring_create"));
	case FOLLOW_CREDENTIALS:
		return any_attached(f, HOOKS("cap_capable", FOLLOW_CREDENTIALS_COMMITTED));
	case FOLLOW_CODE_MOVED:
		return any_attached(f, HOOKS("sys_exit_mremap", FOLLOW_CALL("mremap")));
	case FOLLOW_USERFAULT:
		return any_attached(f, HOOKS("sys_exit_userfaultfd", FOLLOW_CALL("userfaultfd")));
	default:
		return any_attached(f, HOOKS("perf_mmap2"));
	}
}

static uint64_t looked_at(const uint64_t access[FOLLOW_ACCESSES])
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < FOLLOW_ACCESSES; i++) {
		if (FOLLOW_ACCESS_LOOKS(i))
			sum += access[i];
	}
	return sum;
}

/* Totals are of this run of the application. */
static int add_kinds(struct kernel *x, const struct follow_counts *now, struct mi *mi,
		     Assay__KernelEvents *out)
{
	const struct follow_counts *base = &x->run_base, *before = &x->counts;
	char name[48];
	int r = 0;

	for (uint32_t i = 0; i < FOLLOW_KINDS && r == 0; i++) {
		if (i != FOLLOW_FOREIGN && is_counted(x->target->follow, i))
			r = add_counter(mi, out, follow_kind_name(i), now->kinds[i] - base->kinds[i],
					before->kinds[i] - base->kinds[i]);
	}
	for (uint32_t i = 0; i < FOLLOW_EXEC_FLAGS && r == 0; i++) {
		snprintf(name, sizeof(name), "exec_%s", follow_exec_name(i));
		if (is_counted(x->target->follow, FOLLOW_EXEC))
			r = add_counter(mi, out, name, now->exec[i] - base->exec[i],
					before->exec[i] - base->exec[i]);
	}
	return r;
}

static int add_foreign(struct kernel *x, const struct follow_counts *now, struct mi *mi,
		       Assay__KernelEvents *out)
{
	uint64_t access[FOLLOW_ACCESSES], before[FOLLOW_ACCESSES];
	char name[48];
	int r;

	for (size_t i = 0; i < FOLLOW_ACCESSES; i++) {
		access[i] = now->access[i] - x->run_base.access[i];
		before[i] = x->counts.access[i] - x->run_base.access[i];
	}
	r = add_counter(mi, out, "foreign_access", reached_into(access), reached_into(before));
	if (r == 0)
		r = add_counter(mi, out, "foreign_read", looked_at(access), looked_at(before));
	for (uint32_t i = 0; i < FOLLOW_ACCESSES && r == 0; i++) {
		snprintf(name, sizeof(name), "foreign_%s", follow_access_name(i));
		r = add_counter(mi, out, name, access[i], before[i]);
	}
	return r;
}

/* On the whole machine, whichever application. */
static int add_machine(struct kernel *x, const struct follow_loss_account *now, struct mi *mi,
		       Assay__KernelEvents *out)
{
	const struct follow_loss_account *before = &x->account;
	int r = 0;

	if (is_counted(x->target->follow, FOLLOW_FOREIGN)) {
		r = add_counter(mi, out, "foreign_access_checks", reached_into(now->checks),
				reached_into(before->checks));
		if (r == 0)
			r = add_counter(mi, out, "foreign_read_checks", looked_at(now->checks),
					looked_at(before->checks));
		if (r == 0)
			r = add_counter(mi, out, "assayd_access", reached_into(now->own),
					reached_into(before->own));
	}
	if (r == 0 && any_attached(x->target->follow, HOOKS("sys_exit_bpf", FOLLOW_CALL("bpf"))))
		r = add_counter(mi, out, "bpf_calls", now->bpf, before->bpf);
	return r;
}

/* Nothing is counted as refused where nothing is guarded. */
static int add_guard(struct kernel *x, struct mi *mi, Assay__KernelEvents *out)
{
	const struct guard *g = guard_of(x->target->follow);
	uint64_t before = x->guard_denied;
	int r = guard_write(g, mi, out, &x->guard_denied);

	if (r < 0 || !g || !guard_active(g))
		return r;
	return add_counter(mi, out, "guard_denied", x->guard_denied, before);
}

static int add_counters(struct kernel *x, const struct follow_counts *now,
			const struct follow_loss_account *account, struct mi *mi,
			Assay__KernelEvents *out)
{
	struct follow_traffic traffic = { 0 };
	int r;

	r = add_kinds(x, now, mi, out);
	if (r == 0 && is_counted(x->target->follow, FOLLOW_FOREIGN))
		r = add_foreign(x, now, mi, out);
	if (r == 0)
		r = add_machine(x, account, mi, out);
	if (r == 0)
		r = add_guard(x, mi, out);
	if (r == 0 && follow_traffic(x->target->follow, x->target->slot, &traffic) == 0) {
		r = add_counter(mi, out, "device_denied", traffic.devices_denied, x->denied);
		x->denied = traffic.devices_denied;
	}
	return r;
}

static int add_cause(struct mi *mi, Assay__Loss *loss, const char *name, uint64_t count)
{
	Assay__LossCause *c = MI_MESSAGE(mi, Assay__LossCause, assay__loss_cause__init);
	int r;

	if (!c)
		return -ENOMEM;
	r = mi_text(mi, name, &c->cause);
	if (r < 0)
		return r;
	c->count = count;
	return mi_push(mi, &loss->n_causes, &loss->causes, c);
}

/* What is counted as lost, by cause; all of it is summed up. */
struct cause {
	const char *name;
	uint64_t count;
};

/* Those that are wanted and have no stand-in on this kernel either. */
static uint64_t hooks_absent(const struct follow *f)
{
	const struct follow_hook *h;
	uint64_t n = 0;

	for (size_t i = 0; (h = follow_hook(f, i)); i++)
		n += h->wanted && !coverage_hook(f, h->name)->attached;
	return n;
}

static int add_causes(struct kernel *x, const struct follow_loss_account *now, struct mi *mi,
		      Assay__Loss *loss)
{
	const struct target *t = x->target;
	uint64_t half_way = now->assigned - now->delivered - now->dropped_total;
	const struct cause causes[] = {
		{ "ring_full", now->dropped[FOLLOW_LOST_RING] },
		{ "map_full", now->dropped[FOLLOW_LOST_MAP] },
		{ "program_not_run", now->recursion_misses },
		{ "perf_lost", now->maps.lost },
		{ "unreadable", now->maps.unreadable },
		{ "cpu_unwatched", now->maps.cpus_late },
		{ "file_unwatched", follow_unwatched(t->follow, t->slot) },
		{ "scan_incomplete", x->scans_incomplete },
		{ "hook_lost", follow_hooks_lost(t->follow, t->slot) },
		/* The application ran already when the hooks came. */
		{ "hooks_late", t->root_start_boottime_ns != 0 &&
					t->root_start_boottime_ns < now->hooks_since_boottime_ns },
		{ "unaccounted", now->settled ? 0 : half_way },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(causes) && r == 0; i++) {
		r = add_cause(mi, loss, causes[i].name, causes[i].count);
		loss->lost += causes[i].count;
	}
	return r < 0 ? r : add_cause(mi, loss, "hook_absent", hooks_absent(t->follow));
}

static int add_loss(struct kernel *x, const struct follow_loss_account *now,
		    const struct collector_time *time, struct mi *mi, Assay__KernelEvents *out)
{
	const struct target *t = x->target;
	Assay__Loss *loss = MI_MESSAGE(mi, Assay__Loss, assay__loss__init);
	int r;

	if (!loss)
		return -ENOMEM;
	x->scans_incomplete += !t->scan_complete;
	loss->assigned = now->assigned;
	loss->delivered = now->delivered;
	loss->dropped = now->dropped_total;
	loss->window_dropped = now->dropped_total - x->account.dropped_total;
	loss->longest_scan_gap_ns = t->longest_scan_gap_ns;
	/* The hooks live as long as this assayd: another one attaches at another time. */
	loss->daemon_epoch = now->hooks_since_boottime_ns;
	loss->hooks_since_boottime_ns = now->hooks_since_boottime_ns;
	loss->window_from_boottime_ns = time->previous_boottime_ns;
	loss->window_to_boottime_ns = time->boottime_ns;
	loss->perf_records = now->maps.records;
	loss->cpus_online = (uint32_t)get_nprocs();
	loss->cpus_watched = now->maps.cpus;
	loss->counters_frozen = follow_counters_frozen(t->follow);
	loss->btf_id = follow_btf_id(t->follow);
	r = add_causes(x, now, mi, loss);
	/* What is missing for good, as a file that there was no room for, is missing in each window. */
	loss->window_lost = loss->lost > x->lost ? loss->lost - x->lost : 0;
	if (follow_unwatched(t->follow, t->slot) + follow_hooks_lost(t->follow, t->slot) > 0 &&
	    loss->window_lost == 0)
		loss->window_lost = 1;
	loss->complete = now->settled && loss->window_lost == 0 && loss->counters_frozen;
	x->lost = loss->lost;
	out->loss = loss;
	return r;
}

static int add_hooks(struct follow *f, struct mi *mi, Assay__KernelEvents *out)
{
	const struct follow_hook *h;
	int r;

	for (size_t i = 0; (h = follow_hook(f, i)); i++) {
		Assay__Hook *hook;

		if (!h->wanted)
			continue;
		hook = MI_MESSAGE(mi, Assay__Hook, assay__hook__init);
		if (!hook)
			return -ENOMEM;
		r = mi_text(mi, h->name, &hook->name);
		if (r == 0 && !h->attached)
			r = mi_text(mi, h->why_not, &hook->why_not);
		if (r < 0)
			return r;
		hook->attached = h->attached;
		for (size_t j = 0; j < sizeof(h->tag); j++)
			hook->program_tag = hook->program_tag << 8 | h->tag[j];
		hook->recursion_misses = h->recursion_misses;
		hook->program_id = h->program_id;
		hook->link_id = h->link_id;
		hook->loaded_boottime_ns = h->loaded_boottime_ns;
		r = mi_push(mi, &out->n_hooks, &out->hooks, hook);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_window(struct target *t, struct mi *mi, Assay__KernelEvents *out)
{
	struct follow_window window;
	int r = 0;

	follow_window(t->follow, t->slot, &window);
	for (size_t i = 0; i < window.n && r == 0; i++)
		r = kernel_event_add(mi, out, &window.records[i]);
	out->events_uncounted = window.uncounted;
	return r;
}

/* Which causes there are, so that whoever reads the verdict need not look for the account. */
static void say_lost(const Assay__Loss *loss, char *to, size_t size)
{
	size_t len = (size_t)snprintf(to, size, "the account of loss is not complete");
	const char *before = ": ";

	for (size_t i = 0; i < loss->n_causes && len < size; i++) {
		const Assay__LossCause *c = loss->causes[i];

		if (c->count == 0)
			continue;
		len += (size_t)snprintf(to + len, size - len, "%s%s %" PRIu64, before, c->cause,
					c->count);
		before = ", ";
	}
}

static int kernel_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct kernel *x = (struct kernel *)c;
	struct target *t = x->target;
	Assay__KernelEvents *out = MI_MESSAGE(mi, Assay__KernelEvents, assay__kernel_events__init);
	struct follow_loss_account account;
	struct follow_counts counts;
	const char *why = NULL;
	char lost[256];
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->kernel = out;
	r = coverage_write(t->follow, mi, out);
	if (r < 0)
		return r;
	if (!t->follow)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 target_follow_why(t));
	/* The account drains the ring, so counters and window are read after it. */
	r = follow_account(t->follow, &account);
	if (r == 0)
		r = follow_counts(t->follow, t->slot, &counts);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 "the eBPF side could not be read");
	if (x->run != t->started_boottime_ns) {
		if (x->run != 0)
			x->run_base = x->counts;
		x->run = t->started_boottime_ns;
	}
	out->full = follow_is_full(t->follow);
	out->files_watched = follow_watched(t->follow, t->slot);
	r = add_window(t, mi, out);
	if (r == 0)
		r = add_counters(x, &counts, &account, mi, out);
	if (r == 0)
		r = add_loss(x, &account, time, mi, out);
	if (r == 0)
		r = add_hooks(t->follow, mi, out);
	if (r < 0)
		return r;
	follow_window_reset(t->follow, t->slot);
	x->counts = counts;
	x->account = account;
	if (hooks_absent(t->follow) > 0) {
		why = "not every hook is there on this kernel; see hooks";
	} else if (!out->loss->complete) {
		say_lost(out->loss, lost, sizeof(lost));
		why = lost;
	}
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void kernel_close(struct collector *c)
{
	free(c);
}

const struct collector_ops collector_kernel = {
	.name = "kernel",
	.item = 10,
	.open = kernel_open,
	.collect = kernel_collect,
	.close = kernel_close,
};
