/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "cleanup.h"
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
	uint64_t denied;
	uint64_t run;
};

/* Attacks of the catalogue that leave a trace in what is scanned at every node, item 5 and 8. */
static const char *const scanned[] = {
	"M01", "M02", "M07", "M10", "M12", "M14", "M15", "M16", "M18", "M20",
	"M21", "L01", "L03", "L04", "L05", "L08", "L10", "A07", "A08",
};

/* And those that a hook sees as they happen. */
static const struct {
	const char *id, *hook;
} hooked[] = {
	{ "X01", "sched_process_exec" },  { "X02", "sched_process_exec" },
	{ "X03", "sched_process_exec" },  { "X04", "sched_process_exec" },
	{ "A09", "sched_process_exec" },  { "N01", "inet_sock_set_state" },
	{ "N02", "inet_sock_set_state" }, { "N04", "inet_sock_set_state" },
	{ "M03", "cap_capable" },	  { "M04", "cap_capable" },
	{ "T03", "cap_capable" },
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
	*ret = &x->base;
	return 0;
}

static void address_text(uint16_t family, const uint8_t *address, uint16_t port, char *to,
			 size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, address, ip, sizeof(ip));
	snprintf(to, size, family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
}

static int detail_exec(struct mi *mi, const struct follow_record *record, char **ret)
{
	return mi_printf(mi, ret, "%.*s", (int)sizeof(record->text), record->text);
}

static int detail_exit(struct mi *mi, const struct follow_record *record, char **ret)
{
	if (record->value & 0x7f)
		return mi_printf(mi, ret, "signal %u", record->value & 0x7f);
	return mi_printf(mi, ret, "status %u", record->value >> 8 & 0xff);
}

static int detail_listen(struct mi *mi, const struct follow_record *record, char **ret)
{
	char local[INET6_ADDRSTRLEN + 16];

	address_text(record->family, record->local, record->local_port, local, sizeof(local));
	return mi_text(mi, local, ret);
}

static int detail_connect(struct mi *mi, const struct follow_record *record, char **ret)
{
	char remote[INET6_ADDRSTRLEN + 16];

	address_text(record->family, record->remote, record->remote_port, remote, sizeof(remote));
	return mi_text(mi, remote, ret);
}

static int detail_signal(struct mi *mi, const struct follow_record *record, char **ret)
{
	const char *name = sigabbrev_np((int)record->value);

	return mi_printf(mi, ret, "SIG%s from %.*s", name ? name : "RT", (int)sizeof(record->comm),
			 record->comm);
}

static int detail_foreign(struct mi *mi, const struct follow_record *record, char **ret)
{
	return mi_printf(mi, ret, "%s by %.*s",
			 FOLLOW_ACCESS_LOOKS(record->value) ? "read" : "attach",
			 (int)sizeof(record->comm), record->comm);
}

static int (*const details[FOLLOW_KINDS])(struct mi *mi, const struct follow_record *record,
					  char **ret) = {
	[FOLLOW_EXEC] = detail_exec,	 [FOLLOW_EXIT] = detail_exit,
	[FOLLOW_LISTEN] = detail_listen, [FOLLOW_CONNECT] = detail_connect,
	[FOLLOW_SIGNAL] = detail_signal, [FOLLOW_FOREIGN] = detail_foreign,
};

