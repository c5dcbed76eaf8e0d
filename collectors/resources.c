/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 2. CPU time is what the kernel charged to the cgroup: exact, and it keeps what
 * ended processes used. Processes that moved out of it are added from their own counts.
 */

/* Walking a process's pages for PSS is left out above this much memory and this many processes. */
#define PSS_BYTES_MAX	  (256ULL * 1024 * 1024)
#define PSS_PROCESSES_MAX 16
/* Most seldom that it is read: it costs more than all the rest of this item. */
#define PSS_INTERVAL_NS 1000000000ULL

/*
 * Over a shorter time no share of CPU is said: the kernel charges in lumps, and milliseconds
 * after its start a program may show more than there are processors. The next one covers it.
 */
#define SHARE_INTERVAL_NS 50000000ULL

/* A process outside the cgroup as last seen. */
struct outside {
	pid_t pid;
	uint64_t start_boottime_ns;
	uint64_t cpu_ns;
};

struct resources {
	struct collector base;
	struct target *target;
	struct bytes text; /* of smaps_rollup */
	uint64_t run;	   /* started_boottime_ns of the run that the following belong to */
	uint64_t base_ns;  /* charged to the cgroup before this run */
	uint64_t outside_ns;
	struct outside *outside; /* in order of pid */
	size_t n_outside;
	uint64_t last_ns;		    /* at the previous node */
	uint64_t share_at_ns, share_cpu_ns; /* when the share was last taken; CPU used by then */
	uint64_t share_milli;
	uint64_t pss, pss_at_ns;
	size_t pss_processes;
};

static int resources_open(struct target *t, struct collector **ret)
{
	struct resources *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_resources;
	x->target = t;
	x->text = BYTES_INIT(64 * 1024);
	/* A cgroup that an earlier assayd left behind starts above 0. */
	if (cgroup_cpu_ns(t->cgroup_fd, &x->base_ns) < 0)
		x->base_ns = 0;
	*ret = &x->base;
	return 0;
}

static uint64_t cpu_of(const struct proc_stat *s, bool with_children)
{
	uint64_t ticks = s->user_ticks + s->system_ticks;

	if (with_children)
		ticks += s->children_user_ticks + s->children_system_ticks;
	return ticks * PROC_TICK_NS;
}

/* Adds to outside_ns what processes outside the cgroup used since they were last seen. */
static int add_outside(struct resources *x, size_t *ret_n)
{
	const struct target *t = x->target;
	struct outside *now, *old = x->outside;
	size_t n = 0, at = 0;

	*ret_n = 0;
	for (size_t i = 0; i < t->n_processes; i++)
		*ret_n += target_detail(t, i)->in_cgroup ? 0 : 1;
	if (*ret_n == 0 && x->n_outside == 0)
		return 0;
	now = calloc(*ret_n + 1, sizeof(*now));
	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_processes; i++) {
		const struct target_process *p = &t->processes[i];
		uint64_t cpu_ns = cpu_of(&target_detail(t, i)->stat, false), before;

		if (target_detail(t, i)->in_cgroup)
			continue;
		while (at < x->n_outside && old[at].pid < p->pid)
			at++;
		/* What it used before it left is in the cgroup's account, unless it is new. */
		before = p->start_boottime_ns > t->previous_scan_boottime_ns ? 0 : cpu_ns;
		if (at < x->n_outside && old[at].pid == p->pid &&
		    old[at].start_boottime_ns == p->start_boottime_ns)
			before = old[at].cpu_ns;
		x->outside_ns += cpu_ns - before;
		now[n++] = (struct outside){ p->pid, p->start_boottime_ns, cpu_ns };
	}
	free(old);
	x->outside = now;
	x->n_outside = n;
	return 0;
}

static void begin_run(struct resources *x, uint64_t charged_ns, uint64_t alive_ns)
{
	const struct target *t = x->target;

	if (x->run == t->started_boottime_ns)
		return;
	/* Of a later run in the same cgroup: what its processes have not used was before. */
	if (x->run != 0)
		x->base_ns = charged_ns > alive_ns ? charged_ns - alive_ns : 0;
	x->run = t->started_boottime_ns;
	x->outside_ns = 0;
	x->last_ns = 0;
	x->n_outside = 0;
	x->pss_at_ns = 0;
	x->share_at_ns = x->share_cpu_ns = x->share_milli = 0;
}

