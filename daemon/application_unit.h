/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_APPLICATION_UNIT_H
#define ASSAY_DAEMON_APPLICATION_UNIT_H

#include "application.h"

/*
 * A run of an application that systemd starts (`unit:`). Its files are measured first. A unit that
 * gets its secret by LoadCredential= waits for that: what asks is already in the unit's cgroup and
 * has executed nothing of it yet, so that it is followed from its first instruction. Any other is
 * followed as soon as its cgroup is seen.
 */

/* The static measurement passed, or there is none: from here on it is looked for. */
void application_unit_begin(struct application *a);

/*
 * systemd (pid) loads a credential for the unit. 0: it is the unit's, as measured, and followed;
 * -EAGAIN: its files are measured first (again); -EACCES: pid is not in the unit's cgroup; others.
 */
MUST_CHECK int application_unit_enter(struct application *a, pid_t pid);

/*
 * True once its main process has ended: the unit is on its way down, and what of it is still there
 * is not measured as if it ran.
 */
bool application_unit_ending(const struct application *a);

/* Of a run that is over. */
void application_unit_clear(struct application *a);

/* Its name without ".service", copied to ret; of an application that is no unit its own name. */
const char *application_unit_name(const struct application *a, char ret[APPLICATION_NAME_MAX + 1]);

/* True if something of the unit runs, beside what systemd has waiting in its place. */
bool application_unit_runs(const char *unit);

#endif
