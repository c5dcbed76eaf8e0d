/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/nodes.h"

/* Processes that end while the others are looked at. */

static pid_t root;

static const char *const absence[] = { "code", "environment", "credentials", "descriptors" };

static void assert_all(const Assay__Mi *m, Assay__CollectorStatus__State expected)
{
	for (size_t i = 0; i < ARRAY_LEN(absence); i++)
		assert_state(m, absence[i], expected);
}

/* Two processes: the root, and a child that ends at the word. */
static int with_child(struct running *x, void *arg)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		running_say(x, getpid());
		running_wait(x);
		_exit(0);
	}
	waitpid(child, &status, 0);
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void end_the_child(void)
{
	running_go(&app);
	running_hear(&app);
}

static void a_process_that_ends_leaves_the_rest_whole(void **state)
{
	const Assay__Mi *m;

	root = running_start(&app, with_child, NULL);
	running_hear(&app);
	m = node();
	assert_int_equal(m->n_processes, 2);
	assert_all(m, COMPLETE);
	node_between = end_the_child;
	m = node();
	node_between = NULL;
	assert_int_equal(m->n_processes, 1);
	assert_int_equal(m->processes[0]->pid, root);
	assert_int_equal(m->code->n_processes, 1);
	assert_int_equal(m->environment->n_processes, 1);
	assert_all(m, COMPLETE);
	end(root);
}

/* Makes a child at the word, and ends or stays. */
static int move_on(struct running *x, void *arg)
{
	bool stays = arg != NULL;

	running_say(x, 0);
	running_wait(x);
	if (fork() == 0) {
		running_say(x, getpid());
		running_wait(x);
		_exit(0);
	}
	if (!stays)
		return 0;
	running_wait(x);
	wait(NULL);
	return 0;
}

static void let_it_move(void)
{
	running_go(&app);
	running_hear(&app);
	running_end(root);
}

static void let_it_fork(void)
{
	running_go(&app);
	running_hear(&app);
}

static void one_that_moves_on_to_its_child_is_told(void **state)
{
	const Assay__Mi *m;

	root = running_start(&app, move_on, NULL);
	running_hear(&app);
	node_between = let_it_move;
	m = node();
	node_between = NULL;
	assert_int_equal(m->n_processes, 0);
	assert_all(m, PARTIAL);
	/* At the next node the child is a process as any other. */
	m = node();
	assert_int_equal(m->n_processes, 1);
	assert_all(m, COMPLETE);
	running_go(&app);
}

/* The control: the same child, and its parent stays. */
static void one_that_makes_a_child_and_stays_is_whole(void **state)
{
	const Assay__Mi *m;

	root = running_start(&app, move_on, &app);
	running_hear(&app);
	node_between = let_it_fork;
	m = node();
	node_between = NULL;
	assert_int_equal(m->n_processes, 1);
	assert_all(m, COMPLETE);
	assert_int_equal(node()->n_processes, 2);
	running_go(&app);
	running_go(&app);
	running_end(root);
}

/* The first thread ends at the word, and the process goes on in another. */
static void *second_thread(void *arg)
{
	struct running *x = arg;

	running_say(x, 0);
	running_wait(x);
	exit(0);
}

static int left_to_another_thread(struct running *x, void *arg)
{
	pthread_t thread;

	running_say(x, 0);
	running_wait(x);
	if (pthread_create(&thread, NULL, second_thread, x) != 0)
		return 1;
	pthread_exit(NULL);
}

static void let_the_first_thread_end(void)
{
	char path[48], text[1024], state = 'R';

	snprintf(path, sizeof(path), "/proc/%d/stat", root);
	running_go(&app);
	running_hear(&app);
	while (state != 'Z') {
		FILE *f = fopen(path, "re");
		const char *name;

		assert_non_null(f);
		assert_non_null(fgets(text, sizeof(text), f));
		fclose(f);
		name = strrchr(text, ')');
		assert_non_null(name);
		state = name[2];
	}
}

static void one_left_to_another_thread_is_told(void **state)
{
	const Assay__Mi *m;

	root = running_start(&app, left_to_another_thread, NULL);
	running_hear(&app);
	node_between = let_the_first_thread_end;
	m = node();
	node_between = NULL;
	assert_all(m, PARTIAL);
	/* From the next node on it is looked at by a thread that lives. */
	m = node();
	assert_int_equal(m->n_processes, 1);
	assert_int_equal(m->processes[0]->pid, root);
	assert_true(m->code->processes[0]->n_mappings > 0);
	assert_all(m, COMPLETE);
	running_go(&app);
	running_end(root);
}

/* Threads that begin and end all the time: none of them is in namespaces of its own. */
static void *short_lived(void *arg)
{
	return arg;
}

static int makes_threads(struct running *x, void *arg)
{
	running_say(x, 0);
	while (getppid() != 1) {
		pthread_t threads[8];
		size_t n = 0;

		while (n < 8 && pthread_create(&threads[n], NULL, short_lived, NULL) == 0)
			n++;
		while (n > 0)
			pthread_join(threads[--n], NULL);
	}
	return 0;
}

static void threads_that_end_have_nothing_apart(void **state)
{
	root = running_start(&app, makes_threads, NULL);
	running_hear(&app);
	for (int i = 0; i < 40; i++) {
		const Assay__Mi *m = node();

		assert_int_equal(m->n_processes, 1);
		assert_int_equal(m->processes[0]->n_threads_apart, 0);
		assert_int_equal(m->n_namespaces, 1);
	}
	assert_int_equal(kill(root, SIGKILL), 0);
	assert_int_equal(waitpid(root, NULL, 0), root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_that_ends_leaves_the_rest_whole),
		TEST(one_that_moves_on_to_its_child_is_told),
		TEST(one_that_makes_a_child_and_stays_is_whole),
		TEST(one_left_to_another_thread_is_told),
		TEST(threads_that_end_have_nothing_apart),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
