/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_FOLLOW_H
#define ASSAY_COLLECTORS_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include "bpf/follow.h"
#include "bytes.h"
#include "collectors/exec_maps.h"

/*
 * The eBPF side of observing applications, one for all of them: which processes
 * belong to which application, what they and others do that a measurement must not miss, their
 * traffic, and the guard that keeps them from the chip.
 *
 * Counters in the kernel are what verdicts rest on; the ring carries detail only.
 * One thread uses a struct follow, and nothing here blocks.
 */
struct follow;

struct follow_options {
	size_t ring_bytes;	  /* a power of two and a multiple of the page size; 0: 512 KiB */
	size_t perf_ring_bytes;	  /* of each CPU, the same way; 0: 256 KiB */
	uint64_t now_boottime_ns; /* kept as the time since when the hooks are attached */
	bool full;		  /* hooks: full: rare system calls too, see follow_syscalls.bpf.h */
	/*
	 * New executable memory makes events_fd readable at once. Otherwise it is read with the next
	 * drain, or when there is much of it: nobody on the machine starts a program without waking
	 * us where this is set.
	 */
	bool code_at_once;
};

/*
 * Loads and attaches what this kernel has. A hook that is absent is recorded
 * (follow_hook), not an error. -EPERM, -EOPNOTSUPP and others: eBPF cannot be used at all,
 * and ret_why says so in words; struct target then carries those words.
 */
MUST_CHECK int follow_open(const struct follow_options *options, struct follow **ret, char *ret_why,
			   size_t size);

/* Detaches everything. Accepts NULL. */
void follow_close(struct follow *f);

/* A slot for one application. -ENOSPC: FOLLOW_SLOTS are taken. target_new does this. */
MUST_CHECK int follow_slot_new(struct follow *f, uint32_t *ret_slot);

/* Forgets the slot's processes, detaches its cgroup programs and counts from 0 for the next. */
void follow_slot_free(struct follow *f, uint32_t slot);

/* Forgets the slot's processes, for a new run of the application; counters go on. */
void follow_slot_restart(struct follow *f, uint32_t slot);

/*
 * From here on the process (thread group id) and what it forks belong to the slot. To be called
 * before it executes the application. -ENOSPC: too many processes.
 */
MUST_CHECK int follow_add_root(struct follow *f, uint32_t slot, pid_t pid);

/*
 * Counts the traffic of the cgroup, guards devices from it, and takes what enters it into the
 * slot. target_new does this. cgroup_fd is needed only during the call. -EBUSY: the slot has one.
 */
MUST_CHECK int follow_attach_cgroup(struct follow *f, uint32_t slot, int cgroup_fd,
				    uint64_t cgroup_id);

/* True if the process belongs to the slot. */
bool follow_has(struct follow *f, uint32_t slot, pid_t pid);

/*
 * Thread group ids of the slot, in no order, for at most max; returns their
 * number (past max: all the same, so the caller sees that room was short), or a negative errno.
 */
MUST_CHECK ssize_t follow_members(struct follow *f, uint32_t slot, pid_t *ret, size_t max);

/*
 * A number that is another one when the slot's processes may have changed since.
 * Costs nothing to ask.
 */
uint64_t follow_changes(const struct follow *f, uint32_t slot);

/* Readable when records wait: then call follow_drain. For a persistent EV_READ. */
int follow_events_fd(const struct follow *f);

/*
 * Who wants to see each record as it is drained (time nodes `on: event`); one at a
 * time, NULL for none. Must not call back into follow. Where record is lent for the call.
 */
void follow_listen(struct follow *f,
		   void (*on_record)(void *arg, const struct follow_record *record), void *arg);

/*
 * Takes all waiting records: each goes to the listener and, for the kernel
 * collector, into its slot's window. The collector drains too, with the same listener.
 * -EBADMSG: a record that the kernel side does not make.
 */
MUST_CHECK int follow_drain(struct follow *f);

/* "exec", "fork" ...: the names in KernelEvent.kind and EventCounter.kind. */
const char *follow_kind_name(uint32_t kind);

/* Most records kept for a slot between two time nodes; more are counted. */
#define FOLLOW_WINDOW_MAX 256

/* Detail since follow_window_reset, lent until the next drain, reset or free of the slot. */
struct follow_window {
	const struct follow_record *records;
	size_t n;
	uint64_t uncounted; /* further ones, in counters only */
};
void follow_window(const struct follow *f, uint32_t slot, struct follow_window *ret);
void follow_window_reset(struct follow *f, uint32_t slot);

/*
 * The environment that the process was executed with, or that whoever forked it was: the block that
 * exec laid out, whatever the program wrote over it since. -ENOENT: that record was not
 * seen. start_boottime_ns tells processes with the same pid apart. *ret_whole is false where
 * it is longer than FOLLOW_ENVIRONMENT_MAX. Lent until the next drain.
 */
MUST_CHECK int follow_environment(const struct follow *f, uint32_t slot, pid_t pid,
				  uint64_t start_boottime_ns, struct view *ret, bool *ret_whole);

