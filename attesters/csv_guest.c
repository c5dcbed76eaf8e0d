/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <openssl/rand.h>

#include "cleanup.h"

_Static_assert(sizeof(struct csv_guest_input) == 132, "the kernel's layout");
_Static_assert(sizeof(struct csv_guest_report_req) == 16, "the kernel's layout");
_Static_assert(sizeof(struct csv_guest_rtmr_req) == 24, "the kernel's layout");
_Static_assert(sizeof(struct csv_guest_rtmr_status) == 3, "the kernel's layout");
_Static_assert(sizeof(struct csv_guest_rtmr_value) == 36, "the kernel's layout");
_Static_assert(sizeof(struct csv_guest_rtmr_extension) == 36, "the kernel's layout");

/* A report's room; the host writes into it, by pages. */
struct page {
	_Alignas(CSV_GUEST_PAGE) uint8_t bytes[CSV_GUEST_PAGE];
};

static int open_device(int *ret)
{
	int fd = open(CSV_GUEST_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return neg_errno();
	*ret = fd;
	return 0;
}

int csv_guest_probe(char *ret_why, size_t size)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	r = open_device(&fd);
	snprintf(ret_why, size, "%s: %s", CSV_GUEST_DEVICE, r < 0 ? strerror(-r) : "it is there");
	return r;
}

static int rtmr_request(int fd, enum csv_guest_rtmr_command command, void *buffer, size_t len)
{
	struct csv_guest_rtmr_req q = {
		.buffer = (uintptr_t)buffer,
		.len = len,
		.command = (uint16_t)command,
	};

	if (ioctl(fd, CSV_GUEST_RTMR, &q) < 0)
		return neg_errno();
	return q.firmware_error ? -EIO : 0;
}

/* A guest without CSV3, and a firmware without registers, say so in one way or another. */
static bool has_registers(int fd)
{
	struct csv_guest_rtmr_status status = { .state = 0 };

	return rtmr_request(fd, CSV_GUEST_RTMR_STATUS, &status, sizeof(status)) == 0 &&
	       status.state == CSV_GUEST_RTMR_WORKING;
}

static int write_request(const struct tee_job *job, bool extended, struct page *ret)
{
	struct csv_guest_input in = { .flags = { 0 } };
	struct digest hash;
	int r;

	if (RAND_bytes(in.mnonce, sizeof(in.mnonce)) != 1)
		return -EIO;
	memcpy(in.user_data, job->request.inblob, sizeof(in.user_data));
	r = digest_of(HASH_SM3, view_of(&in, sizeof(in.user_data) + sizeof(in.mnonce)), &hash);
	if (r < 0)
		return r;
	memcpy(in.hash, hash.bytes, sizeof(in.hash));
	if (extended) {
		memcpy(in.magic, CSV_GUEST_MAGIC, sizeof(in.magic));
		in.flags[0] = CSV_GUEST_EXTENDED;
	}
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->bytes, &in, sizeof(in));
	return 0;
}

static int append_answer(const struct page *page, bool extended, struct bytes *ret)
{
	static const uint8_t legacy[16];
	const uint8_t flags[4] = { extended ? CSV_GUEST_EXTENDED : 0 };
	int r;

	r = bytes_append(ret, extended ? (const void *)CSV_GUEST_MAGIC : legacy, sizeof(legacy));
	if (r == 0)
		r = bytes_append(ret, flags, sizeof(flags));
	if (r == 0)
		r = bytes_append(ret, page->bytes, sizeof(page->bytes));
	return r;
}

int csv_guest_ask(struct tee_job *job)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct csv_guest_report_req q = { .len = CSV_GUEST_PAGE };
	struct page page, asked;
	bool extended;
	int r;

	r = open_device(&fd);
	if (r == 0) {
		extended = has_registers(fd);
		r = write_request(job, extended, &page);
	}
	if (r == 0) {
		asked = page;
		q.page = (uintptr_t)page.bytes;
		/* A host that refuses the hypercall gives a number that is no errno. */
		r = ioctl(fd, CSV_GUEST_GET_REPORT, &q);
		r = r < 0 ? neg_errno() : r > 0 ? -EIO : 0;
	}
	if (r == 0 && memcmp(&asked, &page, sizeof(page)) == 0)
		r = -EIO;
	if (r < 0) {
		snprintf(job->why, sizeof(job->why), "%s: %s", CSV_GUEST_DEVICE,
			 r == -EIO ? "the chip or the host refused the request" : strerror(-r));
		return r;
	}
	return append_answer(&page, extended, &job->answer.outblob);
}

int csv_guest_rtmr_read(struct digest *ret)
{
	struct csv_guest_rtmr_value value = { .bitmap = { 1 << CSV_GUEST_REGISTER } };
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	r = open_device(&fd);
	if (r < 0)
		return r;
	if (!has_registers(fd))
		return -EOPNOTSUPP;
	r = rtmr_request(fd, CSV_GUEST_RTMR_READ, &value, sizeof(value));
	if (r < 0)
		return r;
	/* It says which it gave. */
	if (value.bitmap[0] != 1 << CSV_GUEST_REGISTER)
		return -EIO;
	return digest_from(HASH_SM3, view_of(value.value, sizeof(value.value)), ret);
}

int csv_guest_rtmr_extend(const struct digest *d)
{
	struct csv_guest_rtmr_extension x = { .index = CSV_GUEST_REGISTER,
					      .len = { CSV_GUEST_DIGEST } };
	CLEANUP(cleanup_fd) int fd = -1;
	struct digest of_bank = *d;
	int r;

	if (d->alg != HASH_SM3) {
		r = digest_of(HASH_SM3, digest_view(d), &of_bank);
		if (r < 0)
			return r;
	}
	memcpy(x.data, of_bank.bytes, sizeof(x.data));
	r = open_device(&fd);
	return r < 0 ? r : rtmr_request(fd, CSV_GUEST_RTMR_EXTEND, &x, sizeof(x));
}
