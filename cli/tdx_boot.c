/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_boot.h"

#include <string.h>

#include "command.h"
#include "terminal.h"

static int predict_mrtd(const char *firmware, struct digest *ret)
{
	struct bytes image = BYTES_INIT(0);
	const char *why = "out of memory";
	int status = EXIT_ENVIRONMENT;
	struct tdx_firmware f;

	if (boot_files_read(firmware, TDX_FIRMWARE_MAX, &image) == 0) {
		if (tdx_firmware_parse(bytes_view(&image), &f, &why) == 0 &&
		    tdx_firmware_mrtd(&f, ret) == 0)
			status = EXIT_GOOD;
		else
			terminal_error("%s: %s", firmware, why);
	}
	bytes_done(&image);
	return status;
}

static int failed(int r)
{
	terminal_error("%s", strerror(-r));
	return EXIT_ENVIRONMENT;
}

/* RTMR1 into what is known of it; RTMR2 is the same either way. */
static int predict_registers(const struct boot_files *files, const char *of, struct tdx_boot *t)
{
	struct boot_values v;
	int status, r;

	status = boot_files_values(files, HASH_SHA384, &v);
	if (status != EXIT_GOOD)
		return status;
	r = boot_values_rtmr1(&v, &t->rtmr1[t->n].value);
	if (r == 0)
		t->rtmr1[t->n++].of = of;
	else if (r != -ENODATA)
		return failed(r);
	r = boot_values_rtmr2(&v, &t->rtmr2);
	if (r < 0 && r != -ENODATA)
		return failed(r);
	t->has_rtmr2 = r == 0;
	return EXIT_GOOD;
}

int tdx_boot_predict(const char *firmware, const struct boot_files *files, struct tdx_boot *ret)
{
	struct tdx_boot t = { 0 };
	struct boot_files f = *files;
	int status;

	/* PCRs that were given are of a TPM. */
	f.n_given = 0;
	f.kernel_unchanged = f.kernel != NULL;
	status = predict_mrtd(firmware, &t.mrtd);
	if (status == EXIT_GOOD)
		status = predict_registers(&f, "the kernel as it is: QEMU 10.2 and newer", &t);
	if (status == EXIT_GOOD && f.memory_mib) {
		f.kernel_unchanged = false;
		status = predict_registers(&f, "the kernel as QEMU before 10.2 changes it", &t);
	}
	if (status != EXIT_GOOD)
		return status;
	if (t.n == 0)
		terminal_note("RTMR1 is left out: the disk's partition table is in it");
	if (!t.has_rtmr2)
		terminal_note("RTMR2 is left out: this kernel measures nothing into it");
	*ret = t;
	return EXIT_GOOD;
}
