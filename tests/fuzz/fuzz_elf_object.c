/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/elf_object.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_object *o;
	size_t n;

	if (elf_object_parse(view_of(data, size), 4096, &o) < 0)
		return 0;
	for (size_t i = 1; i < o->n_slots; i++)
		assert(o->slots[i - 1].at <= o->slots[i].at);
	for (size_t i = 0; i < o->n_slots; i++)
		assert(o->slots[i].name <= o->names.len);
	for (size_t i = 0; i < o->n_symbols; i++)
		assert(elf_object_find(o, o->symbols[i].name, &n) && n > 0);
	elf_object_free(o);
	return 0;
}
