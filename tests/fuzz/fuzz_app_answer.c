/* SPDX-License-Identifier: Apache-2.0 */
/* A packet from assayd, as libassay takes it; the first byte is how many descriptors came with it.
 */
#include <string.h>

#include "sdk/answer.h"

static void must_be_printable(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Assay__Answer *m;
	struct arena *arena;
	size_t descriptors;

	if (size < 1 || arena_new(ANSWER_MEMORY_MAX, &arena) < 0)
		return 0;
	descriptors = data[0] % 4;
	if (answer_read(view_of(data + 1, size - 1), descriptors, arena, &m) == 0) {
		if (m->error > 0 || descriptors != (m->has_secret ? 1 : 0) || size - 1 > PACKET_MAX)
			__builtin_trap();
		must_be_printable(m->message);
		must_be_printable(m->name);
		for (size_t i = 0; i < m->n_status; i++)
			must_be_printable(m->status[i]->application);
	}
	arena_free(arena);
	return 0;
}
