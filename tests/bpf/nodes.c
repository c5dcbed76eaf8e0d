/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/nodes.h"

#define COLLECTORS_MAX 16

CLEANUP_FUNCTION(struct mi *, mi_free)

struct running app;
static struct collector *collectors[COLLECTORS_MAX];
char directory[64];
char log_path[96];
static struct mi *mi;
static uint64_t previous_ns;
void (*node_between)(void);

static const char *const storage_paths[] = { directory };
static const char *const recorded[] = { "LD_*", "COLOUR" };
static const struct target_log logs[] = {
	{ log_path, "ERROR|panic" },
	{ log_path, "^start" },
};

int nodes_setup(void **state)
{
	memset(&app, 0, sizeof(app));
	snprintf(directory, sizeof(directory), "/tmp/assay-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(log_path, sizeof(log_path), "%s/log", directory);
	app.config = (struct target_config){
		.logs = logs,
		.n_logs = ARRAY_LEN(logs),
		.environment = recorded,
		.n_environment = ARRAY_LEN(recorded),
		.storage = storage_paths,
		.n_storage = 1,
	};
	running_prepare(&app, 0);
	for (size_t i = 0; collector_table[i]; i++) {
		assert_true(i < COLLECTORS_MAX);
		if (collector_table[i]->item == 7) /* has tests of its own */
			continue;
		assert_int_equal(collector_table[i]->open(app.target, &collectors[i]), 0);
	}
	previous_ns = running_now_ns();
	assert_int_equal(mi_new(&mi), 0);
	return 0;
}

int nodes_teardown(void **state)
{
	char command[128];

	for (size_t i = 0; collector_table[i]; i++) {
		collector_table[i]->close(collectors[i]);
		collectors[i] = NULL;
	}
	running_stop(&app);
	mi_free(mi);
	mi = NULL;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

/* One time node with all collectors: scan, collect, and what the verifier gets of it. */
const Assay__Mi *node(void)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(MI_MAX);
	struct collector_time time = { .boottime_ns = running_now_ns(),
				       .realtime_ns = 1,
				       .previous_boottime_ns = previous_ns };
	CLEANUP(mi_freep) struct mi *made = NULL;

	assert_int_equal(mi_new(&made), 0);
	assert_int_equal(target_scan(app.target, time.boottime_ns, made), 0);
	if (node_between)
		node_between();
	for (size_t i = 0; collector_table[i]; i++) {
		if (collectors[i])
			assert_int_equal(collector_table[i]->collect(collectors[i], &time, made),
					 0);
	}
	assert_int_equal(target_settle(app.target, made), 0);
	previous_ns = time.boottime_ns;
	assert_int_equal(mi_pack(made, &packed), 0);
	mi_free(mi);
	mi = NULL;
	assert_int_equal(mi_unpack(bytes_view(&packed), &mi), 0);
	return mi->msg;
}

void assert_state(const Assay__Mi *m, const char *name, Assay__CollectorStatus__State expected)
{
	for (size_t i = 0; i < m->n_collectors; i++) {
		if (strcmp(m->collectors[i]->name, name) != 0)
			continue;
		if (m->collectors[i]->state != expected)
			fail_msg("%s: state %d: %s", name, m->collectors[i]->state,
				 m->collectors[i]->why);
		return;
	}
	fail_msg("%s says nothing", name);
}

void end(pid_t pid)
{
	running_go(&app);
	running_end(pid);
}

int stay(struct running *x, void *arg)
{
	running_say(x, 0);
	running_wait(x);
	return 0;
}

const Assay__File *mapped(const Assay__Mi *m, const char *part)
{
	for (size_t i = 0; i < m->code->n_processes; i++) {
		const Assay__CodeOf *c = m->code->processes[i];

		for (size_t j = 0; j < c->n_mappings; j++) {
			const Assay__File *f = m->files[c->mappings[j]->file - 1];

			if (strstr(f->path, part))
				return f;
		}
	}
	return NULL;
}
