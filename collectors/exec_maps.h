/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_EXEC_MAPS_H
#define ASSAY_COLLECTORS_EXEC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

/*
 * Every new or changed executable mapping on the machine, as perf records it (PERF_RECORD_MMAP2:
 * mmap, mprotect, shmat, exec), from a counter that counts nothing. mremap is not among them. The
 * file is named by device and inode, which lead to its digest; a build id, which perf offers
 * instead, is only what the file says of itself.
 */
struct exec_maps;

struct exec_map {
	uint32_t pid; /* thread group */
	uint32_t prot; /* PROT_ bits */
	uint64_t address, length;
	uint64_t boottime_ns;
	uint64_t device, inode; /* 0: of no file. Major << 20 | minor */
	const char *name; /* of the file or of what the kernel put there; lent for the call */
};

/*
 * One ring a CPU, of that many bytes: a power of two, of pages; 0: the default. Every program that
 * starts on the machine leaves records here, so whoever waits for events_fd is woken for others' too:
 * at each one where at_once is set, and otherwise each time a quarter of a ring has come in.
 */
MUST_CHECK int exec_maps_open(size_t ring_bytes, bool at_once, struct exec_maps **ret);
void exec_maps_close(struct exec_maps *m);

/* Readable when there are records: see exec_maps_open. */
int exec_maps_events_fd(const struct exec_maps *m);

/*
 * Notes how far the rings are filled; drain then takes what there was. In between the
 * caller learns who those processes are.
 */
void exec_maps_mark(struct exec_maps *m);
/* -EBADMSG: a record that perf does not make; what stood behind it in that ring is lost. */
MUST_CHECK int exec_maps_drain(struct exec_maps *m,
			       void (*on_map)(void *arg, const struct exec_map *map), void *arg);

/* Mappings handed out so far. */
uint64_t exec_maps_records(const struct exec_maps *m);

struct exec_maps_account {
	uint64_t records; /* handed out */
	uint64_t lost;	  /* by the kernel, for want of room */
	uint64_t unreadable;
	unsigned int cpus; /* watched */
	/* CPUs that came online after us: what ran there before they were watched was not seen. */
	uint64_t cpus_late;
};
void exec_maps_account(struct exec_maps *m, struct exec_maps_account *ret);

#endif
