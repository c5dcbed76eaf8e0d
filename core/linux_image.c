/* SPDX-License-Identifier: Apache-2.0 */
#include "linux_image.h"

#include <string.h>

#include "boot_values.h"

/* Fields of the setup header. */
#define SETUP_BOOT_FLAG	     0x1fe
#define SETUP_MAGIC	     0x202
#define SETUP_VERSION	     0x206
#define SETUP_LOADER	     0x210
#define SETUP_LOAD_FLAGS     0x211
#define SETUP_INITRD_AT	     0x218
#define SETUP_INITRD_SIZE    0x21c
#define SETUP_HEAP_END	     0x224
#define SETUP_COMMAND_AT     0x228
#define SETUP_EXTENDED_FLAGS 0x236
#define SETUP_END	     0x240

#define BOOT_FLAG	0xaa55
#define VERSION_MIN	0x020c
#define LOADED_HIGH	0x01 /* of the load flags: a bzImage */
#define CAN_USE_HEAP	0x80
#define INITRD_ABOVE_4G 0x0002 /* of the extended flags */

/* QEMU 7.2, hw/i386/x86.c and pc_q35.c. */
#define QEMU_LOADER	     0xb0
#define QEMU_HEAP_END	     0xfe00
#define QEMU_COMMAND_AT	     0x20000
#define QEMU_ACPI_SIZE	     0x28000
#define Q35_LOW_MEMORY_MAX   0xb0000000u
#define Q35_LOW_MEMORY_SPLIT 0x80000000u
#define PAGE_MASK	     4095u

#define GUID_NEAR 64 /* bytes between the halves of a GUID in code */

static void put_le16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

static void put_le32(uint8_t *at, uint32_t v)
{
	put_le16(at, (uint16_t)v);
	put_le16(at + 2, (uint16_t)(v >> 16));
}

static uint16_t le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static bool has_text(struct view image, const char *text)
{
	return memmem(image.data, image.len, text, strlen(text)) != NULL;
}

int linux_image_check(struct view image, const char **ret_why)
{
	const uint8_t *d = image.data;

	if (image.len > BOOT_KERNEL_MAX) {
		*ret_why = "the kernel has more than 256 MiB";
		return -EMSGSIZE;
	}
	*ret_why = "the kernel is not a bzImage of boot protocol 2.12 or newer";
	if (image.len < SETUP_END || le16(d + SETUP_BOOT_FLAG) != BOOT_FLAG ||
	    memcmp(d + SETUP_MAGIC, "HdrS", 4) != 0 || le16(d + SETUP_VERSION) < VERSION_MIN ||
	    !(d[SETUP_LOAD_FLAGS] & LOADED_HIGH))
		return -EBADMSG;
	/* The stub is not compressed, nor are the names under which it logs what it measures. */
	*ret_why = "the kernel's EFI stub does not measure command line and initrd";
	if (!has_text(image, "LOADED_IMAGE::LoadOptions") || !has_text(image, "Linux initrd"))
		return -EBADMSG;
	return 0;
}

/*
 * The stub asks for EFI_CC_MEASUREMENT_PROTOCOL by its GUID, 96751a3d-72f4-41a6-a794-ed5d0e67ae6b,
 * which the compiler keeps whole or as two numbers close to each other.
 */
bool linux_image_measures_without_tpm(struct view image)
{
	static const uint8_t first[8] = { 0x3d, 0x1a, 0x75, 0x96, 0xf4, 0x72, 0xa6, 0x41 };
	static const uint8_t second[8] = { 0xa7, 0x94, 0xed, 0x5d, 0x0e, 0x67, 0xae, 0x6b };
	const uint8_t *at = memmem(image.data, image.len, first, sizeof(first));
	size_t near;

	if (!at)
		return false;
	at += sizeof(first);
	near = image.len - (size_t)(at - image.data);
	near = near < GUID_NEAR ? near : GUID_NEAR;
	return memmem(at, near, second, sizeof(second)) != NULL;
}

int linux_image_as_qemu_loads(uint8_t *image, size_t len, uint32_t initrd_size, uint32_t memory_mib,
			      const char **ret_why)
{
	uint64_t memory = (uint64_t)memory_mib << 20;
	uint32_t low = memory >= Q35_LOW_MEMORY_MAX ? Q35_LOW_MEMORY_SPLIT : (uint32_t)memory;
	uint32_t initrd_max;

	if (len < SETUP_END || !(le16(image + SETUP_EXTENDED_FLAGS) & INITRD_ABOVE_4G)) {
		*ret_why = "the kernel is not for x86-64";
		return -EBADMSG;
	}
	if (low < QEMU_ACPI_SIZE || initrd_size >= low - QEMU_ACPI_SIZE) {
		*ret_why = "the initrd does not fit into so little memory";
		return -EINVAL;
	}
	initrd_max = low - QEMU_ACPI_SIZE - 1;
	image[SETUP_LOADER] = QEMU_LOADER;
	image[SETUP_LOAD_FLAGS] |= CAN_USE_HEAP;
	put_le16(image + SETUP_HEAP_END, QEMU_HEAP_END);
	put_le32(image + SETUP_COMMAND_AT, QEMU_COMMAND_AT);
	put_le32(image + SETUP_INITRD_AT, (initrd_max - initrd_size) & ~PAGE_MASK);
	put_le32(image + SETUP_INITRD_SIZE, initrd_size);
	return 0;
}
