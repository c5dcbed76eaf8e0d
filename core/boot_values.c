/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_values.h"

#include <stdlib.h>
#include <string.h>

#include "linux_image.h"
#include "pe.h"

/* systemd 252, src/fundamental/tpm-pcr.h: in the order in which its stub measures them. */
static const char *const unified_sections[] = { ".linux",  ".osrel",  ".cmdline",
						".initrd", ".splash", ".dtb" };

#define STUB_MAGIC   "#### LoaderInfo: systemd-stub "
#define STUB_VERSION "252."

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int begin(enum hash_alg alg, struct boot_values *v, const char **ret_why)
{
	if (hash_size(alg) == 0) {
		*ret_why = "there is no such PCR bank";
		return -EINVAL;
	}
	*v = (struct boot_values){ .alg = alg };
	for (size_t i = 0; i < BOOT_PCRS; i++)
		v->pcr[i] = digest_zero(alg);
	return 0;
}

/* An event: the PCR is extended with the digest of these bytes. */
static int measure(struct boot_values *v, unsigned int pcr, struct view data)
{
	struct digest d;
	int r;

	r = digest_of(v->alg, data, &d);
	if (r == 0)
		r = digest_extend(&v->pcr[pcr], digest_view(&d));
	if (r == 0)
		v->known |= 1u << pcr;
	return r;
}

static int measure_image(struct boot_values *v, struct view image, const char **ret_why)
{
	struct digest d;
	struct pe pe;
	int r;

	r = pe_parse(image, &pe, ret_why);
	if (r == 0)
		r = pe_authenticode(&pe, v->alg, &d);
	if (r == 0)
		r = digest_extend(&v->pcr[BOOT_PCR_IMAGES], digest_view(&d));
	if (r == 0)
		v->known |= 1u << BOOT_PCR_IMAGES;
	return r;
}

/* What firmware measures when it turns to a boot option: the action, then the separator. */
static int measure_boot_option(struct boot_values *v)
{
	static const uint8_t separator[4];
	int r;

	r = measure(v, BOOT_PCR_IMAGES, view_text("Calling EFI Application from Boot Option"));
	return r < 0 ? r : measure(v, BOOT_PCR_IMAGES, view_of(separator, sizeof(separator)));
}

/* Those of which the bytes that the kernel measures are known. */
static int check_command_line(struct view line, const char **ret_why)
{
	if (line.len > BOOT_COMMAND_MAX) {
		*ret_why = "the command line has more than 2047 letters";
		return -EMSGSIZE;
	}
	*ret_why = "a command line that is empty, or with spaces at an end, may be changed before "
		   "it is measured";
	if (line.len == 0 || line.data[0] == ' ' || line.data[line.len - 1] == ' ')
		return -EINVAL;
	*ret_why =
		"the command line has other letters than printable ASCII (a newline at its end?)";
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] < 0x20 || line.data[i] > 0x7e)
			return -EINVAL;
	return 0;
}

/* Linux, drivers/firmware/efi/libstub: the load options with their final NUL, then the initrd. */
static int measure_linux(struct boot_values *v, struct view line, const char *added,
			 struct view initrd)
{
	struct bytes wide = BYTES_INIT(2 * (BOOT_COMMAND_MAX + 32));
	int r = 0;

	for (size_t i = 0; r == 0 && i < line.len; i++)
		r = bytes_append(&wide, (const uint8_t[]){ line.data[i], 0 }, 2);
	for (const char *c = added; r == 0 && *c; c++)
		r = bytes_append(&wide, (const uint8_t[]){ (uint8_t)*c, 0 }, 2);
	if (r == 0)
		r = bytes_append(&wide, (const uint8_t[]){ 0, 0 }, 2);
	if (r == 0)
		r = measure(v, BOOT_PCR_LINUX, bytes_view(&wide));
	bytes_done(&wide);
	return r < 0 ? r : measure(v, BOOT_PCR_LINUX, initrd);
}

static int check_initrd(struct view initrd, const char **ret_why)
{
	if (initrd.len == 0)
		return bad(ret_why, "the initrd is empty");
	if (initrd.len <= BOOT_INITRD_MAX)
		return 0;
	*ret_why = "the initrd has more than 1 GiB";
	return -EMSGSIZE;
}

