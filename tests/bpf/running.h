/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_BPF_RUNNING_H
#define ASSAY_TESTS_BPF_RUNNING_H

#include <stdbool.h>
#include <sys/types.h>

#include "collectors/follow.h"
#include "target.h"

/*
 * An application for tests of the collectors: a child of the test in a cgroup of
 * its own, followed by eBPF. running_stop ends every process of it and removes the cgroup.
 */
struct running {
	struct follow *follow;
	struct target *target;
	struct target_config config;
	char name[64];
	int base_fd;
	char *base_path;
	int commands; /* to the child: it goes on at the next running_go */
	int answers;  /* from the child: numbers, by running_say */
};

/* True where this machine lets us test at all; says why not. */
bool running_possible(void);

/* Makes target and eBPF side; starts no process. */
void running_prepare(struct running *x, size_t ring_bytes);
void running_prepare_with(struct running *x, const struct follow_options *given);

/* Starts the child, which runs body(x, arg) and ends with what it returns. */
pid_t running_start(struct running *x, int (*body)(struct running *x, void *arg), void *arg);

/* A child that is not of the application; its pid is to be waited for by the test. */
pid_t running_outsider(struct running *x, int (*body)(struct running *x, void *arg), void *arg);

/* Waits for the child, which must end with status 0. */
void running_end(pid_t pid);

void running_stop(struct running *x);

/* In the child: waits for the test. In the test: lets the child go on. */
void running_wait(struct running *x);
void running_go(struct running *x);

/* In the child: hands the test a number. In the test: takes the next. */
void running_say(struct running *x, long number);
long running_hear(struct running *x);

unsigned long long running_now_ns(void);

#endif