/* Totals of the slot since follow_slot_new. */
MUST_CHECK int follow_counts(const struct follow *f, uint32_t slot, struct follow_counts *ret);
MUST_CHECK int follow_traffic(const struct follow *f, uint32_t slot, struct follow_traffic *ret);

/* The account of loss, over all slots, since the hooks were attached. */
struct follow_loss_account {
	uint64_t assigned, delivered;
	uint64_t dropped[FOLLOW_LOSSES];
	uint64_t dropped_total;	   /* sum of the above */
	uint64_t recursion_misses; /* programs that did not run; they have no sequence number */
	uint64_t checks[FOLLOW_ACCESSES]; /* access checks whose target is not known */
	uint64_t own[FOLLOW_ACCESSES];	  /* access to assayd's own processes */
	uint64_t bpf; /* programs and links others gave the kernel; counted with hooks: full */
	struct exec_maps_account maps; /* of perf's rings; all 0 where that hook is not there */
	uint64_t hooks_since_boottime_ns;
	bool settled; /* assigned == delivered + dropped_total was seen to hold */
};

/*
 * Drains and settles the account: everything that had its sequence number when
 * it was read is either delivered or dropped. Gives up when programs in the
 * kernel stay half-way for long, and leaves settled false then.
 */
MUST_CHECK int follow_account(struct follow *f, struct follow_loss_account *ret);

/* "ring_full", "map_full". */
const char *follow_loss_name(uint32_t loss);

/* A place in the kernel where a program is, or could not be put. Lent for f's life. */
struct follow_hook {
	const char *name; /* "sched_process_exec" ... */
	bool attached;
	bool wanted; /* false: of hooks: full, or another one makes it needless */
	char why_not[128];
	uint8_t tag[8]; /* of the program, from the kernel */
	uint32_t program_id, link_id;
	uint64_t loaded_boottime_ns; /* the program; by the kernel's clock */
	uint64_t recursion_misses;   /* of the program, with its first hook */
};
size_t follow_hook_count(const struct follow *f);
/* NULL past the last. Its counter of missed runs is as of the last follow_account. */
const struct follow_hook *follow_hook(const struct follow *f, size_t i);

/* Programs that are no longer attached to the slot's cgroup, although we attached them. */
size_t follow_hooks_lost(const struct follow *f, uint32_t slot);

/* True if hooks: full was asked for. */
bool follow_is_full(const struct follow *f);
/* True if the kernel says that the counters' map is frozen. */
bool follow_counters_frozen(const struct follow *f);
/* Number, in this kernel, of the types of our programs. */
uint32_t follow_btf_id(const struct follow *f);

/* Hooks at the way out of kernel functions, on kernels that let programs into those. */
#define FOLLOW_ACCESS_CHECK	     "security_ptrace_access_check"
#define FOLLOW_CREDENTIALS_COMMITTED "commit_creds"

/* The hook of that name, NULL: there is none, or it is not wanted here. */
const struct follow_hook *follow_hook_named(const struct follow *f, const char *name);

/* "mem", "ptrace" ...: the names behind "foreign_" in EventCounter.kind. */
const char *follow_access_name(uint32_t access);
/* "deleted", "memfd" ...: the names behind "exec_" in EventCounter.kind, and in KernelEvent.notes. */
const char *follow_exec_name(uint32_t flag);

/* A process of assayd itself: who reaches it is counted (follow_loss_account.own). */
MUST_CHECK int follow_add_own(struct follow *f, pid_t pid);

/* Whose files they are. Each set of a slot is given whole. */
enum follow_watch_set {
	FOLLOW_WATCH_MEASURED, /* what static measurement reads */
	FOLLOW_WATCH_MAPPED,   /* what is mapped as code */
	FOLLOW_WATCH_SETS,
};

/*
 * From here on changes of these files count as FOLLOW_FILE_CHANGED of the slot, and those of the
 * set's earlier ones that are not among them no longer do. They are known by what the
 * kernel has as device and inode; on overlayfs and btrfs stat tells others, and hooks are blind to
 * those. files is lent for the call. -ENOSPC: some are not watched, see follow_unwatched.
 */
MUST_CHECK int follow_watch(struct follow *f, uint32_t slot, enum follow_watch_set set,
			    const struct follow_file *files, size_t n);

/* Files of the slot that are watched, and those that there was no room for. */
size_t follow_watched(const struct follow *f, uint32_t slot);
size_t follow_unwatched(const struct follow *f, uint32_t slot);

/*
 * A number that is another one when the file may have changed since, as long as somebody has it
 * watched: content that was hashed after asking is still the same. Between two stores to a
 * page that is mapped shared and dirty all along it stays. -ENOENT: not watched. -EOPNOTSUPP: this
 * kernel has no hooks that would tell.
 */
MUST_CHECK int follow_file_changes(const struct follow *f, const struct follow_file *file,
				   uint64_t *ret);

/* What stat tells of a file as key of a watched one. */
static inline struct follow_file follow_file_of(uint64_t st_dev, uint64_t st_ino)
{
	return (struct follow_file){ (uint64_t)major(st_dev) << 20 | minor(st_dev), st_ino };
}

/* Devices of chips that exist here and are denied. For the report; lent for f's life. */
size_t follow_denied_devices(const struct follow *f, const struct follow_device **ret);

#endif
