/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Follows the processes of measured applications. What is recorded about others is
 * only what they do to an application; every program leaves early for the rest. One object,
 * because all programs share its maps; one header a concern.
 */
#include "bpf/follow_maps.bpf.h"

#include "bpf/follow_access.bpf.h"
#include "bpf/follow_files.bpf.h"
#include "bpf/follow_members.bpf.h"
#include "bpf/follow_network.bpf.h"
#include "bpf/follow_syscalls.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
