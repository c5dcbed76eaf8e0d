/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "collectors/table.h"

/* MI item 1: when assayd started the application, and whether that very process is still there. */
struct start_time {
	struct collector base;
	struct target *target;
};

static int start_time_open(struct target *t, struct collector **ret)
{
	struct start_time *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_start_time;
	x->target = t;
	*ret = &x->base;
	return 0;
}

static int start_time_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	const struct target *t = ((struct start_time *)c)->target;
	Assay__StartTime *out = MI_MESSAGE(mi, Assay__StartTime, assay__start_time__init);

	if (!out)
		return -ENOMEM;
	if (t->root_pid == 0)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 "the application has not been started");
	mi->msg->start_time = out;
	out->boottime_ns = t->started_boottime_ns;
	out->realtime_ns = t->started_realtime_ns;
	out->root_pid = (uint32_t)t->root_pid;
	for (size_t i = 0; i < t->n_processes; i++) {
		const struct target_process *p = &t->processes[i];

		if (p->pid != t->root_pid)
			continue;
		out->root_start_boottime_ns = p->start_boottime_ns;
		/* The kernel counts from the fork, in ticks; another process would differ. */
		out->root_alive = t->root_start_boottime_ns == 0 ||
				  t->root_start_boottime_ns == p->start_boottime_ns;
	}
	return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL);
}

static void start_time_close(struct collector *c)
{
	free(c);
}

const struct collector_ops collector_start_time = {
	.name = "start_time",
	.item = 1,
	.open = start_time_open,
	.collect = start_time_collect,
	.close = start_time_close,
};
