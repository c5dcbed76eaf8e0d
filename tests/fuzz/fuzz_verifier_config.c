/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "verifier/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verifier_config *c = NULL;
	char *error = NULL;
	int r;

	r = verifier_config_parse(view_of(data, size), "fuzz", &c, &error);
	if ((r == 0) != (c != NULL) || (r == -EINVAL) != (error != NULL))
		abort();
	if (c && (c->n_policies == 0 || (!c->listen && c->n_dial == 0) || c->nonce_valid_ns == 0))
		abort();
	verifier_config_free(c);
	free(error);
	return 0;
}
