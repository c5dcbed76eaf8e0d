/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

/* Documentation/admin-guide/devices.txt: the TPM's number is fixed, so it is denied before it is
 * there. */
#define MISC_MAJOR 10
#define TPM_MINOR  224

/*
 * Devices of class misc through which a guest asks its chip for reports, with those
 * that stand for a TPM made of software.
 */
static const char *const misc_devices[] = { "tdx_guest", "tdx-guest", "sev-guest", "csv-guest",
					    "vtpmx" };

static void add(struct follow_device *ret, size_t *n, size_t max, unsigned int major,
		unsigned int minor)
{
	if (*n < max)
		ret[(*n)++] = (struct follow_device){ BPF_DEVCG_DEV_CHAR, major, minor };
}

size_t follow_devices_find(struct follow_device *ret, size_t max)
{
	CLEANUP(cleanup_file) FILE *devices = fopen("/proc/devices", "re");
	unsigned int major, minor;
	char line[128], name[64];
	size_t n = 0;

	add(ret, &n, max, MISC_MAJOR, TPM_MINOR);
	/* /dev/tpmrm* and further TPMs: a major of their own, all minors of which are TPMs. */
	while (devices && fgets(line, sizeof(line), devices)) {
		if (line[0] == 'B') /* block devices follow */
			break;
		if (sscanf(line, "%u %63s", &major, name) == 2 && strcmp(name, "tpm") == 0)
			add(ret, &n, max, major, FOLLOW_ANY_MINOR);
	}
	for (size_t i = 0; i < ARRAY_LEN(misc_devices); i++) {
		char path[128];
		CLEANUP(cleanup_file) FILE *f = NULL;

		snprintf(path, sizeof(path), "/sys/class/misc/%s/dev", misc_devices[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%u:%u", &major, &minor) == 2)
			add(ret, &n, max, major, minor);
	}
	return n;
}