/* PSS of all; false where it is not read or not readable. */
static bool read_pss(struct resources *x, uint64_t now_ns, uint64_t resident)
{
	const struct target *t = x->target;
	uint64_t sum = 0, kib;

	if (x->pss_at_ns != 0 && now_ns - x->pss_at_ns < PSS_INTERVAL_NS &&
	    x->pss_processes == t->n_processes)
		return x->pss > 0;
	if (resident > PSS_BYTES_MAX || t->n_processes > PSS_PROCESSES_MAX)
		return false;
	for (size_t i = 0; i < t->n_processes; i++) {
		if (target_read(t->processes[i].proc_fd, "smaps_rollup", &x->text) < 0 ||
		    proc_parse_key(bytes_view(&x->text), "Pss", &kib) < 0)
			return false;
		sum += kib * 1024;
	}
	x->pss = sum;
	x->pss_at_ns = now_ns;
	x->pss_processes = t->n_processes;
	return true;
}

/* Of the time since it was last taken, if that is long enough; otherwise as it was then. */
static uint64_t share_of(struct resources *x, uint64_t now_ns, uint64_t cpu_ns)
{
	uint64_t since_ns = x->share_at_ns ? x->share_at_ns : x->target->started_boottime_ns;

	if (now_ns < since_ns + SHARE_INTERVAL_NS)
		return x->share_milli;
	x->share_milli = cpu_ns > x->share_cpu_ns ? (uint64_t)((double)(cpu_ns - x->share_cpu_ns) *
							       1000 / (double)(now_ns - since_ns))
						  : 0;
	x->share_at_ns = now_ns;
	x->share_cpu_ns = cpu_ns;
	return x->share_milli;
}

static int resources_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	static const char left[] =
		"processes left the application's cgroup; their CPU time is "
		"known in ticks of 10 ms, and not what they used while they left";
	static const char no_account[] = "the cgroup has no account of CPU time; that of ended "
					 "processes is counted where their parent waited for them";
	struct resources *x = (struct resources *)c;
	const struct target *t = x->target;
	Assay__Resources *out = MI_MESSAGE(mi, Assay__Resources, assay__resources__init);
	uint64_t charged_ns, alive_ns = 0;
	const char *why = NULL;
	size_t outside;
	int r;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_processes; i++) {
		const struct proc_stat *s = &target_detail(t, i)->stat;

		out->resident_bytes += target_detail(t, i)->resident_bytes;
		out->virtual_bytes += s->virtual_bytes;
		alive_ns += cpu_of(s, true);
	}
	if (read_pss(x, time->boottime_ns, out->resident_bytes))
		out->proportional_bytes = x->pss;
	r = cgroup_cpu_ns(t->cgroup_fd, &charged_ns);
	if (r < 0) {
		why = no_account;
		out->cpu_ns = alive_ns;
		begin_run(x, 0, 0);
	} else {
		begin_run(x, charged_ns, alive_ns);
		r = add_outside(x, &outside);
		if (r < 0)
			return r;
		if (outside > 0)
			why = left;
		out->cpu_ns = charged_ns - x->base_ns + x->outside_ns;
	}
	out->window_ns = time->boottime_ns - time->previous_boottime_ns;
	out->window_cpu_ns = out->cpu_ns > x->last_ns ? out->cpu_ns - x->last_ns : 0;
	x->last_ns = out->cpu_ns;
	out->cpu_share_milli = share_of(x, time->boottime_ns, out->cpu_ns);
	mi->msg->resources = out;
	if (!t->scan_complete && !why)
		why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void resources_close(struct collector *c)
{
	struct resources *x = (struct resources *)c;

	if (!x)
		return;
	bytes_done(&x->text);
	free(x->outside);
	free(x);
}

const struct collector_ops collector_resources = {
	.name = "resources",
	.item = 2,
	.open = resources_open,
	.collect = resources_collect,
	.close = resources_close,
};
