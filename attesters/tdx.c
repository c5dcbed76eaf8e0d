/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "table.h"
#include "tdx_rtmr.h"
#include "tee.h"

/*
 * Intel TDX, through configfs-tsm. The device /dev/tdx_guest alone gives a TDREPORT, which only
 * the same machine can check: a quote, which anyone can, needs the kernel's configfs-tsm.
 */

#define PROVIDER  "tdx_guest"
#define DEVICE	  "/dev/tdx_guest"
#define EVENT_LOG "/sys/firmware/acpi/tables/data/CCEL"

/* Intel TDX DCAP Quoting Library API, appendix 3. */
#define TEE_TYPE	 0x81
#define BODY_V4		 48
#define BODY_V5		 54 /* after type and size */
#define BODY_REPORT_DATA 520

static int tdx_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	char why[ATTESTER_WHY_MAX];
	int r;

	r = tee_find_tsm(PROVIDER, why, sizeof(why));
	snprintf(ret_why, size, "%.180s%s", why,
		 r < 0 && access(DEVICE, F_OK) == 0 ? "; " DEVICE " alone gives no quote" : "");
	return r;
}

static int tdx_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size)
{
	int r;

	r = tdx_probe(config, ret_why, size);
	if (r < 0)
		return r;
	return tee_open(&attester_tdx, config, tee_ask_tsm, EVENT_LOG, ret, ret_why, size);
}

/* What the driver hands out may one day be another format: only a quote of today's goes on. */
int tdx_covers(struct view quote, const uint8_t *data, const char **ret_why)
{
	struct reader in = reader_of(quote);
	uint16_t version, key_type;
	struct view skipped, seen;
	uint32_t tee_type;
	size_t body;

	*ret_why = "it is no TDX quote";
	if (read_le16(&in, &version) < 0 || read_le16(&in, &key_type) < 0 ||
	    read_le32(&in, &tee_type) < 0)
		return -EBADMSG;
	if ((version != 4 && version != 5) || tee_type != TEE_TYPE) {
		*ret_why = "it is no TDX quote of version 4 or 5";
		return -EBADMSG;
	}
	body = version == 4 ? BODY_V4 : BODY_V5;
	in = reader_of(quote);
	if (read_view(&in, body + BODY_REPORT_DATA, &skipped) < 0 ||
	    read_view(&in, TSM_INBLOB_SIZE, &seen) < 0)
		return -EBADMSG;
	if (memcmp(seen.data, data, seen.len) != 0) {
		*ret_why = "it is over other report data";
		return -EBADMSG;
	}
	return 0;
}

static int tdx_report(struct attester *a, struct view claims, struct arena *arena,
		      Assay__ChipReport *report)
{
	return tee_report(a, PROVIDER, tdx_covers, claims, arena, report);
}

static int tdx_runtime(struct attester *a, unsigned int *ret_register, struct digest *ret)
{
	int r = tdx_rtmr_read(ret);

	if (r == -ENOENT || r == -ENOTDIR) {
		snprintf(a->why, sizeof(a->why), "%s is not there: it needs Linux 6.16",
			 TDX_MEASUREMENTS);
		return -EOPNOTSUPP;
	}
	if (r < 0) {
		snprintf(a->why, sizeof(a->why), "RTMR%d cannot be read: %s", TDX_RTMR,
			 strerror(-r));
		return r;
	}
	*ret_register = TDX_RTMR;
	return 0;
}

static int tdx_extend(struct attester *a, const struct digest *d)
{
	int r = tdx_rtmr_extend(d);

	if (r < 0)
		snprintf(a->why, sizeof(a->why), "RTMR%d cannot be extended: %s", TDX_RTMR,
			 strerror(-r));
	return r;
}

const struct attester_ops attester_tdx = {
	.platform = "tdx",
	.insecure = false,
	.probe = tdx_probe,
	.open = tdx_open,
	.identity = tee_identity,
	.extend = tdx_extend,
	.runtime = tdx_runtime,
	.report = tdx_report,
	.close = tee_close,
};
