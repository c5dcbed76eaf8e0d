/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#define ERRNO_MAX 4095 /* as the kernel has it */

static void make_printable(char *text)
{
	for (uint8_t *c = (uint8_t *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
		/* C1 control characters, U+0080 to U+009F, which some terminals obey. */
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			*c = c[1] = '?';
	}
}

static void status_make_printable(Assay__ApplicationStatus *s)
{
	make_printable(s->application);
	make_printable(s->state);
	make_printable(s->verdict);
	make_printable(s->platform);
	for (size_t i = 0; i < s->n_reasons; i++)
		make_printable(s->reasons[i]);
}

int answer_read(struct view packet, size_t descriptors, struct arena *arena, Assay__Answer **ret)
{
	Assay__Answer *m;

	if (packet.len == 0 || packet.len > PACKET_MAX)
		return -EBADMSG;
	m = assay__answer__unpack(arena_allocator(arena), packet.len, packet.data);
	if (!m)
		return -EBADMSG;
	if (m->error > 0 || m->error < -ERRNO_MAX)
		return -EBADMSG;
	/* A secret is exactly one descriptor, and comes only with a success; nothing else has one.
	 */
	if (descriptors != (m->has_secret ? 1 : 0) || (m->has_secret && m->error != 0))
		return -EBADMSG;
	make_printable(m->message);
	make_printable(m->name);
	for (size_t i = 0; i < m->n_status; i++)
		status_make_printable(m->status[i]);
	*ret = m;
	return 0;
}
