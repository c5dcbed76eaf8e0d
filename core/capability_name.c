/* SPDX-License-Identifier: Apache-2.0 */
#include "capability_name.h"

#include <linux/capability.h>
#include <stdio.h>
#include <strings.h>

#define NAME(n) [n] = #n

static const char *const names[] = {
	NAME(CAP_CHOWN),	   NAME(CAP_DAC_OVERRIDE),   NAME(CAP_DAC_READ_SEARCH),
	NAME(CAP_FOWNER),	   NAME(CAP_FSETID),	     NAME(CAP_KILL),
	NAME(CAP_SETGID),	   NAME(CAP_SETUID),	     NAME(CAP_SETPCAP),
	NAME(CAP_LINUX_IMMUTABLE), NAME(CAP_NET_BIND_SERVICE), NAME(CAP_NET_BROADCAST),
	NAME(CAP_NET_ADMIN),	   NAME(CAP_NET_RAW),	     NAME(CAP_IPC_LOCK),
	NAME(CAP_IPC_OWNER),	   NAME(CAP_SYS_MODULE),     NAME(CAP_SYS_RAWIO),
	NAME(CAP_SYS_CHROOT),	   NAME(CAP_SYS_PTRACE),     NAME(CAP_SYS_PACCT),
	NAME(CAP_SYS_ADMIN),	   NAME(CAP_SYS_BOOT),	     NAME(CAP_SYS_NICE),
	NAME(CAP_SYS_RESOURCE),	   NAME(CAP_SYS_TIME),	     NAME(CAP_SYS_TTY_CONFIG),
	NAME(CAP_MKNOD),	   NAME(CAP_LEASE),	     NAME(CAP_AUDIT_WRITE),
	NAME(CAP_AUDIT_CONTROL),   NAME(CAP_SETFCAP),	     NAME(CAP_MAC_OVERRIDE),
	NAME(CAP_MAC_ADMIN),	   NAME(CAP_SYSLOG),	     NAME(CAP_WAKE_ALARM),
	NAME(CAP_BLOCK_SUSPEND),   NAME(CAP_AUDIT_READ),     NAME(CAP_PERFMON),
	NAME(CAP_BPF),		   NAME(CAP_CHECKPOINT_RESTORE),
};

int capability_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcasecmp(names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

const char *capability_text(uint64_t set, char to[CAPABILITY_TEXT_MAX])
{
	const char *before = "";
	size_t at = 0;

	snprintf(to, CAPABILITY_TEXT_MAX, "none");
	for (unsigned int i = 0; i < 64 && at < CAPABILITY_TEXT_MAX; i++) {
		if (!(set >> i & 1))
			continue;
		if (i < ARRAY_LEN(names))
			at += (size_t)snprintf(to + at, CAPABILITY_TEXT_MAX - at, "%s%s", before,
					       names[i]);
		else
			at += (size_t)snprintf(to + at, CAPABILITY_TEXT_MAX - at, "%s%u", before,
					       i);
		before = ", ";
	}
	return to;
}
