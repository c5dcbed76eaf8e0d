/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

/* perf tells of the whole machine's mappings; here they find their application. */

#define PIDS_MAX (4 * 1024 * 1024) /* PID_MAX_LIMIT of the kernel */
/* In slot_of, beside the slot: it has ended. */
#define GONE 0x80
_Static_assert(FOLLOW_SLOTS < GONE, "a slot and its mark are one byte");

static struct follow_hook *hook_row(struct follow *f)
{
	size_t i = 0;

	while (follow_programs[i].place != FOLLOW_PLACE_PERF)
		i++;
	return &f->hooks[i];
}

int follow_maps_open(struct follow *f, size_t ring_bytes)
{
	struct follow_hook *h = hook_row(f);
	int r;

	f->slot_of = calloc(PIDS_MAX, 1); /* of which only the pages in use exist */
	if (!f->slot_of)
		return -ENOMEM;
	r = exec_maps_open(ring_bytes, f->code_at_once, &f->exec_maps);
	if (r == -ENOMEM)
		return r;
	h->attached = r == 0;
	h->loaded_boottime_ns = f->since_boottime_ns;
	h->why_not[0] = '\0';
	if (r < 0)
		snprintf(h->why_not, sizeof(h->why_not), "perf_event_open: %s", strerror(-r));
	return 0;
}

void follow_maps_close(struct follow *f)
{
	exec_maps_close(f->exec_maps);
	free(f->slot_of);
	free(f->gone);
}

void follow_maps_add(struct follow *f, uint32_t slot, uint32_t tgid)
{
	if (tgid < PIDS_MAX)
		f->slot_of[tgid] = (uint8_t)(slot + 1);
}

static int note_gone(struct follow *f, uint32_t tgid)
{
	if (f->n_gone == f->room_gone) {
		size_t room = f->room_gone ? 2 * f->room_gone : 64;
		uint32_t *grown = realloc(f->gone, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->gone = grown;
		f->room_gone = room;
	}
	f->gone[f->n_gone++] = tgid;
	if (tgid < PIDS_MAX && f->slot_of[tgid])
		f->slot_of[tgid] |= GONE;
	return 0;
}

int follow_maps_note(struct follow *f, const struct follow_record *record)
{
	switch (record->kind) {
	case FOLLOW_FORK:
	case FOLLOW_ENTER:
	case FOLLOW_EXEC:
		follow_maps_add(f, record->slot, record->pid);
		return 0;
	case FOLLOW_EXIT:
		return note_gone(f, record->pid);
	default:
		return 0;
	}
}

void follow_maps_forget(struct follow *f, uint32_t slot)
{
	const int values[] = { (int)slot + 1, ((int)slot + 1) | GONE };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		uint8_t *at = f->slot_of, *end = f->slot_of + PIDS_MAX;

		while ((at = memchr(at, values[i], (size_t)(end - at))))
			*at = 0;
	}
}

/*
 * The process may have had its record of fork dropped; the kernel's table knows it then, as
 * long as it lives. If not, that record's loss is what tells of this one's.
 */
static bool find_slot(struct follow *f, uint32_t tgid, uint32_t *ret)
{
	struct follow_member m;

	if (tgid < PIDS_MAX && f->slot_of[tgid]) {
		*ret = (f->slot_of[tgid] & ~(unsigned int)GONE) - 1U;
		return true;
	}
	if (!f->has_dropped ||
	    bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.members), &tgid, &m) < 0)
		return false;
	follow_maps_add(f, m.slot, tgid);
	*ret = m.slot;
	return true;
}

static uint32_t kind_of(const struct exec_map *map)
{
	if (map->prot & PROT_WRITE)
		return FOLLOW_WX_MEMORY;
	/* The kernel's own page; memory that a program names so has "[anon:" before it. */
	if (map->inode == 0 && strcmp(map->name, "[vdso]") != 0)
		return FOLLOW_CODE_ANONYMOUS;
	return FOLLOW_CODE_MAPPED;
}

/* What was measured and is mapped, as at every start, is counted and not told of. */
static bool is_measured(struct follow *f, uint32_t slot, const struct exec_map *map)
{
	struct follow_file file = { map->device, map->inode };
	struct follow_watched w;

	return bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.files), &file, &w) == 0 &&
	       w.slots & 1ULL << slot;
}

static void on_map(void *arg, const struct exec_map *map)
{
	struct follow *f = arg;
	struct follow_record record = { 0 };
	uint32_t slot, kind;

	if (!find_slot(f, map->pid, &slot) || slot >= FOLLOW_SLOTS || !f->slots[slot].used)
		return;
	f->maps_followed++;
	kind = kind_of(map);
	f->slots[slot].maps[kind - FOLLOW_BPF_KINDS]++;
	if (kind == FOLLOW_CODE_MAPPED && (map->inode == 0 || is_measured(f, slot, map)))
		return;
	record.boottime_ns = map->boottime_ns;
	record.kind = kind;
	record.slot = slot;
	record.pid = record.actor = map->pid;
	record.flags = map->prot;
	record.address = map->address;
	record.length = map->length;
	record.device = map->device;
	record.inode = map->inode;
	snprintf(record.text, sizeof(record.text), "%s", map->name);
	follow_hand_out(f, &record);
}

/*
 * A process is known by a record that was in our ring before its first mapping was in perf's. So:
 * mark perf's, drain ours, read perf's up to the mark. Who ended has mappings behind the mark, maybe;
 * he is forgotten when the next drain, whose mark is behind them, has read them.
 */
int follow_maps_drain(struct follow *f)
{
	size_t before = f->n_gone;
	int r;

	if (f->exec_maps)
		exec_maps_mark(f->exec_maps);
	r = follow_ring_drain(f);
	if (r < 0)
		return r;
	/* A bad record is counted there, and reading goes on behind it. */
	if (f->exec_maps)
		(void)!exec_maps_drain(f->exec_maps, on_map, f);
	for (size_t i = 0; i < before; i++) {
		/* Without the mark: another process has the number since. */
		if (f->gone[i] < PIDS_MAX && f->slot_of[f->gone[i]] & GONE)
			f->slot_of[f->gone[i]] = 0;
	}
	f->n_gone -= before;
	if (before > 0 && f->n_gone > 0)
		memmove(f->gone, f->gone + before, f->n_gone * sizeof(*f->gone));
	return 0;
}
