/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a file system image into a LUKS2 image, as dm-crypt would: aes-xts-plain64 with a 64-byte
 * volume key and 4096-byte sectors, the tweak counting 512-byte ones. cryptsetup formats a file
 * without device-mapper, but does not write into it; a build machine need not have one.
 *
 * usage: luks_fill VOLUME-KEY OFFSET PLAIN LUKS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#define KEY_SIZE 64
#define SECTOR	 4096
#define TWEAKS	 (SECTOR / 512)

static int fail(const char *what)
{
	fprintf(stderr, "luks_fill: %s: %s\n", what, strerror(errno));
	return 1;
}

static int read_key(const char *path, unsigned char key[KEY_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, key, KEY_SIZE);

	if (fd >= 0)
		close(fd);
	if (n >= 0 && n != KEY_SIZE)
		errno = EINVAL;
	return n == KEY_SIZE ? 0 : -1;
}

static int seal(EVP_CIPHER_CTX *ctx, const unsigned char key[KEY_SIZE], uint64_t number,
		unsigned char *sector)
{
	unsigned char tweak[16] = { 0 };
	uint64_t count = number * TWEAKS;
	int len;

	for (size_t i = 0; i < sizeof(count); i++)
		tweak[i] = (unsigned char)(count >> (8 * i));
	if (EVP_EncryptInit_ex(ctx, EVP_aes_256_xts(), NULL, key, tweak) != 1 ||
	    EVP_EncryptUpdate(ctx, sector, &len, sector, SECTOR) != 1 || len != SECTOR) {
		errno = EIO;
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned char key[KEY_SIZE], sector[SECTOR];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	char *end = NULL;
	uint64_t offset, number;
	ssize_t n;
	int from, to;

	if (argc != 5 || !ctx) {
		fprintf(stderr, "usage: luks_fill VOLUME-KEY OFFSET PLAIN LUKS\n");
		return 2;
	}
	offset = strtoull(argv[2], &end, 10);
	if (*end || offset % SECTOR != 0) {
		fprintf(stderr, "luks_fill: the offset is no multiple of %d\n", SECTOR);
		return 2;
	}
	if (read_key(argv[1], key) < 0)
		return fail(argv[1]);
	from = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return fail(argv[3]);
	to = open(argv[4], O_WRONLY | O_CLOEXEC);
	if (to < 0)
		return fail(argv[4]);
	for (number = 0; (n = read(from, sector, SECTOR)) == SECTOR; number++) {
		if (seal(ctx, key, number, sector) < 0)
			return fail(argv[3]);
		if (pwrite(to, sector, SECTOR, (off_t)(offset + number * SECTOR)) != SECTOR)
			return fail(argv[4]);
	}
	if (n != 0) {
		errno = n < 0 ? errno : EINVAL; /* no whole number of sectors */
		return fail(argv[3]);
	}
	EVP_CIPHER_CTX_free(ctx);
	close(from);
	return close(to) < 0 ? fail(argv[4]) : 0;
}
