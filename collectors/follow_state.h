/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_FOLLOW_STATE_H
#define ASSAY_COLLECTORS_FOLLOW_STATE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "collectors/exec_maps.h"
#include "collectors/follow.h"
#include "follow.skel.h"

/* Inside follow_*.c only. */

#define FOLLOW_HOOKS	    44
#define FOLLOW_CGROUP_HOOKS 3

/* Files watched for one application, from one source, in order and no file twice. */
struct follow_watch_list {
	struct follow_file *files;
	size_t n;
	size_t left_out; /* for want of room */
};

struct follow_slot {
	bool used;
	uint64_t cgroup; /* 0: none is attached */
	struct bpf_link *links[FOLLOW_CGROUP_HOOKS];
	struct follow_counts base;    /* found in the frozen counters when the slot was taken */
	uint64_t maps[FOLLOW_KINDS - FOLLOW_BPF_KINDS]; /* of perf's records, by kind */
	struct follow_record *window; /* FOLLOW_WINDOW_MAX */
	size_t n_window;
	uint64_t uncounted;
	struct follow_watch_list watched[FOLLOW_WATCH_SETS];
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
	struct exec_maps *exec_maps; /* NULL: the hook perf_mmap2 says why */
	int events_fd;		     /* both rings and hold_fd */
	int hold_fd;		     /* a timer: while it runs a ring that is held wakes nobody */
	bool held_ring, held_maps;   /* BPF's, perf's */
	bool code_at_once;
	/*
	 * By thread group id: its slot and 1. Taken from the records, so that a process that is gone
	 * by now is still known while its mappings are read.
	 */
	uint8_t *slot_of;
	uint32_t *gone; /* ended, and to be forgotten once all of their mappings are read */
	size_t n_gone, room_gone;
	uint64_t maps_followed; /* of perf's records those of our processes */
	bool has_dropped; /* the ring was full at least once */
	bool full;	/* hooks: full */
	bool functions; /* this kernel lets programs into its functions (fexit) */
	int tracefs_fd; /* a mount of our own that is nowhere in the tree; -1: none */
	struct follow_device devices[FOLLOW_DEVICES];
	size_t n_devices;
	uint64_t since_boottime_ns;
	bool frozen;
	uint32_t btf_id;
	struct guard *guard; /* guard.c's; NULL: none was asked for */

	void (*on_record)(void *arg, const struct follow_record *record);
	void *on_record_arg;

	unsigned int cpus;
	struct follow_ledger *ledger;	/* one a CPU, as last read */
	struct follow_traffic *traffic; /* one a CPU, to sum up */
	uint64_t *limit;		/* one a CPU: numbers above it belong to the next account */
	uint64_t delivered, ahead;
	int error; /* first failure in the ring's callback; follow_drain returns it */
};

enum follow_place {
	FOLLOW_PLACE_TRACE,   /* a tracepoint, with the types of the kernel */
	FOLLOW_PLACE_FUNCTION, /* the way out of a kernel function */
	FOLLOW_PLACE_SYSCALL, /* the way out of one system call; several share a program */
	FOLLOW_PLACE_CGROUP,  /* attached to each application's cgroup, not once */
	FOLLOW_PLACE_PERF,    /* no program: perf's own records */
};

/* The programs, in the order of the hooks in the report. */
struct follow_program {
	const char *hook;
	const char *name; /* of the function in follow.bpf.c */
	enum follow_place place;
	bool full;		/* of hooks: full alone */
	const char *only_without; /* a better hook, which makes this one needless */
};
extern const struct follow_program follow_programs[FOLLOW_HOOKS];
struct bpf_program *follow_program_of(const struct follow_bpf *skel, size_t i);

/* follow_hooks.c: loads what this kernel takes, into f->skel; what it does not, goes to f->hooks.
 */
MUST_CHECK int follow_hooks_load(struct follow *f, size_t ring_bytes, char *ret_why, size_t size);
MUST_CHECK int follow_hooks_attach(struct follow *f);
/*
 * Attaches the program at the way out of the system call. -ENOENT: this kernel has no such
 * call. follow_syscalls.c
 */
MUST_CHECK int follow_syscall_attach(struct follow *f, struct bpf_program *program,
				     const char *hook, struct bpf_link **ret);
/* Says of a hook what became of attaching it. */
void follow_hook_note(struct follow_hook *h, const struct bpf_program *program,
		      const struct bpf_link *link, int error);

/* follow_watch.c */
void follow_watch_done(struct follow *f, uint32_t slot);

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

/* follow_maps.c: the executable mappings that perf records. */
MUST_CHECK int follow_maps_open(struct follow *f, size_t ring_bytes);
void follow_maps_close(struct follow *f);
/* A record of the ring, as it is drained. -ENOMEM */
MUST_CHECK int follow_maps_note(struct follow *f, const struct follow_record *record);
void follow_maps_add(struct follow *f, uint32_t slot, uint32_t tgid);
void follow_maps_forget(struct follow *f, uint32_t slot);
MUST_CHECK int follow_maps_drain(struct follow *f);

/* Puts a record into its slot's window and before the listener. follow_ring.c */
void follow_hand_out(struct follow *f, const struct follow_record *record);
/* follow_ring.c */
MUST_CHECK int follow_ring_drain(struct follow *f);
MUST_CHECK int follow_ring_open(struct follow *f, size_t perf_ring_bytes);
void follow_ring_close(struct follow *f);

#endif
