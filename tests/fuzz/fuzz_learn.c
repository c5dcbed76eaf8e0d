/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "learn.h"
#include "policy.h"

/* Whatever an MI says, what is learnt from it is a policy. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct learn_options options = { .source = "fuzz", .slack = 10 };
	struct bytes text = BYTES_INIT(LEARN_TEXT_MAX);
	struct learn *l = NULL;
	struct policy *p = NULL;
	struct mi *mi = NULL;
	char *error = NULL;
	const char *why;

	if (mi_unpack(view_of(data, size), &mi) < 0 || learn_new(&l) < 0)
		goto out;
	options.folders = options.accept_partial = size % 2;
	if (learn_add(l, mi, &why) < 0 || learn_write(l, &options, &text) < 0)
		goto out;
	if (policy_parse(bytes_view(&text), "learnt", &p, &error) < 0) {
		fprintf(stderr, "%s\n", error ? error : "no memory");
		abort();
	}
out:
	policy_free(p);
	free(error);
	learn_free(l);
	mi_free(mi);
	bytes_done(&text);
	return 0;
}
