/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_boot.h"

#include "boot_files.h"
#include "command.h"
#include "terminal.h"

int tdx_boot_mrtd(const char *firmware, struct digest *ret)
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
