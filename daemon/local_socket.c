/* SPDX-License-Identifier: Apache-2.0 */
#include "local_socket.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

#define BACKLOG 128

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int local_socket_listen(const char *path, int type, mode_t mode, int *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (unlink(path) < 0)
			return neg_errno();
	}

	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return neg_errno();
	/* Before bind: nobody may connect in between. After: what the umask took away. */
	if (fchmod(fd, mode) < 0)
		return neg_errno();
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return neg_errno();
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return neg_errno();

	*ret = TAKE_FD(fd);
	return 0;
}

int local_socket_peer(int fd, struct local_peer *ret)
{
	struct local_peer p = { .pidfd = -1 };
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return neg_errno();
	p.pid = cred.pid;
	p.uid = cred.uid;
	len = sizeof(p.pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &p.pidfd, &len) < 0) {
		p.pidfd = -1;
		/* ENOPROTOOPT: an older kernel. Anything else: the process is gone. */
		if (errno == ENOPROTOOPT && p.pid > 0)
			p.pidfd = pidfd_open(p.pid, 0);
	}
	*ret = p;
	return 0;
}

void local_peer_done(struct local_peer *p)
{
	cleanup_fd(&p->pidfd);
	p->pidfd = -1;
}

bool local_peer_alive(const struct local_peer *p)
{
	struct pollfd poll_fd = { .fd = p->pidfd, .events = POLLIN };

	return p->pid > 0 && p->pidfd >= 0 && poll(&poll_fd, 1, 0) == 0;
}
