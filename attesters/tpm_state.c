/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tss2/tss2_mu.h>

#include "cleanup.h"
#include "tpm.h"

/*
 * The file: MAGIC, then TPM2B_NAME of the SRK, TPM2B_PUBLIC and TPM2B_PRIVATE of the AK. The
 * private part is wrapped: only the TPM that made it can use it.
 */
#define MAGIC	  "assay tpm ak 1\n"
#define FILE_NAME "tpm-ak"
#define FILE_NEW  "tpm-ak.new"
#define FILE_MAX  8192

static int directory_open(const struct tpm *t, int *ret)
{
	int fd;

	fd = open(t->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	*ret = fd;
	return 0;
}

static int state_parse(struct view v, struct tpm *t, TPM2B_NAME *ret_srk_name)
{
	TPM2B_PRIVATE private = { 0 };
	TPM2B_PUBLIC public = { 0 };
	TPM2B_NAME name = { 0 };
	size_t at = strlen(MAGIC);

	if (v.len < at || memcmp(v.data, MAGIC, at) != 0)
		return -EBADMSG;
	if (Tss2_MU_TPM2B_NAME_Unmarshal(v.data, v.len, &at, &name) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PUBLIC_Unmarshal(v.data, v.len, &at, &public) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(v.data, v.len, &at, &private) != TSS2_RC_SUCCESS ||
	    at != v.len)
		return -EBADMSG;
	t->ak_public = public;
	t->ak_private = private;
	*ret_srk_name = name;
	return 0;
}

int tpm_state_read(struct tpm *t, TPM2B_NAME *ret_srk_name)
{
	struct bytes content = BYTES_INIT(FILE_MAX);
	CLEANUP(cleanup_fd) int dir = -1;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	if (!t->state)
		return -ENOENT;
	r = directory_open(t, &dir);
	if (r < 0)
		return r;
	fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	r = bytes_read_fd(&content, fd);
	if (r == 0)
		r = state_parse(bytes_view(&content), t, ret_srk_name);
	bytes_done(&content);
	return r == -EMSGSIZE ? -EBADMSG : r;
}

static int write_file(int dir, const uint8_t *data, size_t len)
{
	CLEANUP(cleanup_fd) int fd = -1;
	ssize_t n;

	/* Left by a crash, or not ours: never written through. */
	if (unlinkat(dir, FILE_NEW, 0) < 0 && errno != ENOENT)
		return neg_errno();
	fd = openat(dir, FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return neg_errno();
	while (len > 0) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		data += n;
		len -= (size_t)n;
	}
	if (fsync(fd) < 0)
		return neg_errno();
	return 0;
}

int tpm_state_write(const struct tpm *t, const TPM2B_NAME *srk_name)
{
	uint8_t content[FILE_MAX] = MAGIC;
	size_t len = strlen(MAGIC);
	CLEANUP(cleanup_fd) int dir = -1;
	int r;

	if (Tss2_MU_TPM2B_NAME_Marshal(srk_name, content, sizeof(content), &len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PUBLIC_Marshal(&t->ak_public, content, sizeof(content), &len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(&t->ak_private, content, sizeof(content), &len) !=
		    TSS2_RC_SUCCESS)
		return -EMSGSIZE;
	r = directory_open(t, &dir);
	if (r < 0)
		return r;
	r = write_file(dir, content, len);
	if (r < 0)
		return r;
	if (renameat(dir, FILE_NEW, dir, FILE_NAME) < 0)
		return neg_errno();
	return fsync(dir) < 0 ? neg_errno() : 0;
}
