/* SPDX-License-Identifier: Apache-2.0 */
/* The address that a caller of the credential socket has bound itself to. */
#include <assert.h>
#include <string.h>

#include "claims.h"
#include "daemon/deliver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char application[256], name[256];

	if (deliver_socket_parse(view_of(data, size), application, name) < 0)
		return 0;
	/* What is accepted can be looked up, and cannot name anything outside. */
	assert(data[0] == 0);
	assert(application_name_valid(application));
	assert(deliver_name_valid(name));
	assert(strlen(application) + strlen(name) < size);
	return 0;
}
