/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config_form.h"
#include "quantity.h"

#define EVERY_MIN_NS 10000000u /* 10 ms */

struct place {
	char path[YAMLDOC_PATH_MAX];
};

static struct place key_of(const char *node, const char *key)
{
	struct place p;

	snprintf(p.path, sizeof(p.path), "%s.%s", node, key);
	return p;
}

static void expect(struct config_reading *x, const char *node, const char *key,
		   const char *expected, const char *text)
{
	char found[YAMLDOC_FOUND_MAX];

	yamldoc_problem(x->d, key_of(node, key).path, "expected %s, found %s", expected,
			yamldoc_quoted(text, found));
}

static void read_at(struct config_reading *x, const char *node, const struct form_node *f,
		    struct config_node *n)
{
	n->kind = ASSAY__TIME_NODE__KIND__START;
	if (strcmp(f->at, "start") != 0)
		expect(x, node, "at", "\"start\"", f->at);
}

static void read_every(struct config_reading *x, const char *node, const struct form_node *f,
		       struct config_node *n)
{
	n->kind = ASSAY__TIME_NODE__KIND__EVERY;
	if (quantity_duration(f->every, &n->every_ns) < 0 || n->every_ns < EVERY_MIN_NS) {
		expect(x, node, "every", QUANTITY_DURATION " of at least 10ms", f->every);
		return;
	}
	if (f->jitter &&
	    (quantity_duration(f->jitter, &n->jitter_ns) < 0 || n->jitter_ns > n->every_ns))
		expect(x, node, "jitter", QUANTITY_DURATION " not longer than every", f->jitter);
}

static void read_daily(struct config_reading *x, const char *node, const struct form_node *f,
		       struct config_node *n)
{
	n->kind = ASSAY__TIME_NODE__KIND__DAILY;
	if (quantity_time_of_day(f->daily, &n->second_of_day) < 0)
		expect(x, node, "daily", QUANTITY_TIME_OF_DAY, f->daily);
}

static void read_time(struct config_reading *x, const char *node, const struct form_node *f,
		      struct config_node *n)
{
	n->kind = ASSAY__TIME_NODE__KIND__TIME;
	if (quantity_instant(f->time, &n->time) < 0)
		expect(x, node, "time", QUANTITY_INSTANT, f->time);
}

static const struct {
	const char *name;
	enum config_event event;
} events[] = {
	{ "exec", CONFIG_EVENT_EXEC },
	{ "listen", CONFIG_EVENT_LISTEN },
	{ "connect", CONFIG_EVENT_CONNECT },
	{ "exit", CONFIG_EVENT_EXIT },
	{ "foreign_access", CONFIG_EVENT_FOREIGN },
	{ "wx_memory", CONFIG_EVENT_WX_MEMORY },
	{ "file_changed", CONFIG_EVENT_FILE_CHANGED },
};

static uint32_t event_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (strcmp(events[i].name, name) == 0)
			return events[i].event;
	}
	return 0;
}

static void read_events(struct config_reading *x, const char *node, const struct form_node *f,
			struct config_node *n)
{
	char key[32];

	for (size_t i = 0; i < f->n_of; i++) {
		uint32_t event = event_of(f->of[i]);

		snprintf(key, sizeof(key), "of[%zu]", i);
		if (event == 0)
			expect(x, node, key,
			       "one of exec, listen, connect, exit, foreign_access, "
			       "wx_memory, file_changed",
			       f->of[i]);
		n->events |= event;
	}
	if (f->n_of == 0)
		yamldoc_problem(x->d, key_of(node, "of").path,
				"expected the names of events, found nothing");
}

static const struct {
	const char *name;
	Assay__TimeNode__Kind kind;
} occasions[] = {
	{ "stage", ASSAY__TIME_NODE__KIND__STAGE },
	{ "demand", ASSAY__TIME_NODE__KIND__DEMAND },
	{ "event", ASSAY__TIME_NODE__KIND__EVENT },
};

