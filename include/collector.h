/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTOR_H
#define ASSAY_COLLECTOR_H

#include <stdint.h>

#include "mi.h"
#include "target.h"

/*
 * A collector watches one aspect of an application and, at each time node, writes
 * what it saw into the MI assembled for that node. One instance an application.
 *
 * All calls come from the monitor's thread and none may block for longer than the
 * work itself takes. They return 0 or a negative errno. A failed open leaves *ret
 * alone. A collect that can see nothing or not everything still returns 0 and says so
 * with mi_status(); an error means that MI could not be written (memory, limits), and the
 * caller throws the MI away.
 */
struct collector {
	const struct collector_ops *ops;
};

/* The time of the node; collectors read no clock of their own. */
struct collector_time {
	uint64_t boottime_ns;
	uint64_t realtime_ns;
	uint64_t previous_boottime_ns; /* of the previous node; when the application started, for the first */
	/*
	 * An event asked for the node, and its verdict is waited for: what is looked at by turns,
	 * changed or not, waits for the next node. True for at most COLLECTOR_BRIEF_MAX nodes in a row.
	 */
	bool brief;
};
#define COLLECTOR_BRIEF_MAX 15

struct collector_ops {
	/* Names the collector in the configuration, the logs and the MI. Stable. */
	const char *name;

	/* Number of the MI item it fills in. */
	int item;

	/* Starts watching. t outlives the collector. The caller owns *ret. */
	int (*open)(struct target *t, struct collector **ret);

	/* Writes its item, after target_scan of this node. */
	int (*collect)(struct collector *c, const struct collector_time *time, struct mi *mi);

	/* Stops watching and frees c. Accepts NULL and a half-opened collector. */
	void (*close)(struct collector *c);
};

/* Every collector, in the order of the MI items. NULL-terminated. */
extern const struct collector_ops *const collector_table[];

#endif
