/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "manifest.h"

/* Whatever is read can be written, and reads as the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = BYTES_INIT(MANIFEST_MAX);
	struct manifest m, again;
	int r;

	if (manifest_read(view_of(data, size), &m) < 0)
		return 0;
	r = manifest_write(&m, &text);
	assert(r == 0 || r == -ENOMEM);
	if (r == 0) {
		r = manifest_read(bytes_view(&text), &again);
		assert(r == 0 || r == -ENOMEM);
	}
	if (r == 0) {
		assert(manifest_compare(&m, &again, NULL, NULL) == 0);
		for (size_t i = 0; i < m.n; i++)
			assert(manifest_find(&m, m.entries[i].path) == &m.entries[i]);
		manifest_done(&again);
	}
	bytes_done(&text);
	manifest_done(&m);
	return 0;
}
