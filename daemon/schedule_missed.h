/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_SCHEDULE_MISSED_H
#define ASSAY_DAEMON_SCHEDULE_MISSED_H

#include "schedule.h"

/* The time nodes that were missed and that no MI has told yet. */

struct missed_node {
	Assay__TimeNode__Kind kind;
	uint64_t due;
	char why[SCHEDULE_WHY_MAX];
};

struct missed_list {
	struct missed_node nodes[SCHEDULE_MISSED_MAX];
	size_t n;
	uint64_t uncounted; /* past the ones listed */
};

/* Lists it, or counts it where the list is full. */
void missed_list_add(struct missed_list *l, Assay__TimeNode__Kind kind, uint64_t due,
		     const char *why);

/* Moves all into node. -ENOMEM: they are kept. */
MUST_CHECK int missed_list_take(struct missed_list *l, struct mi *mi, Assay__TimeNode *node);

void missed_list_give_back(struct missed_list *l, const Assay__TimeNode *node);

#endif
