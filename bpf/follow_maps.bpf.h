/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_MAPS_BPF_H
#define ASSAY_BPF_FOLLOW_MAPS_BPF_H

/* The maps, and how an event gets its number and its record. */
#include "bpf/kernel.h"

#include "bpf/follow.h"

/* Set before loading, fixed from then on. */
const volatile __u32 self_tgid; /* of assayd's monitor, which reads /proc all the time */
const volatile __u32 range_count;
const volatile struct follow_range ranges[FOLLOW_RANGES];

/* Raised when a window is taken: each watched file is told of once in a window. Frozen no more than
 * detail is; what counts is in counts. */
__u64 window_number = 1;

/* All preallocated: no allocation that can fail at the wrong moment, no eviction. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_MEMBERS);
	__type(key, __u32);
	__type(value, struct follow_member);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_CGROUPS);
	__type(key, __u64);
	__type(value, struct follow_member);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FOLLOW_SLOTS);
	__type(key, __u32);
	__type(value, struct follow_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct follow_ledger);
} ledger SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} records SEC(".maps");

/* Too large for a program's stack. One a CPU: the kernel does not run a program within itself. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct follow_exec);
} scratch SEC(".maps");

/* Belongs to the cgroup a program is attached to: no look-up for each packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct follow_traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_DEVICES);
	__type(key, struct follow_device);
	__type(value, __u32);
} denied SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_FILES);
	__type(key, struct follow_file);
	__type(value, struct follow_watched);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOW_OWN);
	__type(key, __u32);
	__type(value, __u32);
} own SEC(".maps");

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct follow_ledger *this_ledger(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ledger, &zero);
}

static __always_inline void count(__u32 slot, __u32 kind)
{
	struct follow_counts *c = bpf_map_lookup_elem(&counts, &slot);

	if (c && kind < FOLLOW_KINDS)
		__sync_fetch_and_add(&c->kinds[kind], 1);
}

/*
 * Counts the event and gives it its number; from here on it is either submitted
 * or dropped, and the ledger knows which. Atomic although the ledger is this CPU's own: an
 * interrupt may run one of these programs in the middle of another.
 */
static __always_inline __u64 assign(struct follow_ledger *l, __u32 slot, __u32 kind)
{
	count(slot, kind);
	return FOLLOW_SEQUENCE(bpf_get_smp_processor_id(),
			       __sync_fetch_and_add(&l->assigned, 1) + 1);
}

static __always_inline void fill(struct follow_record *r, __u64 sequence, __u32 slot, __u32 kind)
{
	__builtin_memset(r, 0, sizeof(*r));
	r->sequence = sequence;
	r->boottime_ns = bpf_ktime_get_boot_ns();
	r->kind = kind;
	r->slot = slot;
	r->actor = current_tgid();
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

static __always_inline struct follow_record *begin(struct follow_ledger *l, __u32 slot, __u32 kind)
{
	__u64 sequence = assign(l, slot, kind);
	struct follow_record *r;

	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		__sync_fetch_and_add(&l->dropped[FOLLOW_LOST_RING], 1);
		return NULL;
	}
	fill(r, sequence, slot, kind);
	return r;
}

static __always_inline void submit(struct follow_ledger *l, struct follow_record *r)
{
	bpf_ringbuf_submit(r, 0);
	__sync_fetch_and_add(&l->submitted, 1);
}

#endif
