/* SPDX-License-Identifier: Apache-2.0 */
#include "ioctl_stand_in.h"

#include <linux/sev-guest.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attesters/csv_guest.h"
#include "attesters/sev_guest.h"
#include "own_mounts.h"

#define NULL_MAJOR	 1 /* /dev/null: it can be opened, and has no ioctl of its own */
#define NULL_MINOR	 3
#define PAGE		 4096
#define CERTIFICATES_MAX 0x4000
#define REGISTERS_MIN	 3 /* those before are the firmware's */

struct ioctl_stand_in {
	pthread_t thread;
	int notify, stop;
	pthread_mutex_t lock;
	struct made_chip *chip; /* under lock, as all that follows */
	struct ioctl_faults faults;
	uint8_t last[MADE_CHIP_DATA];
	unsigned int requests, reports;
};

/* The ioctl of another thread or process. */
struct call {
	struct ioctl_stand_in *s;
	pid_t pid;
	uint64_t argument;
};

static int get(const struct call *c, uint64_t from, void *to, size_t len)
{
	struct iovec here = { to, len }, there = { (void *)(uintptr_t)from, len };

	return process_vm_readv(c->pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

static int put(const struct call *c, uint64_t to, const void *from, size_t len)
{
	struct iovec here = { (void *)(uintptr_t)from, len },
		     there = { (void *)(uintptr_t)to, len };

	return process_vm_writev(c->pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

/* drivers/virt/coco/sev-guest/sev-guest.c */

static int snp_fail(const struct call *c, struct snp_guest_request_ioctl *q, uint32_t vmm,
		    int error)
{
	q->vmm_error = vmm;
	return put(c, c->argument, q, sizeof(*q)) < 0 ? -EFAULT : error;
}

static int snp_answer(const struct call *c, struct snp_guest_request_ioctl *q,
		      const struct bytes *report)
{
	const struct ioctl_faults *f = &c->s->faults;
	struct snp_report_resp answer = { .data = { 0 } };
	uint32_t size = f->report_size ? f->report_size : (uint32_t)report->len;

	/* Little-endian, as every machine that has the device. */
	memcpy(answer.data, &f->firmware_status, sizeof(f->firmware_status));
	memcpy(answer.data + 4, &size, sizeof(size));
	if (f->firmware_status == 0)
		memcpy(answer.data + 32, report->data, report->len);
	c->s->reports++;
	q->exitinfo2 = 0;
	if (put(c, q->resp_data, &answer, sizeof(answer)) < 0)
		return -EFAULT;
	return put(c, c->argument, q, sizeof(*q));
}

static int snp_request(const struct call *c, bool extended)
{
	struct bytes report = BYTES_INIT(PAGE), certificates = BYTES_INIT(4 * CERTIFICATES_MAX);
	struct ioctl_faults *f = &c->s->faults;
	struct snp_guest_request_ioctl q;
	struct snp_ext_report_req ask = { .certs_len = 0 };
	uint8_t data[MADE_CHIP_DATA];
	uint32_t room;
	int r;

	if (get(c, c->argument, &q, sizeof(q)) < 0 ||
	    get(c, q.req_data, &ask, extended ? sizeof(ask) : sizeof(ask.data)) < 0)
		return -EFAULT;
	if (q.msg_version == 0)
		return -EINVAL;
	if (f->error < 0)
		return snp_fail(c, &q, 0, f->error);
	if (f->busy > 0) {
		f->busy--;
		return snp_fail(c, &q, SNP_GUEST_VMM_ERR_BUSY, -EAGAIN);
	}
	if (ask.certs_len > CERTIFICATES_MAX || ask.certs_len % PAGE != 0)
		return -EINVAL;
	memcpy(data, f->stale ? c->s->last : ask.data.user_data, sizeof(data));
	made_chip_report(c->s->chip, data, &report, &certificates);
	room = f->certificates ? f->certificates : (uint32_t)certificates.len;
	if (f->growing)
		room = ask.certs_len + PAGE;
	if (extended && ask.certs_len < room) {
		ask.certs_len = room;
		r = put(c, q.req_data, &ask, sizeof(ask));
		if (r == 0)
			r = snp_fail(c, &q, SNP_GUEST_VMM_ERR_INVALID_LEN, -EIO);
	} else {
		memcpy(c->s->last, ask.data.user_data, sizeof(c->s->last));
		r = snp_answer(c, &q, &report);
		if (r == 0 && extended)
			r = put(c, ask.certs_address, certificates.data, certificates.len);
	}
	bytes_done(&report);
	bytes_done(&certificates);
	return r;
}

static int snp_report(const struct call *c)
{
	c->s->requests++;
	return snp_request(c, false);
}

static int snp_extended_report(const struct call *c)
{
	c->s->requests++;
	return snp_request(c, true);
}

/* drivers/virt/coco/csv-guest/csv-guest.c of Hygon's kernels */

static int csv_get_report(const struct call *c)
{
	struct ioctl_stand_in *s = c->s;
	struct csv_guest_report_req q;
	struct csv_guest_input in;
	uint8_t data[MADE_CHIP_DATA], page[MADE_CHIP_PAGE];
	struct digest hash;
	bool extended;

	s->requests++;
	if (s->faults.error < 0)
		return s->faults.error;
	if (s->faults.silent)
		return 0;
	if (get(c, c->argument, &q, sizeof(q)) < 0 || get(c, q.page, &in, sizeof(in)) < 0)
		return -EFAULT;
	/* The firmware refuses what was damaged on the way. */
	if (q.len < MADE_CHIP_PAGE ||
	    digest_of(HASH_SM3, view_of(&in, sizeof(in.user_data) + sizeof(in.mnonce)), &hash) <
		    0 ||
	    memcmp(hash.bytes, in.hash, sizeof(in.hash)) != 0)
		return -EIO;
	extended = memcmp(in.magic, CSV_GUEST_MAGIC, sizeof(in.magic)) == 0 &&
		   (in.flags[0] & CSV_GUEST_EXTENDED);
	memcpy(data, s->faults.stale ? s->last : in.user_data, sizeof(data));
	memcpy(s->last, in.user_data, sizeof(s->last));
	made_chip_csv_page(s->chip, extended ? 2 : 1, data, in.mnonce, page);
	s->reports++;
	if (put(c, q.page, page, sizeof(page)) < 0)
		return -EFAULT;
	return s->faults.positive;
}

static int csv_read_register(const struct call *c, const struct csv_guest_rtmr_req *q)
{
	struct csv_guest_rtmr_value value;

	if (q->len < sizeof(value))
		return -EINVAL;
	if (get(c, q->buffer, &value, sizeof(value)) < 0)
		return -EFAULT;
	for (size_t i = 0; i < made_chip_registers(c->s->chip); i++) {
		if (value.bitmap[0] == 1 << i) {
			memcpy(value.value, made_chip_register(c->s->chip, i), sizeof(value.value));
			return put(c, q->buffer, &value, sizeof(value));
		}
	}
	return -EINVAL;
}

static int csv_extend_register(const struct call *c, const struct csv_guest_rtmr_req *q)
{
	struct csv_guest_rtmr_extension x;

	if (q->len < sizeof(x))
		return -EINVAL;
	if (get(c, q->buffer, &x, sizeof(x)) < 0)
		return -EFAULT;
	if (x.index < REGISTERS_MIN || x.index >= made_chip_registers(c->s->chip) ||
	    x.len[0] != sizeof(x.data) || x.len[1] != 0)
		return -EINVAL;
	if (c->s->faults.firmware_status == 0)
		made_chip_extend(c->s->chip, x.index, x.data);
	return 0;
}

static int csv_registers(const struct call *c)
{
	const struct ioctl_faults *f = &c->s->faults;
	struct csv_guest_rtmr_status status = { { 1, 0 }, CSV_GUEST_RTMR_WORKING };
	struct csv_guest_rtmr_req q;
	int r = -EINVAL;

	if (get(c, c->argument, &q, sizeof(q)) < 0)
		return -EFAULT;
	if (f->no_registers)
		return -ENODEV;
	if (f->register_state)
		status.state = f->register_state;
	if (q.command == CSV_GUEST_RTMR_STATUS && q.len >= sizeof(status))
		r = put(c, q.buffer, &status, sizeof(status));
	else if (q.command == CSV_GUEST_RTMR_READ)
		r = csv_read_register(c, &q);
	else if (q.command == CSV_GUEST_RTMR_EXTEND)
		r = csv_extend_register(c, &q);
	if (r == 0 && q.command != CSV_GUEST_RTMR_STATUS)
		q.firmware_error = f->firmware_status;
	return r < 0 ? r : put(c, c->argument, &q, sizeof(q));
}

static const struct {
	const char *platform, *device;
	unsigned long request;
	int (*answer)(const struct call *c);
} rows[] = {
	{ "sev-snp", SEV_GUEST_DEVICE, SNP_GET_REPORT, snp_report },
	{ "sev-snp", SEV_GUEST_DEVICE, SNP_GET_EXT_REPORT, snp_extended_report },
	{ "csv", CSV_GUEST_DEVICE, CSV_GUEST_GET_REPORT, csv_get_report },
	{ "csv", CSV_GUEST_DEVICE, CSV_GUEST_RTMR, csv_registers },
};

static int answer(struct ioctl_stand_in *s, const struct seccomp_notif *q)
{
	const struct call c = { s, (pid_t)q->pid, q->data.args[2] };
	int r = -ENOTTY;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; s->chip && i < ARRAY_LEN(rows); i++) {
		if (rows[i].request == (uint32_t)q->data.args[1] &&
		    strcmp(rows[i].platform, made_chip_platform(s->chip)) == 0)
			r = rows[i].answer(&c);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void answer_one(struct ioctl_stand_in *s, struct seccomp_notif *q,
		       struct seccomp_notif_resp *a)
{
	int r;

	memset(q, 0, sizeof(*q));
	memset(a, 0, sizeof(*a));
	/* It may have been killed since. */
	if (seccomp_notify_receive(s->notify, q) != 0)
		return;
	r = answer(s, q);
	a->id = q->id;
	a->error = r < 0 ? r : 0;
	a->val = r < 0 ? -1 : r;
	seccomp_notify_respond(s->notify, a);
}

static void *serve(void *arg)
{
	struct ioctl_stand_in *s = arg;
	struct seccomp_notif *q = NULL;
	struct seccomp_notif_resp *a = NULL;
	uint64_t told;

	/* The filter is loaded by the thread that it is for, after this one was made. */
	if (read(s->stop, &told, sizeof(told)) != sizeof(told) || s->notify < 0 ||
	    seccomp_notify_alloc(&q, &a) != 0)
		return NULL;
	for (;;) {
		struct pollfd p[] = { { s->notify, POLLIN, 0 }, { s->stop, POLLIN, 0 } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			break;
		if (p[0].revents & POLLIN)
			answer_one(s, q, a);
		else if (p[0].revents)
			break; /* nobody is left whom it is for */
	}
	seccomp_notify_free(q, a);
	return NULL;
}

static int load_filter(int *ret_notify)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return -ENOMEM;
	/* What is started afterwards shall be as it is without. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, rows[i].request));
	if (r == 0)
		r = seccomp_load(ctx);
	if (r == 0) {
		r = seccomp_notify_fd(ctx);
		*ret_notify = r;
	}
	seccomp_release(ctx);
	return r < 0 ? r : 0;
}

int ioctl_stand_in_start(struct ioctl_stand_in **ret)
{
	struct ioctl_stand_in *s = calloc(1, sizeof(*s));
	uint64_t one = 1;
	int r;

	if (!s)
		return -ENOMEM;
	s->notify = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->stop = eventfd(0, EFD_CLOEXEC);
	r = s->stop < 0 ? neg_errno() : own_mounts_cover("/dev");
	if (r == 0)
		r = -pthread_create(&s->thread, NULL, serve, s);
	if (r < 0) {
		free(s);
		return r;
	}
	r = load_filter(&s->notify);
	if (write(s->stop, &one, sizeof(one)) < 0 && r == 0)
		r = neg_errno();
	if (r < 0) {
		ioctl_stand_in_stop(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ioctl_stand_in_stop(struct ioctl_stand_in *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	if (write(s->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(s->thread, NULL);
	if (s->notify >= 0)
		close(s->notify);
	close(s->stop);
	free(s);
}

int ioctl_stand_in_chip(struct ioctl_stand_in *s, struct made_chip *chip)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	s->chip = chip;
	s->faults = (struct ioctl_faults){ 0 };
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++) {
		bool here = chip && strcmp(rows[i].platform, made_chip_platform(chip)) == 0;

		if (!here)
			r = unlink(rows[i].device) < 0 && errno != ENOENT ? neg_errno() : 0;
		else if (mknod(rows[i].device, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR)) <
				 0 &&
			 errno != EEXIST)
			r = neg_errno();
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

void ioctl_stand_in_faults(struct ioctl_stand_in *s, const struct ioctl_faults *faults)
{
	pthread_mutex_lock(&s->lock);
	s->faults = *faults;
	pthread_mutex_unlock(&s->lock);
}

unsigned int ioctl_stand_in_requests(struct ioctl_stand_in *s)
{
	unsigned int n;

	pthread_mutex_lock(&s->lock);
	n = s->requests;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned int ioctl_stand_in_reports(struct ioctl_stand_in *s)
{
	unsigned int n;

	pthread_mutex_lock(&s->lock);
	n = s->reports;
	pthread_mutex_unlock(&s->lock);
	return n;
}
