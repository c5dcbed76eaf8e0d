/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "table.h"
#include "tee.h"

/*
 * Arm CCA, through configfs-tsm; there is no other way. Linux has none to the realm's
 * extensible measurements, so that there is no runtime register.
 */

#define PROVIDER "arm_cca_guest"

static int cca_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	return tee_find_tsm(PROVIDER, ret_why, size);
}

static int cca_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size)
{
	int r;

	r = cca_probe(config, ret_why, size);
	if (r < 0)
		return r;
	return tee_open(&attester_cca, config, tee_ask_tsm, NULL, ret, ret_why, size);
}

/*
 * A CBOR tag of two bytes before the two tokens: 399 (CCA collection), 907 (CMW collection). The
 * challenge is a byte string of the realm's token, which stands in it as it is.
 */
int cca_covers(struct view token, const uint8_t *data, const char **ret_why)
{
	struct reader in = reader_of(token);
	uint8_t head;
	uint16_t tag;

	if (read_u8(&in, &head) < 0 || read_be16(&in, &tag) < 0 || head != 0xd9 ||
	    (tag != 399 && tag != 907)) {
		*ret_why = "it is no CCA token";
		return -EBADMSG;
	}
	if (!memmem(token.data, token.len, data, TSM_INBLOB_SIZE)) {
		*ret_why = "it is over other report data";
		return -EBADMSG;
	}
	return 0;
}

static int cca_report(struct attester *a, struct view claims, struct arena *arena,
		      Assay__ChipReport *report)
{
	return tee_report(a, PROVIDER, cca_covers, claims, arena, report);
}

const struct attester_ops attester_cca = {
	.platform = "cca",
	.insecure = false,
	.probe = cca_probe,
	.open = cca_open,
	.identity = tee_identity,
	.report = cca_report,
	.close = tee_close,
};
