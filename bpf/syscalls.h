/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_SYSCALLS_H
#define ASSAY_BPF_SYSCALLS_H

/*
 * The few system calls that our programs tell apart, by their numbers in each table that this
 * machine enters the kernel by: the native one, and on x86 the 32-bit one.
 */
#include "bpf/kernel.h"

enum call {
	CALL_OTHER,
	CALL_READ,
	CALL_PTRACE,
	CALL_PROCESS_VM,
	CALL_PIDFD_GETFD,
	CALL_PROCESS_MADVISE,
	CALL_PERF_EVENT_OPEN,
	CALL_USERFAULTFD,
	CALL_BPF,
	CALL_MREMAP,
	CALL_CREDENTIALS,
};

#if defined(__TARGET_ARCH_x86)
static __always_inline __u32 native_call(__u64 number)
{
	switch (number) {
	case 0:	 /* read */
	case 17: /* pread64 */
	case 19: /* readv */
		return CALL_READ;
	case 25:
		return CALL_MREMAP;
	case 101:
		return CALL_PTRACE;
	case 105: /* setuid */
	case 106: /* setgid */
	case 113: /* setreuid */
	case 114: /* setregid */
	case 116: /* setgroups */
	case 117: /* setresuid */
	case 119: /* setresgid */
	case 126: /* capset */
		return CALL_CREDENTIALS;
	case 298:
		return CALL_PERF_EVENT_OPEN;
	case 310: /* process_vm_readv */
	case 311: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 321:
		return CALL_BPF;
	case 323:
		return CALL_USERFAULTFD;
	case 438:
		return CALL_PIDFD_GETFD;
	case 440:
		return CALL_PROCESS_MADVISE;
	default:
		return CALL_OTHER;
	}
}

static __always_inline __u32 compat_call(__u64 number)
{
	switch (number) {
	case 3:	  /* read */
	case 145: /* readv */
	case 180: /* pread64 */
		return CALL_READ;
	case 26:
		return CALL_PTRACE;
	case 336:
		return CALL_PERF_EVENT_OPEN;
	case 347: /* process_vm_readv */
	case 348: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 438:
		return CALL_PIDFD_GETFD;
	case 440:
		return CALL_PROCESS_MADVISE;
	default:
		return CALL_OTHER;
	}
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline __u32 native_call(__u64 number)
{
	switch (number) {
	case 63: /* read */
	case 65: /* readv */
	case 67: /* pread64 */
		return CALL_READ;
	case 91:  /* capset */
	case 143: /* setregid */
	case 144: /* setgid */
	case 145: /* setreuid */
	case 146: /* setuid */
	case 147: /* setresuid */
	case 149: /* setresgid */
	case 159: /* setgroups */
		return CALL_CREDENTIALS;
	case 117:
		return CALL_PTRACE;
	case 216:
		return CALL_MREMAP;
	case 241:
		return CALL_PERF_EVENT_OPEN;
	case 270: /* process_vm_readv */
	case 271: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 280:
		return CALL_BPF;
	case 282:
		return CALL_USERFAULTFD;
	case 438:
		return CALL_PIDFD_GETFD;
	case 440:
		return CALL_PROCESS_MADVISE;
	default:
		return CALL_OTHER;
	}
}
#endif

/*
 * The system call that the task is in, with two of its arguments as they were saved on entry; what
 * the caller does to its memory or registers since does not change them.
 */
static __always_inline __u32 syscall_of(struct task_struct *task, struct pt_regs *regs,
					__u64 *first, __u64 *second)
{
#if defined(__TARGET_ARCH_x86)
	if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT) {
		*first = (__u32)BPF_CORE_READ(regs, bx);
		*second = (__u32)BPF_CORE_READ(regs, cx);
		return compat_call((__u32)BPF_CORE_READ(regs, orig_ax));
	}
	*first = BPF_CORE_READ(regs, di);
	*second = BPF_CORE_READ(regs, si);
	return native_call(BPF_CORE_READ(regs, orig_ax));
#elif defined(__TARGET_ARCH_arm64)
	*first = BPF_CORE_READ(regs, orig_x0);
	*second = BPF_CORE_READ(regs, regs[1]);
	return native_call((__u32)BPF_CORE_READ(regs, syscallno));
#else
	*first = *second = 0;
	return CALL_OTHER;
#endif
}

#endif
