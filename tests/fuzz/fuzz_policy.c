/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "policy.h"

/* A policy is refused with a reason, or can be used: its rules judge an MI of nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *p = NULL;
	struct mi *mi = NULL;
	struct appraisal a;
	char *error = NULL;
	int r;

	r = policy_parse(view_of(data, size), "fuzz", &p, &error);
	if ((r == 0) != (p != NULL) || (r == -EINVAL) != (error != NULL))
		abort();
	if (r == 0 && mi_new(&mi) == 0) {
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, NULL, 0, &a);
		policy_judge_static(p, view_of(data, size), 0, &a);
		appraisal_finish(&a);
		/* Nothing has been seen, and static.manifest always applies. */
		if (a.checks == 0)
			abort();
		appraisal_done(&a);
	}
	mi_free(mi);
	policy_free(p);
	free(error);
	return 0;
}
