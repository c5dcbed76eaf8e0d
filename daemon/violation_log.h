/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_VIOLATION_LOG_H
#define ASSAY_DAEMON_VIOLATION_LOG_H

#include "application.h"
#include "violation.h"

struct follow_record;

/*
 * The first violation of each kind in a run goes into the chip's runtime register at once, ahead of
 * the round that would report it. Where the chip has none, MI alone tells.
 */
void violation_noticed(struct application *a, enum violation_kind kind, const char *detail);

/* Looks for one in a record of the kernel, and in MI that was just collected. */
void violation_in_record(struct application *a, const struct follow_record *record);
void violation_in_mi(struct application *a, const Assay__Mi *mi);

#endif
