/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_BPF_NODES_H
#define ASSAY_TESTS_BPF_NODES_H

#include "collectors/table.h"
#include "tests/bpf/running.h"

/* An application with all collectors but the one of static files, and time nodes on demand. */

#define PAGE 4096

#define COMPLETE ASSAY__COLLECTOR_STATUS__STATE__COMPLETE
#define PARTIAL	 ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
#define FAILED	 ASSAY__COLLECTOR_STATUS__STATE__FAILED

extern struct running app;
extern char directory[64]; /* of this test alone, removed at its end */
extern char log_path[96];  /* in it; two patterns: ERROR|panic, ^start */

int nodes_setup(void **state);
int nodes_teardown(void **state);

/* One time node: scan, collect, and what the verifier gets of it. Good until the next. */
const Assay__Mi *node(void);

/* Done in it once the processes are listed, before anything of them is looked at; NULL: nothing. */
extern void (*node_between)(void);

void assert_state(const Assay__Mi *m, const char *name, Assay__CollectorStatus__State expected);

/* Lets the application end, which must end well. */
void end(pid_t pid);

/* Tells the test it is ready, and stays until told. */
int stay(struct running *x, void *arg);

/* The mapped file of that part of a path; NULL: none. */
const Assay__File *mapped(const Assay__Mi *m, const char *part);

#define TEST(name) cmocka_unit_test_setup_teardown(name, nodes_setup, nodes_teardown)

#endif
