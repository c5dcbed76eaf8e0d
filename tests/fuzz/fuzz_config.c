/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "daemon/config.h"

/* A configuration is refused with a reason, or every application in it can be started. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = NULL;
	char *error = NULL;
	int r;

	r = config_parse(view_of(data, size), "fuzz", &c, &error);
	if ((r == 0) != (c != NULL) || (r == -EINVAL) != (error != NULL))
		abort();
	for (size_t i = 0; c && i < c->n_applications; i++) {
		const struct config_application *a = &c->applications[i];

		if (!a->name || !a->exec || !a->exec[0] || a->exec[0][0] != '/' ||
		    a->target.n_files == 0)
			abort();
		for (size_t k = 0; k < a->n_nodes; k++) {
			if (a->nodes[k].kind == ASSAY__TIME_NODE__KIND__NONE)
				abort();
		}
	}
	config_free(c);
	free(error);
	return 0;
}