static int add_event(struct mi *mi, Assay__KernelEvents *out, const struct follow_record *record)
{
	Assay__KernelEvent *e = MI_MESSAGE(mi, Assay__KernelEvent, assay__kernel_event__init);
	int r;

	if (!e)
		return -ENOMEM;
	r = mi_text(mi, follow_kind_name(record->kind), &e->kind);
	if (r == 0 && details[record->kind])
		r = details[record->kind](mi, record, &e->detail);
	if (r < 0)
		return r;
	e->boottime_ns = record->boottime_ns;
	e->pid = record->pid;
	e->actor = record->actor == record->pid ? 0 : record->actor;
	e->sequence = record->sequence;
	return mi_push(mi, &out->n_events, &out->events, e);
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

static int add_counters(struct kernel *x, const struct follow_counts *now,
			const struct follow_loss_account *account, struct mi *mi,
			Assay__KernelEvents *out)
{
	struct follow_counts total = *now, before = x->counts;
	uint64_t checks[FOLLOW_ACCESSES], checks_before[FOLLOW_ACCESSES];
	uint64_t access[FOLLOW_ACCESSES], access_before[FOLLOW_ACCESSES];
	struct follow_traffic traffic = { 0 };
	int r = 0;

	for (size_t i = 0; i < FOLLOW_ACCESSES; i++) {
		access[i] = total.access[i] - x->run_base.access[i];
		access_before[i] = before.access[i] - x->run_base.access[i];
		checks[i] = account->checks[i];
		checks_before[i] = x->account.checks[i];
	}
	for (uint32_t i = 0; i < FOLLOW_KINDS && r == 0; i++) {
		if (i != FOLLOW_FOREIGN)
			r = add_counter(mi, out, follow_kind_name(i),
					total.kinds[i] - x->run_base.kinds[i],
					before.kinds[i] - x->run_base.kinds[i]);
	}
	if (r == 0)
		r = add_counter(mi, out, "foreign_access", reached_into(access),
				reached_into(access_before));
	if (r == 0)
		r = add_counter(mi, out, "foreign_read", access[FOLLOW_ACCESS_READ],
				access_before[FOLLOW_ACCESS_READ]);
	/* On the whole machine, by processes of no application, at a target that is not known. */
	if (r == 0)
		r = add_counter(mi, out, "foreign_access_checks", reached_into(checks),
				reached_into(checks_before));
	if (r == 0)
		r = add_counter(mi, out, "foreign_read_checks", checks[FOLLOW_ACCESS_READ],
				checks_before[FOLLOW_ACCESS_READ]);
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

static int add_loss(struct kernel *x, const struct follow_loss_account *now, struct mi *mi,
		    Assay__KernelEvents *out)
{
	const struct target *t = x->target;
	Assay__Loss *loss = MI_MESSAGE(mi, Assay__Loss, assay__loss__init);
	int r = 0;

	if (!loss)
		return -ENOMEM;
	loss->assigned = now->assigned;
	loss->delivered = now->delivered;
	loss->dropped = now->dropped_total;
	loss->window_dropped = now->dropped_total - x->account.dropped_total;
	loss->longest_scan_gap_ns = t->longest_scan_gap_ns;
	/* The hooks live as long as this assayd: another one attaches at another time. */
	loss->daemon_epoch = now->hooks_since_boottime_ns;
	loss->hooks_since_boottime_ns = now->hooks_since_boottime_ns;
	loss->complete = now->settled && loss->window_dropped == 0 &&
			 now->recursion_misses == x->account.recursion_misses;
	for (uint32_t i = 0; i < FOLLOW_LOSSES && r == 0; i++)
		r = add_cause(mi, loss, follow_loss_name(i), now->dropped[i]);
	if (r == 0)
		r = add_cause(mi, loss, "program_not_run", now->recursion_misses);
	if (r == 0 && !now->settled)
		r = add_cause(mi, loss, "unaccounted",
			      now->assigned - now->delivered - now->dropped_total);
	out->loss = loss;
	return r;
}

static int add_hooks(struct follow *f, struct mi *mi, Assay__KernelEvents *out)
{
	const struct follow_hook *h;
	int r;

	for (size_t i = 0; (h = follow_hook(f, i)); i++) {
		Assay__Hook *hook = MI_MESSAGE(mi, Assay__Hook, assay__hook__init);

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
		r = mi_push(mi, &out->n_hooks, &out->hooks, hook);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool hook_attached(struct follow *f, const char *name)
{
	const struct follow_hook *h;

	for (size_t i = 0; (h = follow_hook(f, i)); i++) {
		if (strcmp(h->name, name) == 0)
			return h->attached;
	}
	return false;
}

static int add_covered(struct mi *mi, Assay__KernelEvents *out, const char *id)
{
	char *text;
	int r = mi_text(mi, id, &text);

	return r < 0 ? r : mi_push(mi, &out->n_covers, &out->covers, text);
}

static int add_covers(struct follow *f, struct mi *mi, Assay__KernelEvents *out)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(scanned) && r == 0; i++)
		r = add_covered(mi, out, scanned[i]);
	for (size_t i = 0; f && i < ARRAY_LEN(hooked) && r == 0; i++) {
		if (hook_attached(f, hooked[i].hook))
			r = add_covered(mi, out, hooked[i].id);
	}
	return r;
}

static int add_window(struct target *t, struct mi *mi, Assay__KernelEvents *out)
{
	struct follow_window window;
	int r = 0;

	follow_window(t->follow, t->slot, &window);
	for (size_t i = 0; i < window.n && r == 0; i++)
		r = add_event(mi, out, &window.records[i]);
	out->events_uncounted = window.uncounted;
	return r;
}

static bool all_attached(struct follow *f)
{
	const struct follow_hook *h;
	bool all = true;

	for (size_t i = 0; (h = follow_hook(f, i)); i++)
		all = all && (h->attached || !h->wanted);
	return all;
}

static int kernel_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct kernel *x = (struct kernel *)c;
	struct target *t = x->target;
	Assay__KernelEvents *out = MI_MESSAGE(mi, Assay__KernelEvents, assay__kernel_events__init);
	struct follow_loss_account account;
	struct follow_counts counts;
	const char *why = NULL;
	int r;

	if (!out)
		return -ENOMEM;
	mi->msg->kernel = out;
	r = add_covers(t->follow, mi, out);
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
	r = add_window(t, mi, out);
	if (r == 0)
		r = add_counters(x, &counts, &account, mi, out);
	if (r == 0)
		r = add_loss(x, &account, mi, out);
	if (r == 0)
		r = add_hooks(t->follow, mi, out);
	if (r < 0)
		return r;
	follow_window_reset(t->follow, t->slot);
	x->counts = counts;
	x->account = account;
	if (!all_attached(t->follow))
		why = "not every hook is there on this kernel; see hooks";
	else if (!out->loss->complete)
		why = "records of events were lost; see loss";
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
