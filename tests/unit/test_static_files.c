/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_tree.h"

#include <sys/resource.h>

#include "collectors/static_files.h"
#include "mi.h"

static char tree[PATH_MAX];
static const char *files[] = { tree };
static const struct target_config config = { .name = "test", .files = files, .n_files = 1 };
static struct target target = { .config = &config, .cgroup_fd = -1 };

/* What one time node says; the first one that differs from what is expected fails the test. */
struct node {
	struct mi *mi;
	const Assay__StaticFiles *item;
	const Assay__CollectorStatus *status;
};

static struct node collect_at(struct collector *c, bool brief)
{
	const struct collector_time time = { .brief = brief };
	struct node n = { 0 };

	assert_int_equal(mi_new(&n.mi), 0);
	assert_int_equal(c->ops->collect(c, &time, n.mi), 0);
	n.item = n.mi->msg->static_files;
	assert_int_equal(n.mi->msg->n_collectors, 1);
	n.status = n.mi->msg->collectors[0];
	assert_string_equal(n.status->name, "static_files");
	return n;
}

static struct node collect(struct collector *c)
{
	return collect_at(c, false);
}

static void node_done(struct node *n)
{
	mi_free(n->mi);
}

static struct measured *baseline(bool dependencies)
{
	const struct measure_options o = { .threads = 2, .dependencies = dependencies };
	struct measured *m;
	char *wrong = NULL;

	assert_int_equal(measure_paths(files, 1, &o, &m, &wrong), 0);
	return m;
}

static struct collector *open_with(struct measured *m)
{
	struct collector *c;

	assert_int_equal(collector_static_files.open(&target, &c), 0);
	if (m)
		assert_int_equal(static_files_baseline(c, m), 0);
	return c;
}

static int make_tree(void **state)
{
	if (make_top(state) < 0)
		return -1;
	snprintf(tree, sizeof(tree), "%s", at("tree"));
	make_dir("tree");
	make_file("tree/program", "#!/bin/sh\n", 10, 0755);
	make_text("tree/data", "abc");
	make_link("data", "tree/link");
	let_settle();
	return 0;
}

static void assert_complete(const struct node *n)
{
	if (n->status->state != ASSAY__COLLECTOR_STATUS__STATE__COMPLETE)
		fail_msg("not complete: %s", n->status->why);
	assert_non_null(n->item);
}

static void an_unchanged_tree_is_told_once_and_read_by_turns(void **state)
{
	struct measured *m = baseline(true);
	struct collector *c = open_with(m);
	uint64_t reread = 0;

	for (int i = 1; i <= 2 * STATIC_FILES_NODES; i++) {
		struct node n = collect(c);

		assert_complete(&n);
		assert_int_equal(n.item->sha384.len, 48);
		assert_memory_equal(n.item->sha384.data, m->m.bytes, 48);
		if (i == 1)
			assert_memory_equal(n.item->manifest, m->text.data, m->text.len);
		else
			assert_string_equal(n.item->manifest, "");
		assert_int_equal(n.item->files, m->n_files);
		assert_int_equal(n.item->n_changed, 0);
		assert_true(n.item->rehashed_files < m->n_files);
		reread += n.item->rehashed_files;
		if (i == STATIC_FILES_NODES) {
			size_t aliases = 0;

			/* Every file was read, those with two names once. */
			for (size_t k = 0; k < m->n_files; k++)
				aliases += strncmp(m->files[k].path, "/bin/", 5) == 0 ||
					   strncmp(m->files[k].path, "/lib", 4) == 0;
			assert_true(reread >= m->n_files - aliases);
			assert_true(reread <= m->n_files);
		}
		node_done(&n);
	}
	collector_static_files.close(c);
	measured_free(m);
}

