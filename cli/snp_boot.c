/* SPDX-License-Identifier: Apache-2.0 */
#include "snp_boot.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "terminal.h"

int snp_boot_vcpus(struct snp_boot *b, const char *text)
{
	uint64_t n;
	int r = command_number(text, SNP_VCPUS_MAX, &n);

	if (r == 0)
		b->vcpus = (unsigned int)n;
	return r;
}

int snp_boot_cpu(struct snp_boot *b, const char *text)
{
	static const unsigned long most[] = { 0xf + 0xff, 0xff, 0xf };
	unsigned long n[3];
	char *end;

	for (size_t i = 0; i < ARRAY_LEN(n); i++, text = end + 1) {
		if (text[0] < '0' || text[0] > '9')
			return -EINVAL;
		n[i] = strtoul(text, &end, 10);
		if (n[i] > most[i] || *end != (i < 2 ? ',' : '\0'))
			return -EINVAL;
	}
	b->cpu_signature =
		snp_cpu_signature((unsigned int)n[0], (unsigned int)n[1], (unsigned int)n[2]);
	b->cpu_given = true;
	return 0;
}

static int measure(const struct snp_boot *b, struct view image, const struct snp_launch *in,
		   struct digest *ret)
{
	const char *why = "out of memory";
	struct snp_firmware f;
	struct digest pages;
	int r;

	r = snp_firmware_parse(image, &f, &why);
	if (r == 0)
		r = snp_firmware_digest(&f, &pages);
	if (r == 0)
		r = snp_launch_digest(&f, &pages, in, ret, &why);
	if (r < 0) {
		terminal_error("%s: %s", b->firmware, why);
		return r == -EINVAL ? EXIT_WRONG_USE : EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

int snp_boot_measurement(const struct snp_boot *b, const struct boot_files *files,
			 struct digest *ret)
{
	struct bytes firmware = BYTES_INIT(0), kernel = BYTES_INIT(0), initrd = BYTES_INIT(0);
	struct snp_launch in = { .vcpus = b->vcpus,
				 .cpu_signature = b->cpu_signature,
				 .has_kernel = files->kernel != NULL,
				 .command_line = files->cmdline };
	int status = EXIT_ENVIRONMENT;

	if (boot_files_read(b->firmware, SNP_FIRMWARE_MAX, &firmware) == 0 &&
	    (!files->kernel || (boot_files_read(files->kernel, BOOT_KERNEL_MAX, &kernel) == 0 &&
				boot_files_read(files->initrd, BOOT_INITRD_MAX, &initrd) == 0))) {
		in.kernel = bytes_view(&kernel);
		in.initrd = bytes_view(&initrd);
		status = measure(b, bytes_view(&firmware), &in, ret);
	}
	bytes_done(&firmware);
	bytes_done(&kernel);
	bytes_done(&initrd);
	return status;
}
