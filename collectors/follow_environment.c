/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

#define BUCKETS 1024

/* What one exec was given; processes forked since share it. It may hold secrets: wiped at its end.
 */
struct block {
	size_t shared; /* by how many */
	bool whole;
	size_t len;
	uint8_t data[];
};

struct entry {
	struct entry *next;
	uint32_t pid, slot;
	uint64_t boottime_ns; /* of the record: the process had begun by then */
	struct block *block;
};

struct environments {
	struct entry *buckets[BUCKETS];
};

static void block_release(struct block *b)
{
	if (!b || --b->shared > 0)
		return;
	explicit_bzero(b->data, b->len);
	free(b);
}

int environments_new(struct environments **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

/* Ends the entries of the bucket that match; slot or pid may be "any". */
static void drop(struct entry **at, bool any_pid, uint32_t pid, bool any_slot, uint32_t slot)
{
	while (*at) {
		struct entry *e = *at;

		if ((!any_pid && e->pid != pid) || (!any_slot && e->slot != slot)) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		block_release(e->block);
		free(e);
	}
}

void environments_forget(struct environments *e, uint32_t slot)
{
	for (size_t i = 0; e && i < BUCKETS; i++)
		drop(&e->buckets[i], true, 0, false, slot);
}

void environments_free(struct environments *e)
{
	for (size_t i = 0; e && i < BUCKETS; i++)
		drop(&e->buckets[i], true, 0, true, 0);
	free(e);
}

static struct entry *find(const struct environments *e, uint32_t pid)
{
	struct entry *at = e->buckets[pid % BUCKETS];

	while (at && at->pid != pid)
		at = at->next;
	return at;
}

/* Takes over the block; NULL stands for an environment that is not known. */
static int put(struct environments *e, const struct follow_record *record, struct block *block)
{
	struct entry **bucket = &e->buckets[record->pid % BUCKETS], *one;

	drop(bucket, false, record->pid, true, 0);
	if (!block)
		return 0;
	one = malloc(sizeof(*one));
	if (!one) {
		block_release(block);
		return -ENOMEM;
	}
	*one = (struct entry){ *bucket, record->pid, record->slot, record->boottime_ns, block };
	*bucket = one;
	return 0;
}

static int note_exec(struct environments *e, const struct follow_record *record)
{
	struct block *block = NULL;

	if (record->extra > 0 || record->value == 0) {
		block = malloc(sizeof(*block) + record->extra);
		if (!block)
			return -ENOMEM;
		block->shared = 1;
		block->whole = record->extra == record->value;
		block->len = record->extra;
		memcpy(block->data, record + 1, record->extra);
	}
	return put(e, record, block);
}

static int note_fork(struct environments *e, const struct follow_record *record)
{
	struct entry *parent = find(e, record->actor);
	struct block *block = parent ? parent->block : NULL;

	if (block)
		block->shared++;
	return put(e, record, block);
}

static int note_gone(struct environments *e, const struct follow_record *record)
{
	return put(e, record, NULL);
}

static int (*const notes[FOLLOW_KINDS])(struct environments *e,
					const struct follow_record *record) = {
	[FOLLOW_EXEC] = note_exec,
	[FOLLOW_FORK] = note_fork,
	[FOLLOW_EXIT] = note_gone,
	[FOLLOW_ENTER] = note_gone, /* what it was executed with was not seen */
};

int environments_note(struct environments *e, const struct follow_record *record)
{
	return notes[record->kind] ? notes[record->kind](e, record) : 0;
}

int follow_environment(const struct follow *f, uint32_t slot, pid_t pid, uint64_t start_boottime_ns,
		       struct view *ret, bool *ret_whole)
{
	const struct entry *one = find(f->environments, (uint32_t)pid);

	/* An entry from before it began is of an earlier process, whose end was lost. */
	if (!one || one->slot != slot || one->boottime_ns < start_boottime_ns)
		return -ENOENT;
	*ret = view_of(one->block->data, one->block->len);
	*ret_whole = one->block->whole;
	return 0;
}
