/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/follow.h"

#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

#define BATCH 512

CLEANUP_FUNCTION(struct follow *, follow_close)

static size_t counts_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (FOLLOW_SLOTS * sizeof(struct follow_counts) + page - 1) / page * page;
}

/* As the kernel tells, not as we remember. */
static bool is_frozen(int map_fd)
{
	CLEANUP(cleanup_file) FILE *info = NULL;
	unsigned int frozen = 0;
	char path[64], line[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map_fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info)) {
		if (sscanf(line, "frozen: %u", &frozen) == 1)
			break;
	}
	return frozen == 1;
}

/*
 * The counters are mapped for reading, so looking at them costs no system call, and then
 * frozen: nobody in user space can set them back.
 */
static int map_counts(struct follow *f)
{
	int fd = bpf_map__fd(f->skel->maps.counts), r;
	void *at;

	at = mmap(NULL, counts_size(), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return neg_errno();
	f->counts = at;
	r = bpf_map_freeze(fd);
	if (r == 0)
		r = bpf_map_freeze(bpf_map__fd(f->skel->maps.ledger));
	if (r == 0)
		f->frozen = is_frozen(fd);
	return r;
}

static int deny_devices(struct follow *f)
{
	int fd = bpf_map__fd(f->skel->maps.denied), r;
	uint32_t yes = 1;

	f->n_devices = follow_devices_find(f->devices, ARRAY_LEN(f->devices));
	for (size_t i = 0; i < f->n_devices; i++) {
		r = bpf_map_update_elem(fd, &f->devices[i], &yes, BPF_ANY);
		if (r < 0)
			return r;
	}
	return bpf_map_freeze(fd);
}

int follow_open(const struct follow_options *options, struct follow **ret, char *ret_why,
		size_t size)
{
	CLEANUP(follow_closep) struct follow *f = NULL;
	int r;

	f = calloc(1, sizeof(*f));
	if (!f) {
		snprintf(ret_why, size, "out of memory");
		return -ENOMEM;
	}
	f->since_boottime_ns = options->now_boottime_ns;
	f->full = options->full;
	f->code_at_once = options->code_at_once;
	f->tracefs_fd = -1;
	f->events_fd = f->hold_fd = -1;
	r = follow_hooks_load(f, options->ring_bytes, ret_why, size);
	if (r < 0)
		return r;
	r = follow_ring_open(f, options->perf_ring_bytes);
	if (r == 0)
		r = map_counts(f);
	if (r == 0)
		r = deny_devices(f);
	if (r == 0)
		r = follow_hooks_attach(f);
	if (r < 0) {
		snprintf(ret_why, size, "eBPF maps could not be set up: %s", strerror(-r));
		return r;
	}
	*ret = TAKE(f);
	return 0;
}

void follow_close(struct follow *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < FOLLOW_SLOTS; i++)
		follow_slot_free(f, i);
	for (size_t i = 0; i < ARRAY_LEN(f->links); i++)
		bpf_link__destroy(f->links[i]);
	if (f->counts)
		munmap((void *)f->counts, counts_size());
	follow_ring_close(f);
	if (f->tracefs_fd >= 0)
		close(f->tracefs_fd);
	follow_bpf__destroy(f->skel);
	free(f);
}

int follow_slot_new(struct follow *f, uint32_t *ret_slot)
{
	for (uint32_t i = 0; i < FOLLOW_SLOTS; i++) {
		struct follow_slot *s = &f->slots[i];

		if (s->used)
			continue;
		s->window = malloc(FOLLOW_WINDOW_MAX * sizeof(*s->window));
		if (!s->window)
			return -ENOMEM;
		s->used = true;
		s->base = f->counts[i];
		*ret_slot = i;
		return 0;
	}
	return -ENOSPC;
}

void follow_slot_free(struct follow *f, uint32_t slot)
{
	struct follow_slot *s = &f->slots[slot];

	if (!s->used)
		return;
	if (s->cgroup)
		bpf_map_delete_elem(bpf_map__fd(f->skel->maps.cgroups), &s->cgroup);
	for (size_t i = 0; i < ARRAY_LEN(s->links); i++)
		bpf_link__destroy(s->links[i]);
	follow_slot_restart(f, slot);
	follow_watch_done(f, slot);
	free(s->window);
	*s = (struct follow_slot){ 0 };
}

/* Calls on_member for each process of the slot. */
static int each_member(const struct follow *f, uint32_t slot,
		       void (*on_member)(void *arg, uint32_t tgid), void *arg)
{
	int fd = bpf_map__fd(f->skel->maps.members), r;
	struct follow_member values[BATCH];
	uint32_t keys[BATCH], at = 0, count;
	bool first = true;

	do {
		count = BATCH;
		r = bpf_map_lookup_batch(fd, first ? NULL : &at, &at, keys, values, &count, NULL);
		if (r < 0 && r != -ENOENT)
			return r;
		for (uint32_t i = 0; i < count; i++) {
			if (values[i].slot == slot)
				on_member(arg, keys[i]);
		}
		first = false;
	} while (r == 0);
	return 0;
}

static void forget(void *arg, uint32_t tgid)
{
	const struct follow *f = arg;

	bpf_map_delete_elem(bpf_map__fd(f->skel->maps.members), &tgid);
}

void follow_slot_restart(struct follow *f, uint32_t slot)
{
	f->slots[slot].roots++;
	environments_forget(f->environments, slot);
	follow_maps_forget(f, slot);
	/* The kernel can only refuse this for a map that is not there. */
	(void)each_member(f, slot, forget, f);
}

