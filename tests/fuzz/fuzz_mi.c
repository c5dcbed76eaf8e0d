/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "mi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes packed = BYTES_INIT(MI_MAX);
	Assay__File *file;
	uint32_t index;
	struct mi *mi;

	if (mi_unpack(view_of(data, size), &mi) < 0)
		return 0;
	assert(arena_used(mi->arena) <= MI_MEMORY_MAX);
	if (mi_pack(mi, &packed) == 0) {
		struct mi *again;

		if (mi_unpack(bytes_view(&packed), &again) == 0)
			mi_free(again);
	}
	/* The table of files finds what came from outside. */
	for (size_t i = 0; i < mi->msg->n_files; i++) {
		const Assay__File *f = mi->msg->files[i];

		if (mi_file(mi, f->device, f->inode, f->path, &index, &file) == 0)
			assert(mi->msg->files[index - 1] == file);
	}
	bytes_done(&packed);
	mi_free(mi);
	return 0;
}
