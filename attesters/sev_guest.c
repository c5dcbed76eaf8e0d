/* SPDX-License-Identifier: Apache-2.0 */
#include "sev_guest.h"

#include <fcntl.h>
#include <linux/sev-guest.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "cleanup.h"

#define MESSAGE_VERSION	 1
#define RESPONSE_HEAD	 32	/* status u32, size u32, 24 reserved (AMD 56860, MSG_REPORT_RSP) */
#define CERTIFICATES_MAX 0x4000 /* what the driver takes */
#define PAGE		 4096
#define BUSY_TRIES	 10
#define BUSY_PAUSE_MS	 100

/* A request in memory: its three parts are found by address. */
struct guest_request {
	struct snp_guest_request_ioctl command;
	struct snp_ext_report_req ask;
	struct snp_report_resp answer;
	uint8_t *certificates; /* room for ask.certs_len */
};

int sev_guest_probe(char *ret_why, size_t size)
{
	CLEANUP(cleanup_fd) int fd = open(SEV_GUEST_DEVICE, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? neg_errno() : 0;

	snprintf(ret_why, size, "%s: %s", SEV_GUEST_DEVICE, r < 0 ? strerror(-r) : "it is there");
	return r;
}

static void pause_a_little(void)
{
	struct timespec wait = { .tv_nsec = BUSY_PAUSE_MS * 1000 * 1000 };

	nanosleep(&wait, NULL);
}

/* One ioctl; -ENOSPC: more room for certificates is needed, ask.certs_len says how much. */
static int send_request(int fd, struct guest_request *q, unsigned long request)
{
	unsigned int busy = 0;
	int r;

	for (;;) {
		q->command = (struct snp_guest_request_ioctl){
			.msg_version = MESSAGE_VERSION,
			.req_data = (uintptr_t)&q->ask,
			.resp_data = (uintptr_t)&q->answer,
		};
		memset(&q->answer, 0, sizeof(q->answer));
		r = ioctl(fd, request, &q->command) < 0 ? neg_errno() : 0;
		if (r < 0 && q->command.vmm_error == SNP_GUEST_VMM_ERR_INVALID_LEN)
			return -ENOSPC;
		if (r < 0 && q->command.vmm_error == SNP_GUEST_VMM_ERR_BUSY)
			r = -EBUSY;
		if ((r != -EBUSY && r != -EINTR && r != -EAGAIN) || ++busy == BUSY_TRIES)
			return r;
		pause_a_little();
	}
}

static int grow_certificates(struct guest_request *q, uint32_t len)
{
	uint8_t *room;

	if (len == 0 || len % PAGE != 0 || len > CERTIFICATES_MAX)
		return -EMSGSIZE;
	room = aligned_alloc(PAGE, len);
	if (!room)
		return -ENOMEM;
	memset(room, 0, len);
	free(q->certificates);
	q->certificates = room;
	q->ask.certs_address = (uintptr_t)room;
	q->ask.certs_len = len;
	return 0;
}

/* The host's certificates may have grown since it said how long they are: once more, then. */
static int ask_extended(int fd, struct guest_request *q)
{
	int r;

	q->ask.certs_address = 0;
	q->ask.certs_len = 0;
	for (unsigned int tries = 0; tries < 3; tries++) {
		r = send_request(fd, q, SNP_GET_EXT_REPORT);
		if (r != -ENOSPC)
			return r;
		r = grow_certificates(q, q->ask.certs_len);
		if (r < 0)
			return r;
	}
	return -EMSGSIZE;
}

static int take_answer(const struct guest_request *q, struct tee_job *job)
{
	struct reader in = reader_of(view_of(q->answer.data, sizeof(q->answer.data)));
	uint32_t status = 0, len = 0;
	struct view head, report;
	int r;

	r = read_view(&in, RESPONSE_HEAD, &head);
	if (r == 0) {
		struct reader h = reader_of(head);

		r = read_le32(&h, &status);
		if (r == 0)
			r = read_le32(&h, &len);
	}
	if (r == 0 && status != 0) {
		snprintf(job->why, sizeof(job->why), "%s: the firmware's status is 0x%x",
			 SEV_GUEST_DEVICE, status);
		return -EIO;
	}
	if (r == 0)
		r = read_view(&in, len, &report);
	if (r < 0) {
		snprintf(job->why, sizeof(job->why), "%s: a report of %u bytes", SEV_GUEST_DEVICE,
			 len);
		return r;
	}
	r = bytes_append_view(&job->answer.outblob, report);
	if (r == 0 && q->certificates)
		r = bytes_append(&job->answer.auxblob, q->certificates, q->ask.certs_len);
	return r;
}

static void request_free(struct guest_request **q)
{
	if (*q)
		free((*q)->certificates);
	free(*q);
}

int sev_guest_ask(struct tee_job *job)
{
	CLEANUP(request_free) struct guest_request *q = calloc(1, sizeof(*q));
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	if (!q)
		return -ENOMEM;
	fd = open(SEV_GUEST_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		r = neg_errno();
		snprintf(job->why, sizeof(job->why), "%s: %s", SEV_GUEST_DEVICE, strerror(-r));
		return r;
	}
	memcpy(q->ask.data.user_data, job->request.inblob, sizeof(q->ask.data.user_data));
	r = ask_extended(fd, q);
	if (r == -EMSGSIZE) {
		/* The report stands without them: the verifier may have its own. */
		free(TAKE(q->certificates));
		r = send_request(fd, q, SNP_GET_REPORT);
	}
	if (r < 0) {
		snprintf(job->why, sizeof(job->why), "%s: %s (firmware 0x%x, VMM 0x%x)",
			 SEV_GUEST_DEVICE, r == -EBUSY ? "the host asks to wait" : strerror(-r),
			 q->command.fw_error, q->command.vmm_error);
		return r;
	}
	return take_answer(q, job);
}
