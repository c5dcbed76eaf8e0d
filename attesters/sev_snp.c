/* SPDX-License-Identifier: Apache-2.0 */
#include "sev_guest.h"

#include <stdio.h>
#include <string.h>

#include "table.h"

/*
 * AMD SEV-SNP, through configfs-tsm or, where the kernel has none (before 6.7), through
 * /dev/sev-guest. There is no runtime register.
 */

#define PROVIDER    "sev_guest"
#define REPORT_SIZE 1184 /* AMD 56860, ATTESTATION_REPORT */
#define REPORT_DATA 0x50

/* The way to the chip that there is. */
static int find_way(tee_ask *ret, char *ret_why, size_t size)
{
	char tsm_why[ATTESTER_WHY_MAX], device_why[ATTESTER_WHY_MAX];
	int r;

	r = tee_find_tsm(PROVIDER, tsm_why, sizeof(tsm_why));
	if (r == 0) {
		*ret = tee_ask_tsm;
		snprintf(ret_why, size, "%s", tsm_why);
		return 0;
	}
	r = sev_guest_probe(device_why, sizeof(device_why));
	if (r == 0)
		*ret = sev_guest_ask;
	snprintf(ret_why, size, "%.100s; %.120s", device_why, tsm_why);
	return r < 0 ? -ENODEV : 0;
}

static int snp_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	tee_ask ask;

	return find_way(&ask, ret_why, size);
}

static int snp_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size)
{
	tee_ask ask;
	int r;

	r = find_way(&ask, ret_why, size);
	if (r < 0)
		return r;
	return tee_open(&attester_sev_snp, config, ask, NULL, ret, ret_why, size);
}

int snp_covers(struct view report, const uint8_t *data, const char **ret_why)
{
	if (report.len != REPORT_SIZE) {
		*ret_why = "an SEV-SNP report has 1184";
		return -EBADMSG;
	}
	if (memcmp(report.data + REPORT_DATA, data, TSM_INBLOB_SIZE) != 0) {
		*ret_why = "it is over other report data";
		return -EBADMSG;
	}
	return 0;
}

static int snp_report(struct attester *a, struct view claims, struct arena *arena,
		      Assay__ChipReport *report)
{
	return tee_report(a, PROVIDER, snp_covers, claims, arena, report);
}

const struct attester_ops attester_sev_snp = {
	.platform = "sev-snp",
	.insecure = false,
	.probe = snp_probe,
	.open = snp_open,
	.identity = tee_identity,
	.report = snp_report,
	.close = tee_close,
};
