/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_NETWORK_BPF_H
#define ASSAY_BPF_FOLLOW_NETWORK_BPF_H

/* Sockets, traffic, and devices out of reach. */
#include "bpf/follow_maps.bpf.h"

/*
 * Why inet_sock_set_state: below every way to get there, io_uring too. Runs for each change of
 * each TCP socket, so it looks at the state before anything else. Both states are entered
 * in the process's own context.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_sock_state, const struct sock *sk, int old_state, int new_state)
{
	__u32 tgid, kind;
	struct follow_ledger *l;
	struct follow_member *m;
	struct follow_record *r;

	if (new_state == TCP_STATE_LISTEN)
		kind = FOLLOW_LISTEN;
	else if (new_state == TCP_STATE_SYN_SENT)
		kind = FOLLOW_CONNECT;
	else
		return 0;
	tgid = current_tgid();
	m = bpf_map_lookup_elem(&members, &tgid);
	if (!m)
		return 0;
	l = this_ledger();
	if (!l)
		return 0;
	r = begin(l, m->slot, kind);
	if (!r)
		return 0;
	r->pid = tgid;
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->protocol = BPF_CORE_READ(sk, sk_protocol);
	r->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (r->family == AF_INET) {
		BPF_CORE_READ_INTO((__u32 *)r->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__u32 *)r->remote, sk, __sk_common.skc_daddr);
	} else if (r->family == AF_INET6 &&
		   bpf_core_field_exists(((struct sock_common *)0)->skc_v6_daddr)) {
		BPF_CORE_READ_INTO((struct in6_addr *)r->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)r->remote, sk, __sk_common.skc_v6_daddr);
	}
	submit(l, r);
	return 0;
}

static __always_inline struct follow_traffic *this_traffic(void)
{
	return bpf_get_local_storage(&traffic, 0);
}

/* Why cgroup_skb: every packet of every socket of the cgroup, at the IP level, without sampling. */
SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct follow_traffic *t = this_traffic();

	__sync_fetch_and_add(&t->sent_bytes, skb->len);
	__sync_fetch_and_add(&t->sent_packets, 1);
	return 1;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct follow_traffic *t = this_traffic();

	__sync_fetch_and_add(&t->received_bytes, skb->len);
	__sync_fetch_and_add(&t->received_packets, 1);
	return 1;
}

/*
 * Why a device program: an application that could ask the chip for reports itself could
 * forge measurements. It holds for root in the cgroup too, and for nodes made with mknod.
 */
SEC("cgroup/dev")
int on_device(struct bpf_cgroup_dev_ctx *ctx)
{
	struct follow_device key = {
		.type = ctx->access_type & 0xffff,
		.major = ctx->major,
		.minor = ctx->minor,
	};
	struct follow_traffic *t;

	if (!bpf_map_lookup_elem(&denied, &key)) {
		key.minor = FOLLOW_ANY_MINOR;
		if (!bpf_map_lookup_elem(&denied, &key))
			return 1;
	}
	t = this_traffic();
	__sync_fetch_and_add(&t->devices_denied, 1);
	return 0;
}

#endif
