/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_GUARD_H
#define ASSAY_COLLECTORS_GUARD_H

#include "bpf/guard.h"
#include "collectors/follow.h"
#include "mi.h"

/*
 * Refuses, by BPF LSM, what others would do to assayd, to the files it measured and with the chip
 * (bpf/guard.bpf.c). Where the kernel does not ask BPF programs nothing is refused, and the guard
 * says so: that is no error here. One thread uses a struct guard.
 */
struct guard;

/*
 * Guards parts (bits of enum guard_part): the calling process and those of follow_add_own, the
 * files of follow_watch as they change, the devices of follow_denied_devices. f shares its maps
 * with it, outlives it, and tells of it in MI item 10 (guard_of). Whether anything is guarded
 * guard_active tells. -ENOMEM.
 */
MUST_CHECK int guard_open(struct follow *f, uint32_t parts, struct guard **ret);

/* Ends it: from here on everything is possible again. Accepts NULL. */
void guard_close(struct guard *g);

/* The guard that was opened on f; NULL: none. */
const struct guard *guard_of(const struct follow *f);

uint32_t guard_wanted(const struct guard *g);
/* What is refused indeed: all that is wanted, or nothing. */
uint32_t guard_active(const struct guard *g);
/* Why nothing is, in words with what to do; empty where it is. */
const char *guard_why_not(const struct guard *g);

/*
 * Takes all eBPF maps, programs and links that this process has open under the guard. To be called
 * again when there are more. -ENOSPC: more than GUARD_OBJECTS. A guard that is not active takes
 * none.
 */
MUST_CHECK int guard_claim(struct guard *g);

/* What was refused since guard_open, by enum guard_denial. */
MUST_CHECK int guard_denials(const struct guard *g, struct guard_denied ret[GUARD_DENIALS]);

/*
 * Writes KernelEvents.guard, and how many attempts, looking aside, were refused in all. g may be
 * NULL: then nothing is written, and the count is 0. -ENOMEM, or what reading the counts gave.
 */
MUST_CHECK int guard_write(const struct guard *g, struct mi *mi, Assay__KernelEvents *out,
			   uint64_t *ret_denied);

/* "self", "files", "chip": for one bit. */
const char *guard_part_name(uint32_t part);
/* "access", "look" ...: the names in GuardDenial.kind. */
const char *guard_denial_name(uint32_t kind);

#endif