static int measure_changed_kernel(struct boot_values *v, const struct boot_direct *in,
				  const char **ret_why)
{
	uint8_t *loaded;
	int r;

	loaded = malloc(in->kernel.len);
	if (!loaded)
		return -ENOMEM;
	memcpy(loaded, in->kernel.data, in->kernel.len);
	r = linux_image_as_qemu_loads(loaded, in->kernel.len, (uint32_t)in->initrd.len,
				      in->memory_mib, ret_why);
	if (r == 0)
		r = measure_image(v, view_of(loaded, in->kernel.len), ret_why);
	free(loaded);
	return r;
}

/* Nothing where it is not known what QEMU makes of the kernel. */
static int measure_direct_kernel(struct boot_values *v, const struct boot_direct *in,
				 const char **ret_why)
{
	int r;

	if (!in->kernel_unchanged && in->memory_mib == 0)
		return 0;
	r = in->kernel_unchanged ? measure_image(v, in->kernel, ret_why)
				 : measure_changed_kernel(v, in, ret_why);
	return r < 0 ? r : measure_boot_option(v);
}

int boot_values_direct(const struct boot_direct *in, enum hash_alg alg, struct boot_values *ret,
		       const char **ret_why)
{
	struct boot_values v;
	int r;

	*ret_why = "out of memory";
	r = begin(alg, &v, ret_why);
	if (r == 0)
		r = linux_image_check(in->kernel, ret_why);
	if (r == 0)
		r = check_initrd(in->initrd, ret_why);
	if (r == 0)
		r = check_command_line(view_text(in->command_line), ret_why);
	if (r < 0)
		return r;
	if (strstr(in->command_line, "vga=")) {
		*ret_why = "QEMU writes vga= into the kernel: choose the mode in another way";
		return -EINVAL;
	}
	r = measure_direct_kernel(&v, in, ret_why);
	/* OVMF names the initrd to the kernel. */
	if (r == 0)
		r = measure_linux(&v, view_text(in->command_line), " initrd=initrd", in->initrd);
	if (r < 0)
		return r;
	v.known |= 1u << BOOT_PCR_UNIFIED; /* nothing measures there: zero */
	v.direct = true;
	v.measures_without_tpm = linux_image_measures_without_tpm(in->kernel);
	*ret = v;
	return 0;
}

/* The parts of a unified kernel image that decide what is measured. */
struct unified {
	struct pe pe;
	struct view kernel, command_line, initrd;
};

static int check_stub(const struct pe *pe, const char **ret_why)
{
	static const char magic[] = STUB_MAGIC STUB_VERSION;
	struct view v;
	int r;

	r = pe_content(pe, ".sdmagic", &v, ret_why);
	if (r == -ENOENT)
		return bad(ret_why, "it has no .sdmagic section: not an image with systemd's stub");
	if (r < 0)
		return r;
	if (v.len < strlen(magic) || memcmp(v.data, magic, strlen(magic)) != 0)
		return bad(ret_why, "its stub is not systemd-stub 252: what others measure is not "
				    "known here");
	return 0;
}

static int needed(const struct pe *pe, const char *name, const char *missing, struct view *ret,
		  const char **ret_why)
{
	int r = pe_content(pe, name, ret, ret_why);

	return r == -ENOENT ? bad(ret_why, missing) : r;
}

static int read_unified(struct view image, struct unified *u, const char **ret_why)
{
	struct view v;
	int r;

	r = pe_parse(image, &u->pe, ret_why);
	if (r == 0)
		r = check_stub(&u->pe, ret_why);
	if (r == 0)
		r = needed(&u->pe, ".linux", "it has no .linux section", &u->kernel, ret_why);
	if (r == 0)
		r = needed(&u->pe, ".cmdline",
			   "it has no .cmdline section: the command line would come from outside",
			   &u->command_line, ret_why);
	if (r == 0)
		r = needed(&u->pe, ".initrd", "it has no .initrd section", &u->initrd, ret_why);
	if (r < 0)
		return r;
	if (pe_content(&u->pe, ".pcrsig", &v, ret_why) != -ENOENT ||
	    pe_content(&u->pe, ".pcrpkey", &v, ret_why) != -ENOENT)
		return bad(ret_why, "it has a .pcrsig or .pcrpkey section, from which its stub "
				    "makes a part of the initrd that is not known here");
	r = linux_image_check(u->kernel, ret_why);
	if (r == 0)
		r = check_initrd(u->initrd, ret_why);
	return r < 0 ? r : check_command_line(u->command_line, ret_why);
}

