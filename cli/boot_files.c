/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_files.h"

#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "pe.h"
#include "terminal.h"

int boot_files_option(struct boot_files *f, int option, const char *argument)
{
	switch (option) {
	case BOOT_FILES_KERNEL:
		f->kernel = argument;
		return 1;
	case BOOT_FILES_INITRD:
		f->initrd = argument;
		return 1;
	case BOOT_FILES_CMDLINE:
		f->cmdline = argument;
		return 1;
	case BOOT_FILES_UKI:
		f->uki = argument;
		return 1;
	case BOOT_FILES_SECURE_BOOT:
		f->secure_boot = true;
		return 1;
	case BOOT_FILES_MEMORY:
		if (command_number(argument, BOOT_MEMORY_MAX, &f->memory_mib) == 0)
			return 1;
		terminal_error("--memory: expected MiB, found '%s'", argument);
		return -EINVAL;
	case BOOT_FILES_PCR:
		if (f->n_given < BOOT_FILES_GIVEN_MAX) {
			f->given[f->n_given++] = argument;
			return 1;
		}
		terminal_error("--pcr: more than there are PCRs");
		return -EINVAL;
	default:
		return 0;
	}
}

const char *boot_files_wrong(const struct boot_files *f)
{
	if (!f->kernel && !f->uki)
		return "what will be booted? --kernel, or --uki";
	if (f->uki && (f->kernel || f->initrd || f->cmdline || f->memory_mib))
		return "a unified kernel image has kernel, initrd and command line in it";
	if (f->kernel && (!f->initrd || !f->cmdline))
		return "--kernel needs --initrd and --cmdline";
	if (f->kernel && f->secure_boot)
		return "--secure-boot is for a unified kernel image: firmware does not start a "
		       "kernel from QEMU then";
	return NULL;
}

int boot_files_read(const char *path, size_t max, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	*ret = BYTES_INIT(max);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
	if (r == -EMSGSIZE)
		terminal_error("%s: it has more than %zu bytes", path, max);
	else if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

static int predicted(int r, const char *path, const char *why)
{
	if (r == 0)
		return EXIT_GOOD;
	terminal_error("%s: %s", path, r == -ENOMEM ? strerror(ENOMEM) : why);
	return r == -EINVAL ? EXIT_WRONG_USE : EXIT_ENVIRONMENT;
}

static int predict_direct(const struct boot_files *f, enum hash_alg bank, struct boot_values *ret)
{
	CLEANUP(bytes_cleanup) struct bytes kernel = BYTES_INIT(0), initrd = BYTES_INIT(0);
	struct boot_direct in = { .command_line = f->cmdline,
				  .memory_mib = (uint32_t)f->memory_mib,
				  .kernel_unchanged = f->kernel_unchanged };
	const char *why = NULL;
	int r;

	if (boot_files_read(f->kernel, BOOT_KERNEL_MAX, &kernel) < 0 ||
	    boot_files_read(f->initrd, BOOT_INITRD_MAX, &initrd) < 0)
		return EXIT_ENVIRONMENT;
	in.kernel = bytes_view(&kernel);
	in.initrd = bytes_view(&initrd);
	r = boot_values_direct(&in, bank, ret, &why);
	return predicted(r, f->kernel, why);
}

static int predict_unified(const struct boot_files *f, enum hash_alg bank, struct boot_values *ret)
{
	CLEANUP(bytes_cleanup) struct bytes image = BYTES_INIT(0);
	const char *why = NULL;
	int r;

	if (boot_files_read(f->uki, PE_FILE_MAX, &image) < 0)
		return EXIT_ENVIRONMENT;
	r = boot_values_unified(bytes_view(&image), f->secure_boot, bank, ret, &why);
	return predicted(r, f->uki, why);
}

/* "7=HEX". */
static int add_given(const char *text, struct boot_values *v)
{
	const char *value = strchr(text, '=');
	struct digest d = { .alg = v->alg, .size = (uint8_t)hash_size(v->alg) };
	unsigned int pcr = 0;

	for (const char *c = text; value && c < value; c++) {
		pcr = pcr * 10 + (unsigned int)(*c - '0');
		if (*c < '0' || *c > '9' || pcr >= BOOT_PCRS)
			value = NULL;
	}
	if (!value || value == text || hex_decode_exact(value + 1, d.bytes, d.size) < 0) {
		terminal_error("--pcr: expected N=HEX with %u hex digits (%s), found '%s'",
			       2 * d.size, hash_name(v->alg), text);
		return EXIT_WRONG_USE;
	}
	if (v->known >> pcr & 1) {
		terminal_error("--pcr: PCR %u is predicted, or was given twice", pcr);
		return EXIT_WRONG_USE;
	}
	v->pcr[pcr] = d;
	v->known |= 1u << pcr;
	return EXIT_GOOD;
}

int boot_files_values(const struct boot_files *f, enum hash_alg bank, struct boot_values *ret)
{
	struct boot_values v;
	int status;

	status = f->uki ? predict_unified(f, bank, &v) : predict_direct(f, bank, &v);
	for (size_t i = 0; i < f->n_given && status == EXIT_GOOD; i++)
		status = add_given(f->given[i], &v);
	if (status == EXIT_GOOD)
		*ret = v;
	return status;
}
