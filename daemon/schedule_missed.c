/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule_missed.h"

#include <stdio.h>

#include "mi.h"

void missed_list_add(struct missed_list *l, Assay__TimeNode__Kind kind, uint64_t due,
		     const char *why)
{
	struct missed_node *m;

	if (l->n == SCHEDULE_MISSED_MAX) {
		l->uncounted++;
		return;
	}
	m = &l->nodes[l->n++];
	m->kind = kind;
	m->due = due;
	snprintf(m->why, sizeof(m->why), "%s", why);
}

int missed_list_take(struct missed_list *l, struct mi *mi, Assay__TimeNode *node)
{
	Assay__MissedNode **list = arena_alloc(mi->arena, sizeof(*list) * (l->n + 1));
	int r;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		list[i] = MI_MESSAGE(mi, Assay__MissedNode, assay__missed_node__init);
		if (!list[i])
			return -ENOMEM;
		list[i]->kind = l->nodes[i].kind;
		list[i]->due_boottime_ns = l->nodes[i].due;
		r = mi_text(mi, l->nodes[i].why, &list[i]->why);
		if (r < 0)
			return r;
	}
	node->missed = list;
	node->n_missed = l->n;
	node->missed_uncounted = l->uncounted;
	l->n = 0;
	l->uncounted = 0;
	return 0;
}

void missed_list_give_back(struct missed_list *l, const Assay__TimeNode *node)
{
	for (size_t i = 0; i < node->n_missed; i++)
		missed_list_add(l, node->missed[i]->kind, node->missed[i]->due_boottime_ns,
				node->missed[i]->why);
	l->uncounted += node->missed_uncounted;
}