static int measure_sections(struct boot_values *v, const struct pe *pe, const char **ret_why)
{
	const char *name;
	struct view data;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(unified_sections); i++) {
		name = unified_sections[i];
		r = pe_content(pe, name, &data, ret_why);
		if (r == -ENOENT)
			continue;
		/* The name with its NUL. */
		if (r == 0)
			r = measure(v, BOOT_PCR_UNIFIED, view_of(name, strlen(name) + 1));
		if (r == 0)
			r = measure(v, BOOT_PCR_UNIFIED, data);
		if (r < 0)
			return r;
	}
	return 0;
}

int boot_values_unified(struct view image, bool secure_boot, enum hash_alg alg,
			struct boot_values *ret, const char **ret_why)
{
	struct unified u;
	struct boot_values v;
	int r;

	*ret_why = "out of memory";
	r = begin(alg, &v, ret_why);
	if (r == 0)
		r = read_unified(image, &u, ret_why);
	if (r == 0)
		r = measure_boot_option(&v);
	if (r == 0)
		r = measure_image(&v, image, ret_why);
	if (r == 0 && !secure_boot)
		r = measure_image(&v, u.kernel, ret_why);
	if (r == 0)
		r = measure_sections(&v, &u.pe, ret_why);
	if (r == 0)
		r = measure_linux(&v, u.command_line, "", u.initrd);
	if (r < 0)
		return r;
	v.measures_without_tpm = linux_image_measures_without_tpm(u.kernel);
	*ret = v;
	return 0;
}

int boot_values_rtmr1(const struct boot_values *v, struct digest *ret)
{
	static const char *const handing_over[] = { "Exit Boot Services Invocation",
						    "Exit Boot Services Returned with Success" };
	struct digest rtmr = v->pcr[BOOT_PCR_IMAGES], d;
	int r = 0;

	if (v->alg != HASH_SHA384)
		return -EINVAL;
	if (!v->direct || !(v->known >> BOOT_PCR_IMAGES & 1))
		return -ENODATA;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(handing_over); i++) {
		r = digest_of(v->alg, view_text(handing_over[i]), &d);
		if (r == 0)
			r = digest_extend(&rtmr, digest_view(&d));
	}
	if (r == 0)
		*ret = rtmr;
	return r;
}

int boot_values_rtmr2(const struct boot_values *v, struct digest *ret)
{
	if (v->alg != HASH_SHA384)
		return -EINVAL;
	if (!v->measures_without_tpm || !(v->known >> BOOT_PCR_LINUX & 1))
		return -ENODATA;
	*ret = v->pcr[BOOT_PCR_LINUX];
	return 0;
}

int boot_values_aggregate(const struct boot_values *v, struct digest *ret)
{
	const uint32_t all = (1u << BOOT_PCR_AGGREGATE) - 1;
	struct view parts[BOOT_PCR_AGGREGATE];

	if ((v->known & all) != all)
		return -ENODATA;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		parts[i] = digest_view(&v->pcr[i]);
	return digest_of_parts(v->alg, parts, ARRAY_LEN(parts), ret);
}

int boot_values_ima(struct boot_values *v)
{
	static const char name[] = "boot_aggregate";
	const char *alg = hash_name(v->alg);
	struct digest aggregate, entry;
	const uint8_t second[4] = { sizeof(name) }, no_signature[4] = { 0 };
	uint8_t first[4] = { 0 };
	struct view parts[7];
	int r;

	r = boot_values_aggregate(v, &aggregate);
	if (r < 0)
		return r;
	/* Template ima-ng: each field behind its length; "sha256:", NUL and digest; name and NUL.
	 */
	first[0] = (uint8_t)(strlen(alg) + 2 + aggregate.size);
	parts[0] = view_of(first, sizeof(first));
	parts[1] = view_text(alg);
	parts[2] = view_of(":", 2);
	parts[3] = digest_view(&aggregate);
	parts[4] = view_of(second, sizeof(second));
	parts[5] = view_of(name, sizeof(name));
	parts[6] = view_of(no_signature, sizeof(no_signature));
	r = digest_of_parts(v->alg, parts, ARRAY_LEN(parts), &entry);
	if (r < 0)
		return r;
	v->pcr[BOOT_PCR_IMA] = digest_zero(v->alg);
	r = digest_extend(&v->pcr[BOOT_PCR_IMA], digest_view(&entry));
	if (r == 0)
		v->known |= 1u << BOOT_PCR_IMA;
	return r;
}