int follow_add_root(struct follow *f, uint32_t slot, pid_t pid)
{
	struct follow_member m = { .slot = slot };
	uint32_t tgid = (uint32_t)pid;
	int r;

	r = bpf_map_update_elem(bpf_map__fd(f->skel->maps.members), &tgid, &m, BPF_ANY);
	f->slots[slot].roots++;
	follow_maps_add(f, slot, tgid);
	return r == -E2BIG ? -ENOSPC : r;
}

uint64_t follow_changes(const struct follow *f, uint32_t slot)
{
	const __u64 *kinds = f->counts[slot].kinds;

	return f->slots[slot].roots + kinds[FOLLOW_FORK] + kinds[FOLLOW_ENTER] + kinds[FOLLOW_EXIT];
}

int follow_add_own(struct follow *f, pid_t pid)
{
	uint32_t tgid = (uint32_t)pid, yes = 1;

	return bpf_map_update_elem(bpf_map__fd(f->skel->maps.own), &tgid, &yes, BPF_ANY);
}

int follow_attach_cgroup(struct follow *f, uint32_t slot, int cgroup_fd, uint64_t cgroup_id)
{
	struct follow_member m = { .slot = slot };
	struct follow_slot *s = &f->slots[slot];
	size_t n = 0;
	int r;

	if (s->cgroup)
		return -EBUSY;
	r = bpf_map_update_elem(bpf_map__fd(f->skel->maps.cgroups), &cgroup_id, &m, BPF_ANY);
	if (r < 0)
		return r == -E2BIG ? -ENOSPC : r;
	s->cgroup = cgroup_id;
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		struct bpf_program *program = follow_program_of(f->skel, i);
		struct bpf_link *link;

		if (follow_programs[i].place != FOLLOW_PLACE_CGROUP || bpf_program__fd(program) < 0)
			continue;
		link = bpf_program__attach_cgroup(program, cgroup_fd);
		follow_hook_note(&f->hooks[i], program, link, link ? 0 : neg_errno());
		s->links[n++] = link;
	}
	return 0;
}

bool follow_has(struct follow *f, uint32_t slot, pid_t pid)
{
	uint32_t tgid = (uint32_t)pid;
	struct follow_member m;

	return bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.members), &tgid, &m) == 0 &&
	       m.slot == slot;
}

struct member_list {
	pid_t *pids;
	size_t n, max;
};

static void list_member(void *arg, uint32_t tgid)
{
	struct member_list *list = arg;

	if (list->n < list->max)
		list->pids[list->n] = (pid_t)tgid;
	list->n++;
}

ssize_t follow_members(struct follow *f, uint32_t slot, pid_t *ret, size_t max)
{
	struct member_list list = { ret, 0, max };
	int r = each_member(f, slot, list_member, &list);

	return r < 0 ? r : (ssize_t)list.n;
}

int follow_counts(const struct follow *f, uint32_t slot, struct follow_counts *ret)
{
	const struct follow_slot *s = &f->slots[slot];
	struct follow_counts now;

	if (!s->used)
		return -EINVAL;
	now = f->counts[slot];
	for (size_t i = 0; i < FOLLOW_KINDS; i++)
		now.kinds[i] -= s->base.kinds[i];
	for (size_t i = 0; i < FOLLOW_ACCESSES; i++)
		now.access[i] -= s->base.access[i];
	for (size_t i = 0; i < FOLLOW_EXEC_FLAGS; i++)
		now.exec[i] -= s->base.exec[i];
	for (size_t i = FOLLOW_BPF_KINDS; i < FOLLOW_KINDS; i++)
		now.kinds[i] = s->maps[i - FOLLOW_BPF_KINDS];
	*ret = now;
	return 0;
}

int follow_traffic(const struct follow *f, uint32_t slot, struct follow_traffic *ret)
{
	const struct follow_slot *s = &f->slots[slot];
	struct follow_traffic sum = { 0 };
	uint64_t key = s->cgroup;
	int r;

	if (!key)
		return -ENOENT;
	r = bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.traffic), &key, f->traffic);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < f->cpus; i++) {
		sum.sent_bytes += f->traffic[i].sent_bytes;
		sum.sent_packets += f->traffic[i].sent_packets;
		sum.received_bytes += f->traffic[i].received_bytes;
		sum.received_packets += f->traffic[i].received_packets;
		sum.devices_denied += f->traffic[i].devices_denied;
	}
	*ret = sum;
	return 0;
}

size_t follow_hook_count(const struct follow *f)
{
	return ARRAY_LEN(f->hooks);
}

const struct follow_hook *follow_hook(const struct follow *f, size_t i)
{
	return i < ARRAY_LEN(f->hooks) ? &f->hooks[i] : NULL;
}

size_t follow_hooks_lost(const struct follow *f, uint32_t slot)
{
	size_t lost = 0;

	for (size_t i = 0; i < FOLLOW_CGROUP_HOOKS; i++) {
		const struct bpf_link *link = f->slots[slot].links[i];
		struct bpf_link_info info = { 0 };
		uint32_t size = sizeof(info);

		/* A link that somebody detached stays, and is of no cgroup. */
		if (link && (bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) < 0 ||
			     info.cgroup.cgroup_id == 0))
			lost++;
	}
	return lost;
}

bool follow_is_full(const struct follow *f)
{
	return f->full;
}

bool follow_counters_frozen(const struct follow *f)
{
	return f->frozen;
}

uint32_t follow_btf_id(const struct follow *f)
{
	return f->btf_id;
}

size_t follow_denied_devices(const struct follow *f, const struct follow_device **ret)
{
	*ret = f->devices;
	return f->n_devices;
}
