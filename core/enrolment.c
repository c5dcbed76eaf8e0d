/* SPDX-License-Identifier: Apache-2.0 */
#include "enrolment.h"

#include "claims.h"

int enrolment_statement(struct view exporter, struct view key_name, struct bytes *ret)
{
	int r;

	if (exporter.len != EXPORTER_SIZE)
		return -EINVAL;
	r = bytes_append(ret, ENROLMENT_LABEL, sizeof(ENROLMENT_LABEL));
	if (r == 0)
		r = bytes_append_view(ret, exporter);
	if (r == 0)
		r = bytes_append_view(ret, key_name);
	return r;
}
