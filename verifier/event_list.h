/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVENT_LIST_H
#define ASSAY_VERIFIER_EVENT_LIST_H

#include "eventlog.h"

/*
 * A TD's event log as dstack writes it: a JSON list of {imr, event_type, digest, ...}, where
 * each digest was extended into RTMR imr. The texts in it prove nothing and are not read.
 */

#define EVENT_LIST_MAX (1024 * 1024)

/* True if the bytes may be such a list, and are certainly no log of the TCG's. */
bool event_list_begins(struct view text);

/*
 * Replays. The registers of *ret are numbered as in a CCEL: 1 is RTMR0. -EBADMSG: it is no such
 * list; *ret_why says why, in words that live for ever.
 */
MUST_CHECK int event_list_replay(struct view text, struct eventlog_registers *ret,
				 const char **ret_why);

#endif
