/* SPDX-License-Identifier: Apache-2.0 */
/* One packet of the application socket: from a program that is not trusted yet. */
#include "app.pb-c.h"
#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Assay__Request *request;
	struct arena *arena;

	if (arena_new(64 * 1024, &arena) < 0)
		return 0;
	if (frame_unpack(&assay__request__descriptor, view_of(data, size), arena, &request) == 0)
		(void)protobuf_c_message_check(&request->base);
	arena_free(arena);
	return 0;
}
