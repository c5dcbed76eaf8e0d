/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/app_server.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "errors.h"

int memfd_of(const void *data, size_t len, int seals)
{
	int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

void send_raw(int peer, const void *data, size_t len, int fd, size_t copies)
{
	union {
		char room[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { (void *)data, len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (copies > 0) {
		struct cmsghdr *c;

		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(copies * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(copies * sizeof(int));
		for (size_t i = 0; i < copies; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	}
	(void)!sendmsg(peer, &m, MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
}

void send_answer(int peer, const Assay__Answer *a, int fd, size_t copies)
{
	uint8_t packet[65536];

	assert_true(assay__answer__get_packed_size(a) <= sizeof(packet));
	send_raw(peer, packet, assay__answer__pack(a, packet), fd, copies);
}

Assay__Answer answer_to(const Assay__Request *q)
{
	Assay__Answer a = ASSAY__ANSWER__INIT;

	a.id = q->id;
	return a;
}

Assay__Answer secret_answer(const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	a.has_secret = true;
	a.name = q->get_secret->name[0] ? q->get_secret->name : (char *)"block-2-key";
	a.stage = q->get_secret->stage ? q->get_secret->stage : 2;
	return a;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct pollfd fds[8] = { { .fd = s->listener, .events = POLLIN } };
	nfds_t n = 1;

	for (;;) {
		if (poll(fds, n, -1) < 0)
			return NULL;
		if (fds[0].revents & (POLLHUP | POLLERR))
			break; /* shut down by the test */
		if (fds[0].revents & POLLIN && n < ARRAY_LEN(fds)) {
			fds[n].fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
			fds[n].events = POLLIN;
			fds[n].revents = 0;
			if (fds[n].fd < 0)
				break;
			n++;
		}
		for (nfds_t i = 1; i < n; i++) {
			uint8_t packet[4096];
			Assay__Request *q;
			ssize_t len;

			if (!fds[i].revents)
				continue;
			len = recv(fds[i].fd, packet, sizeof(packet), 0);
			if (len <= 0) {
				close(fds[i].fd);
				fds[i--] = fds[--n];
				continue;
			}
			q = assay__request__unpack(NULL, (size_t)len, packet);
			assert_non_null(q);
			s->seen++;
			s->behave(s, fds[i].fd, q);
			assay__request__free_unpacked(q, NULL);
		}
	}
	while (n > 1)
		close(fds[--n].fd);
	return NULL;
}

void server_start(struct server *s,
		  void (*behave)(struct server *s, int peer, const Assay__Request *q))
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	*s = (struct server){ .behave = behave };
	/* One server a socket: the address of s tells those of this process apart. */
	snprintf(s->path, sizeof(s->path), "@assay-test-%d-%p", getpid(), (void *)s);
	memcpy(to.sun_path + 1, s->path + 1, strlen(s->path) - 1);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(
		bind(s->listener, (struct sockaddr *)&to,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(s->path))),
		0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

void server_stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