static void read_on(struct config_reading *x, const char *node, const struct form_node *f,
		    struct config_node *n)
{
	for (size_t i = 0; i < ARRAY_LEN(occasions); i++) {
		if (strcmp(f->on, occasions[i].name) == 0)
			n->kind = occasions[i].kind;
	}
	if (n->kind == ASSAY__TIME_NODE__KIND__NONE)
		expect(x, node, "on", "one of stage, demand, event", f->on);
	if (n->kind == ASSAY__TIME_NODE__KIND__EVENT)
		read_events(x, node, f, n);
}

/* What a node has beside its kind. */
static void read_report(struct config_reading *x, const char *node, const struct form_node *f,
			struct config_node *n)
{
	n->report_every = 1;
	if (f->report && quantity_every(f->report, &n->report_every) < 0)
		expect(x, node, "report", QUANTITY_EVERY, f->report);
	/* A secret hangs on these, and a demand wants its answer now. */
	if (n->report_every > 1 &&
	    (n->kind == ASSAY__TIME_NODE__KIND__STAGE || n->kind == ASSAY__TIME_NODE__KIND__DEMAND))
		expect(x, node, "report", "\"each\" for stage and demand", f->report);
	if (f->jitter && !f->every)
		expect(x, node, "jitter", "it beside every", f->jitter);
	if (f->n_of > 0 && n->kind != ASSAY__TIME_NODE__KIND__EVENT)
		expect(x, node, "of", "it beside \"on: event\"", f->of[0]);
}

static void read_node(struct config_reading *x, const char *node, const struct form_node *f,
		      struct config_node *n)
{
	const struct {
		const char *text;
		void (*read)(struct config_reading *x, const char *node, const struct form_node *f,
			     struct config_node *n);
	} kinds[] = {
		{ f->at, read_at },	{ f->every, read_every }, { f->daily, read_daily },
		{ f->time, read_time }, { f->on, read_on },
	};
	size_t given = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		given += kinds[i].text != NULL;
	if (given != 1) {
		yamldoc_problem(x->d, node,
				"expected one of at, every, daily, time, on, found %zu of them",
				given);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].text)
			kinds[i].read(x, node, f, n);
	}
	read_report(x, node, f, n);
}

/* Where the configuration has no time_nodes. */
static void default_nodes(struct config_reading *x, struct config_application *a)
{
	const struct config_node defaults[] = {
		{ .kind = ASSAY__TIME_NODE__KIND__START, .report_every = 1 },
		{ .kind = ASSAY__TIME_NODE__KIND__DEMAND, .report_every = 1 },
		{ .kind = ASSAY__TIME_NODE__KIND__EVERY,
		  .every_ns = UINT64_C(60) * 1000000000,
		  .report_every = 1 },
		{ .kind = ASSAY__TIME_NODE__KIND__STAGE, .report_every = 1 },
	};

	a->nodes = config_room(x, ARRAY_LEN(defaults), sizeof(*a->nodes));
	if (!a->nodes)
		return;
	memcpy(a->nodes, defaults, sizeof(defaults));
	/* The last one is for applications that have stages. */
	a->n_nodes = ARRAY_LEN(defaults) - (a->stages == 0);
}

void config_read_nodes(struct config_reading *x, const struct form_application *f, size_t i,
		       struct config_application *a)
{
	char node[YAMLDOC_PATH_MAX];

	snprintf(node, sizeof(node), "applications[%zu].time_nodes", i);
	if (!a->measure_dynamic) {
		if (f->n_time_nodes > 0)
			yamldoc_problem(x->d, node,
					"expected none without dynamic measurement, found %u",
					f->n_time_nodes);
		return;
	}
	if (f->n_time_nodes == 0) {
		default_nodes(x, a);
		return;
	}
	a->nodes = config_room(x, f->n_time_nodes, sizeof(*a->nodes));
	if (!a->nodes)
		return;
	a->n_nodes = f->n_time_nodes;
	for (size_t k = 0; k < a->n_nodes; k++) {
		snprintf(node, sizeof(node), "applications[%zu].time_nodes[%zu]", i, k);
		read_node(x, node, &f->time_nodes[k], &a->nodes[k]);
		if (a->nodes[k].kind == ASSAY__TIME_NODE__KIND__STAGE && a->stages == 0)
			yamldoc_problem(x->d, node,
					"expected stages of the application, found none");
	}
}
