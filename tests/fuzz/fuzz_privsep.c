/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor reads of net's messages: net may have been taken over. */
#include <stdlib.h>

#include "daemon/privsep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_verdict(struct view message)
{
	struct reader in = reader_of(message);
	struct privsep_verdict v;
	struct privsep_reason reason;
	struct privsep_sealed sealed;
	struct view content;

	if (privsep_verdict_read(&in, &v) < 0)
		return;
	for (uint32_t i = 0; i < v.n_reasons; i++) {
		if (privsep_reason_read(&in, &reason) < 0)
			return;
	}
	for (uint32_t i = 0; i < v.n_secrets; i++) {
		if (privsep_sealed_read(&in, &sealed, &content) < 0)
			return;
		if (content.len > PRIVSEP_SEALED_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view message = view_of(data, size);
	struct privsep_challenge challenge;
	static struct privsep_enrol enrol;
	struct privsep_enrolled enrolled;
	struct privsep_text text;

	if (privsep_challenge_read(message, &challenge) == 0 &&
	    !application_name_valid(challenge.application))
		abort();
	if (privsep_enrol_read(message, &enrol) == 0 && enrol.blob_len > PRIVSEP_BLOB_MAX)
		abort();
	if (privsep_enrolled_read(message, &enrolled) == 0 &&
	    enrolled.why[sizeof(enrolled.why) - 1])
		abort();
	if (privsep_text_read(message, &text) == 0 && text.text[sizeof(text.text) - 1])
		abort();
	read_verdict(message);
	return 0;
}
