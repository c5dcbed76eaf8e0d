/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_json.h"

#include <stdlib.h>

#include "cleanup.h"

json_t *evidence_json_hex(struct view v)
{
	CLEANUP(cleanup_mem) char *hex = malloc(2 * v.len + 1);

	if (!hex)
		return NULL;
	hex_encode(v.data, v.len, hex);
	return json_string(hex);
}