/* They put turns off and skip none; a change is seen at them as well. */
static void brief_nodes_read_what_changed_alone(void **state)
{
	struct measured *m = baseline(false);
	struct collector *c = open_with(m);
	uint64_t reread = 0;
	struct node n;

	for (int i = 0; i < 2 * STATIC_FILES_NODES; i++) {
		n = collect_at(c, true);
		assert_complete(&n);
		assert_int_equal(n.item->rehashed_files, 0);
		node_done(&n);
	}
	for (int i = 0; i < STATIC_FILES_NODES; i++) {
		n = collect(c);
		reread += n.item->rehashed_files;
		node_done(&n);
		n = collect_at(c, true);
		assert_int_equal(n.item->rehashed_files, 0);
		node_done(&n);
	}
	assert_int_equal(reread, 2); /* data and program */
	make_text("tree/data", "abd");
	n = collect_at(c, true);
	assert_complete(&n);
	assert_true(n.item->rehashed_files > 0);
	assert_int_equal(n.item->n_changed, 1);
	node_done(&n);
	make_text("tree/data", "abc");
	let_settle();
	collector_static_files.close(c);
	measured_free(m);
}

static void without_a_baseline_the_first_node_is_one(void **state)
{
	struct measured *m = baseline(true);
	struct collector *c = open_with(NULL);
	struct node n = collect(c);

	assert_complete(&n);
	assert_memory_equal(n.item->sha384.data, m->m.bytes, 48);
	assert_memory_equal(n.item->manifest, m->text.data, m->text.len);
	assert_int_equal(n.item->n_changed, 0);
	assert_true(n.item->rehashed_files > 0);
	node_done(&n);
	n = collect(c);
	assert_string_equal(n.item->manifest, "");
	node_done(&n);
	collector_static_files.close(c);
	measured_free(m);
}

static void edit(void)
{
	make_text("tree/data", "abd");
}

static void edit_and_set_times_back(void)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(stat(at("tree/data"), &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	make_text("tree/data", "abd");
	assert_int_equal(utimensat(AT_FDCWD, at("tree/data"), times, 0), 0);
}

static void add(void)
{
	make_text("tree/added", "");
}

static void take_away(void)
{
	assert_int_equal(unlink(at("tree/data")), 0);
}

static void point_elsewhere(void)
{
	assert_int_equal(unlink(at("tree/link")), 0);
	make_link("program", "tree/link");
}

static void open_up(void)
{
	assert_int_equal(chmod(at("tree/program"), 0777), 0);
}

static void other_interpreter(void)
{
	make_file("tree/program", "#!/usr/bin/env\n", 15, 0755);
}

static void only_touch(void)
{
	assert_int_equal(utimensat(AT_FDCWD, at("tree/data"), NULL, 0), 0);
}

static const struct {
	const char *what;
	void (*change)(void);
	const char *changed;	 /* NULL: nothing that counts */
	const char *changed_too; /* outside of the tree */
} changes[] = {
	{ "another content", edit, "tree/data", NULL },
	{ "another content under the old times", edit_and_set_times_back, "tree/data", NULL },
	{ "a file more", add, "tree/added", NULL },
	{ "a file less", take_away, "tree/data", NULL },
	{ "a link that leads elsewhere", point_elsewhere, "tree/link", NULL },
	{ "another mode", open_up, "tree/program", NULL },
	{ "a program that needs other files", other_interpreter, "tree/program", "/usr/bin/env" },
	{ "a time alone is not a change", only_touch, NULL, NULL },
};

static bool lists(const Assay__StaticFiles *item, const char *path)
{
	for (size_t i = 0; i < item->n_changed; i++) {
		if (strcmp(item->changed[i], path) == 0)
			return true;
	}
	return false;
}

static void what_changed_is_told(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct measured *m = baseline(true), *after;
		struct collector *c = open_with(m);
		struct node n = collect(c);

		node_done(&n);
		changes[i].change();
		after = baseline(true);
		/* At every node from then on, the manifest with it once. */
		for (int k = 0; k < 3; k++) {
			n = collect(c);
			assert_complete(&n);
			if ((n.item->n_changed == 0) != (changes[i].changed == NULL))
				fail_msg("%s: %zu changed", changes[i].what, n.item->n_changed);
			if (changes[i].changed && !lists(n.item, at(changes[i].changed)))
				fail_msg("%s: is not listed", changes[i].what);
			if (changes[i].changed_too && !lists(n.item, changes[i].changed_too))
				fail_msg("%s: what it needs is not listed", changes[i].what);
			if (!changes[i].changed_too && n.item->n_changed > 1)
				fail_msg("%s: lists more", changes[i].what);
			if (memcmp(n.item->sha384.data, after->m.bytes, 48) != 0)
				fail_msg("%s: M is not that of measuring anew", changes[i].what);
			if ((n.item->manifest[0] != '\0') != (k == 0 && changes[i].changed))
				fail_msg("%s: manifest at node %d", changes[i].what, k);
			node_done(&n);
		}
		collector_static_files.close(c);
		measured_free(m);
		measured_free(after);
		assert_int_equal(remove_top(NULL), 0);
		assert_int_equal(make_tree(NULL), 0);
	}
}

