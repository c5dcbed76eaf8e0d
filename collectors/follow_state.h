/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_FOLLOW_STATE_H
#define ASSAY_COLLECTORS_FOLLOW_STATE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "collectors/follow.h"
#include "follow.skel.h"

/* Inside follow_*.c only. */

#define FOLLOW_HOOKS	    10
#define FOLLOW_CGROUP_HOOKS 3

struct follow_slot {
	bool used;
	uint64_t cgroup; /* 0: none is attached */
	struct bpf_link *links[FOLLOW_CGROUP_HOOKS];
	struct follow_counts base;    /* found in the frozen counters when the slot was taken */
	struct follow_record *window; /* FOLLOW_WINDOW_MAX */
	size_t n_window;
	uint64_t uncounted;
	uint64_t roots; /* times that user space changed who belongs to it */
};

struct follow {
	struct follow_bpf *skel;
	struct ring_buffer *ring;
	const struct follow_counts *counts; /* the kernel's own, mapped for reading */
	struct follow_slot slots[FOLLOW_SLOTS];
	struct follow_hook hooks[FOLLOW_HOOKS];
	struct bpf_link *links[FOLLOW_HOOKS];
	int programs[FOLLOW_HOOKS]; /* descriptors; negative: not loaded */
	struct environments *environments;
	struct follow_device devices[FOLLOW_DEVICES];
	size_t n_devices;
	uint64_t since_boottime_ns;

	void (*on_record)(void *arg, const struct follow_record *record);
	void *on_record_arg;

	unsigned int cpus;
	struct follow_ledger *ledger;	/* one a CPU, as last read */
	struct follow_traffic *traffic; /* one a CPU, to sum up */
	uint64_t *limit;		/* one a CPU: numbers above it belong to the next account */
	uint64_t delivered, ahead;
	int error; /* first failure in the ring's callback; follow_drain returns it */
};

/* The programs, in the order of the hooks in the report. */
struct follow_program {
	const char *hook;
	const char *name; /* of the function in follow.bpf.c */
	bool of_cgroup;	  /* attached to each application's cgroup, not once */
};
extern const struct follow_program follow_programs[FOLLOW_HOOKS];
struct bpf_program *follow_program_of(const struct follow_bpf *skel, size_t i);

/* follow_hooks.c: loads what this kernel takes, into f->skel; what it does not, goes to f->hooks.
 */
MUST_CHECK int follow_hooks_load(struct follow *f, size_t ring_bytes, char *ret_why, size_t size);
MUST_CHECK int follow_hooks_attach(struct follow *f);
/* Says of a hook what became of attaching it. */
void follow_hook_note(struct follow_hook *h, const struct bpf_program *program, int error);

/* Reads anew how often each program was not run; returns the sum. */
uint64_t follow_hooks_missed(struct follow *f);

/* follow_devices.c: the chip's devices on this machine. */
size_t follow_devices_find(struct follow_device *ret, size_t max);

/*
 * follow_environment.c: what each followed process was executed with, from the records. NULL
 * is accepted by free alone.
 */
struct environments;
MUST_CHECK int environments_new(struct environments **ret);
void environments_free(struct environments *e);
/* Takes in a record with the extra bytes behind it. -ENOMEM. */
MUST_CHECK int environments_note(struct environments *e, const struct follow_record *record);
void environments_forget(struct environments *e, uint32_t slot);

/* follow_ring.c */
MUST_CHECK int follow_ring_open(struct follow *f);
void follow_ring_close(struct follow *f);

#endif
