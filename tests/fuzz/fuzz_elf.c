/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/measure_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_facts facts;

	if (elf_facts_parse(view_of(data, size), &facts) == 0)
		elf_facts_done(&facts);
	return 0;
}
