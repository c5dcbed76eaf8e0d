/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/measure_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *interpreter = NULL, *program = NULL;

	if (script_parse(view_of(data, size), &interpreter, &program) == 0) {
		/* The kernel takes absolute ones; so does whoever measures it. */
		if (interpreter[0] != '/' || (program && program[0] != '/'))
			abort();
	}
	free(interpreter);
	free(program);
	return 0;
}
