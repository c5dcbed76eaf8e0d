/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_RUNTIME_LOG_H
#define ASSAY_DAEMON_RUNTIME_LOG_H

#include "arena.h"
#include "digest.h"
#include "session.pb-c.h"

/*
 * What was extended into the chip's runtime register since the machine booted, in
 * order. Each entry is written to a file under /run before the chip extends it, so that a
 * killed assayd finds out at its next start what the register should hold.
 *
 * Used from the loop and from the chip thread; locked inside.
 */
struct runtime_log;

/* Entries kept for a verifier that has not acknowledged them; past it the oldest are folded away.
 */
#define RUNTIME_LOG_KEPT_MAX 262144

/*
 * Opens the log in path and compares it with the register's value. A log of an earlier boot is
 * dropped. -EBADE: somebody else extended the register; the log is opened all the same (*ret set)
 * and the verifier will refuse what it says. Other errors: nothing opened.
 */
MUST_CHECK int runtime_log_open(const char *path, unsigned int pcr, const struct digest *reg,
				struct runtime_log **ret);
void runtime_log_free(struct runtime_log *l);

/* Before extending: writes the entry. After: runtime_log_commit, or runtime_log_abort on failure.
 */
MUST_CHECK int runtime_log_prepare(struct runtime_log *l, const struct digest *entry);
MUST_CHECK int runtime_log_commit(struct runtime_log *l, uint64_t *ret_end);
void runtime_log_abort(struct runtime_log *l);

/* Entries extended so far. On the chip thread this is what the register holds. */
uint64_t runtime_log_end(struct runtime_log *l);

/* The verifier has this many entries: older ones need not be sent again. */
void runtime_log_known(struct runtime_log *l, uint64_t count);

/* The entries that the verifier does not have, up to entry `end`, into a message. -ENOMEM. */
MUST_CHECK int runtime_log_message(struct runtime_log *l, uint64_t end, struct arena *arena,
				   Assay__RuntimeLog **ret);

#endif
