/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "csv_guest.h"
#include "table.h"

/*
 * Hygon CSV, through /dev/csv-guest. The certificates of the chip (HSK, CEK) are at Hygon's, by
 * the serial number in the report; a machine that has them as a file can send them along
 * (tee.endorsements).
 */

#define EVENT_LOG "/sys/firmware/acpi/tables/data/CCEL"

/* In the page, behind magic and flags. */
#define HEAD	    20
#define FLAGS	    16
#define REPORT_DATA 64
#define ANONCE	    188

static int csv_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	return csv_guest_probe(ret_why, size);
}

static int csv_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size)
{
	int r;

	r = csv_guest_probe(ret_why, size);
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	return tee_open(&attester_csv, config, csv_guest_ask, EVENT_LOG, ret, ret_why, size);
}

/* Version 1 masks what it reports with a nonce of the firmware's. */
int csv_covers(struct view report, const uint8_t *data, const char **ret_why)
{
	static const uint8_t none[4];
	const uint8_t *page, *mask;

	if (report.len != HEAD + CSV_GUEST_PAGE) {
		*ret_why = "it is no page";
		return -EBADMSG;
	}
	page = report.data + HEAD;
	mask = report.data[FLAGS] ? none : page + ANONCE;
	for (size_t i = 0; i < TSM_INBLOB_SIZE; i++) {
		if ((page[REPORT_DATA + i] ^ mask[i % 4]) != data[i]) {
			*ret_why = "it is over other report data";
			return -EBADMSG;
		}
	}
	return 0;
}

static int csv_report(struct attester *a, struct view claims, struct arena *arena,
		      Assay__ChipReport *report)
{
	return tee_report(a, NULL, csv_covers, claims, arena, report);
}

static int csv_runtime(struct attester *a, unsigned int *ret_register, struct digest *ret)
{
	int r = csv_guest_rtmr_read(ret);

	if (r == -EOPNOTSUPP)
		snprintf(a->why, sizeof(a->why), "%s has no registers: they need CSV3",
			 CSV_GUEST_DEVICE);
	else if (r < 0)
		snprintf(a->why, sizeof(a->why), "RTMR%d cannot be read: %s", CSV_GUEST_REGISTER,
			 strerror(-r));
	if (r == 0)
		*ret_register = CSV_GUEST_REGISTER;
	return r;
}

static int csv_extend(struct attester *a, const struct digest *d)
{
	int r = csv_guest_rtmr_extend(d);

	if (r < 0)
		snprintf(a->why, sizeof(a->why), "RTMR%d cannot be extended: %s",
			 CSV_GUEST_REGISTER, strerror(-r));
	return r;
}

const struct attester_ops attester_csv = {
	.platform = "csv",
	.insecure = false,
	.probe = csv_probe,
	.open = csv_open,
	.identity = tee_identity,
	.extend = csv_extend,
	.runtime = csv_runtime,
	.report = csv_report,
	.close = tee_close,
};