static void what_comes_back_is_told_anew(void **state)
{
	struct collector *c = open_with(NULL);
	struct node n = collect(c);
	uint8_t m[48];

	memcpy(m, n.item->sha384.data, 48);
	node_done(&n);
	make_text("tree/data", "abd");
	n = collect(c);
	assert_int_equal(n.item->n_changed, 1);
	node_done(&n);
	make_text("tree/data", "abc");
	n = collect(c);
	assert_int_equal(n.item->n_changed, 0);
	assert_memory_equal(n.item->sha384.data, m, 48);
	assert_true(n.item->manifest[0] != '\0'); /* the verifier saw another one last */
	node_done(&n);
	collector_static_files.close(c);
}

static void all_files_gone_is_a_change(void **state)
{
	struct measured *m = baseline(false);
	struct collector *c = open_with(m);
	struct node n;

	assert_int_equal(nftw(at("tree"), remove_entry, 64, FTW_DEPTH | FTW_PHYS), 0);
	n = collect(c);
	assert_complete(&n);
	assert_int_equal(n.item->files, 0);
	assert_int_equal(n.item->n_changed, 4);
	node_done(&n);
	collector_static_files.close(c);
	measured_free(m);
}

static void what_cannot_be_measured_is_said(void **state)
{
	struct collector *c = open_with(NULL);
	struct node n;

	assert_int_equal(rename(at("tree"), at("away")), 0);
	n = collect(c);
	assert_int_equal(n.status->state, ASSAY__COLLECTOR_STATUS__STATE__FAILED);
	assert_non_null(strstr(n.status->why, at("tree")));
	assert_null(n.item);
	node_done(&n);
	/* And it works once it can. */
	assert_int_equal(rename(at("away"), at("tree")), 0);
	n = collect(c);
	assert_complete(&n);
	node_done(&n);
	collector_static_files.close(c);
	collector_static_files.close(NULL);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Shown, not judged: how long it takes is no matter of right and wrong. */
static void the_cost_of_an_unchanged_node_is_shown(void **state)
{
	enum { NODES = 640 };
	struct measured *m;
	struct collector *c;
	double from;

	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "tree/file%d", i);
		make_text(name, name);
	}
	let_settle();
	m = baseline(true);
	c = open_with(m);
	from = cpu_ms();
	for (int i = 0; i < NODES; i++) {
		struct node n = collect(c);

		assert_int_equal(n.item->n_changed, 0);
		node_done(&n);
	}
	print_message("%zu files, %.1f MB: %.3f ms of CPU a node\n", m->n_files,
		      (double)m->bytes_read / 1e6, (cpu_ms() - from) / NODES);
	collector_static_files.close(c);
	measured_free(m);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TREE(an_unchanged_tree_is_told_once_and_read_by_turns),
		ON_TREE(brief_nodes_read_what_changed_alone),
		ON_TREE(without_a_baseline_the_first_node_is_one),
		ON_TREE(what_changed_is_told),
		ON_TREE(what_comes_back_is_told_anew),
		ON_TREE(all_files_gone_is_a_change),
		ON_TREE(what_cannot_be_measured_is_said),
		ON_TREE(the_cost_of_an_unchanged_node_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
