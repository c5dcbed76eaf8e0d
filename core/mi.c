/* SPDX-License-Identifier: Apache-2.0 */
#include "mi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

CLEANUP_FUNCTION(struct mi *, mi_free)

static int mi_message(struct mi *mi)
{
	mi->msg = MI_MESSAGE(mi, Assay__Mi, assay__mi__init);
	return mi->msg ? 0 : -ENOMEM;
}

int mi_new(struct mi **ret)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	int r;

	mi = calloc(1, sizeof(*mi));
	if (!mi)
		return -ENOMEM;
	r = arena_new(MI_MEMORY_MAX, &mi->arena);
	if (r < 0)
		return r;
	r = mi_message(mi);
	if (r < 0)
		return r;
	*ret = TAKE(mi);
	return 0;
}

void mi_free(struct mi *mi)
{
	if (!mi)
		return;
	arena_free(mi->arena);
	free(mi);
}

int mi_reset(struct mi *mi)
{
	arena_reset(mi->arena);
	mi->index = NULL;
	mi->index_room = mi->indexed = 0;
	mi->received = false;
	return mi_message(mi);
}

int mi_push(struct mi *mi, size_t *n, void *array, void *item)
{
	void ***items = array;

	if (!item)
		return -ENOMEM;
	/* protobuf-c made its arrays just as long as they are: there is no room to grow into. */
	if (mi->received)
		return -EROFS;
	/* Grows at powers of two; the arena keeps the outgrown arrays, half the size in all. */
	if ((*n & (*n - 1)) == 0) {
		size_t room = *n ? 2 * *n : 1;
		void **grown = arena_alloc(mi->arena, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (*n > 0)
			memcpy(grown, *items, *n * sizeof(*grown));
		*items = grown;
	}
	(*items)[(*n)++] = item;
	return 0;
}

/* Length of the UTF-8 sequence at s (RFC 3629), 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t n; *s; s += n) {
		n = utf8_length(s);
		if (n == 0)
			return false;
	}
	return true;
}

int mi_text(struct mi *mi, const char *text, char **ret)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = strlen(text), bad = 0, n, to = 0;
	char *copy;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_length(s + i);
		if (n == 0) {
			bad++;
			n = 1;
		}
	}
	copy = arena_alloc(mi->arena, len + 3 * bad + 1);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < len; i += n) {
		n = utf8_length(s + i);
		if (n == 0) {
			snprintf(copy + to, 5, "\\x%02x", s[i]);
			to += 4;
			n = 1;
		} else {
			memcpy(copy + to, s + i, n);
			to += n;
		}
	}
	copy[to] = '\0';
	*ret = copy;
	return 0;
}

int mi_bytes(struct mi *mi, struct view from, ProtobufCBinaryData *ret)
{
	uint8_t *copy = arena_copy(mi->arena, from.data, from.len);

	if (!copy)
		return -ENOMEM;
	*ret = (ProtobufCBinaryData){ from.len, copy };
	return 0;
}

int mi_printf(struct mi *mi, char **ret, const char *format, ...)
{
	va_list args;
	char *text;
	int n, r;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	r = mi_text(mi, text, ret);
	free(text);
	return r;
}

int mi_status(struct mi *mi, const char *collector, Assay__CollectorStatus__State state,
	      const char *why)
{
	Assay__CollectorStatus *s;
	int r;

	s = MI_MESSAGE(mi, Assay__CollectorStatus, assay__collector_status__init);
	if (!s)
		return -ENOMEM;
	s->state = state;
	r = mi_text(mi, collector, &s->name);
	if (r == 0 && why)
		r = mi_text(mi, why, &s->why);
	if (r < 0)
		return r;
	return mi_push(mi, &mi->msg->n_collectors, &mi->msg->collectors, s);
}

/* FNV-1a. The index only saves time: a crafted path can make it slow, not wrong. */
static size_t file_hash(uint64_t device, uint64_t inode, const char *path)
{
	uint64_t h = 0xcbf29ce484222325 ^ device ^ inode << 17;

	for (const char *s = path; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

/* The place in the index of that file, or the free one where it belongs. */
static uint32_t *file_place(const struct mi *mi, uint64_t device, uint64_t inode, const char *path)
{
	size_t i = file_hash(device, inode, path);

	for (;; i++) {
		uint32_t *place = &mi->index[i & (mi->index_room - 1)];
		const Assay__File *f = *place ? mi->msg->files[*place - 1] : NULL;

		if (!f || (f->inode == inode && f->device == device && strcmp(f->path, path) == 0))
			return place;
	}
}

/* Brings the index up to date, at least half of it free. */
static int index_files(struct mi *mi)
{
	const Assay__Mi *m = mi->msg;
	size_t room = mi->index_room ? mi->index_room : 64;

	while (room / 2 < m->n_files + 1)
		room *= 2;
	if (room != mi->index_room) {
		uint32_t *grown = arena_alloc(mi->arena, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		mi->index = grown;
		mi->index_room = room;
		mi->indexed = 0;
	}
	for (; mi->indexed < m->n_files; mi->indexed++) {
		const Assay__File *f = m->files[mi->indexed];

		*file_place(mi, f->device, f->inode, f->path) = (uint32_t)mi->indexed + 1;
	}
	return 0;
}

int mi_file(struct mi *mi, uint64_t device, uint64_t inode, const char *path, uint32_t *ret_index,
	    Assay__File **ret_file)
{
	Assay__Mi *m = mi->msg;
	Assay__File *f;
	uint32_t found;
	char *text;
	int r;

	/* Files are found by the text that stands in the MI, which may be an escaped one. */
	text = (char *)path;
	if (!is_utf8(path)) {
		r = mi_text(mi, path, &text);
		if (r < 0)
			return r;
	}
	r = index_files(mi);
	if (r < 0)
		return r;
	found = *file_place(mi, device, inode, text);
	if (found > 0) {
		*ret_index = found;
		*ret_file = m->files[found - 1];
		return 0;
	}
	f = MI_MESSAGE(mi, Assay__File, assay__file__init);
	if (!f)
		return -ENOMEM;
	f->device = device;
	f->inode = inode;
	r = mi_text(mi, text, &f->path);
	if (r < 0)
		return r;
	r = mi_push(mi, &m->n_files, &m->files, f);
	if (r < 0)
		return r;
	*ret_index = (uint32_t)m->n_files;
	*ret_file = f;
	return 0;
}

int mi_pack(const struct mi *mi, struct bytes *ret)
{
	size_t size = assay__mi__get_packed_size(mi->msg);
	uint8_t *to;
	int r;

	r = bytes_reserve(ret, size, &to);
	if (r < 0)
		return r;
	ret->len += assay__mi__pack(mi->msg, to);
	return 0;
}

int mi_unpack(struct view packed, struct mi **ret)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	int r;

	if (packed.len > MI_MAX)
		return -EBADMSG;
	mi = calloc(1, sizeof(*mi));
	if (!mi)
		return -ENOMEM;
	r = arena_new(MI_MEMORY_MAX, &mi->arena);
	if (r < 0)
		return r;
	mi->msg = assay__mi__unpack(arena_allocator(mi->arena), packed.len, packed.data);
	if (!mi->msg)
		return -EBADMSG;
	mi->received = true;
	*ret = TAKE(mi);
	return 0;
}
