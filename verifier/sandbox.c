/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

/* What libevent, OpenSSL, malloc and logging call once everything is read. */
static const int allowed[] = {
	SCMP_SYS(read),		  SCMP_SYS(write),
	SCMP_SYS(readv),	  SCMP_SYS(writev),
	SCMP_SYS(close),	  SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),	  SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),	  SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),	  SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),	  SCMP_SYS(poll),
	SCMP_SYS(ppoll),	  SCMP_SYS(accept4),
	SCMP_SYS(shutdown),	  SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),	  SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),	  SCMP_SYS(fcntl),
	SCMP_SYS(fstat),	  SCMP_SYS(lseek),
	SCMP_SYS(munmap),	  SCMP_SYS(mremap),
	SCMP_SYS(madvise),	  SCMP_SYS(brk),
	SCMP_SYS(futex),	  SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),	  SCMP_SYS(time),
	SCMP_SYS(getrandom),	  SCMP_SYS(timerfd_settime),
	SCMP_SYS(rt_sigreturn),	  SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
	SCMP_SYS(sigaltstack),	  SCMP_SYS(sched_yield),
	SCMP_SYS(getpid),	  SCMP_SYS(gettid),
	SCMP_SYS(getuid),	  SCMP_SYS(geteuid),
	SCMP_SYS(exit),		  SCMP_SYS(exit_group),
};

static int become(const char *user)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return -ENOENT;
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return neg_errno();
	return 0;
}

static int filter(bool dials)
{
	scmp_filter_ctx ctx;
	int r = 0;

	/* Refused calls fail: what a library only tries (a locale, a time zone) does not end it. */
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0 && dials) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
		for (int family = 0; r == 0 && family < 2; family++)
			r = seccomp_rule_add(
				ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, family == 0 ? AF_INET : AF_INET6, 0));
	}
	/* Memory may come and change its protection, and is never executable. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int sandbox_enter(const char *user, bool dials)
{
	int r;

	r = become(user);
	if (r < 0)
		return r;
	/* Becoming another user forgets this, so it comes after: no keeper, no appraiser. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return neg_errno();
	return filter(dials);
}
