/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef ASSAY_BPF_FOLLOW_FILES_BPF_H
#define ASSAY_BPF_FOLLOW_FILES_BPF_H

/*
 * Changes of watched files: what an application was measured as and what it has mapped as code.
 * Known by device and inode, so no name, link or mount leads past these programs.
 */
#include "bpf/follow_maps.bpf.h"

/* The last part of a name of the file; it may have others. */
static __always_inline void take_name(struct follow_record *r, struct inode *inode)
{
	struct hlist_node *alias = BPF_CORE_READ(inode, i_dentry.first);
	struct dentry *dentry;

	if (!alias)
		return;
	dentry = (void *)alias - bpf_core_field_offset(struct dentry, d_u.d_alias);
	bpf_probe_read_kernel_str(r->text, sizeof(r->text), BPF_CORE_READ(dentry, d_name.name));
}

/* The counter of every event; the record only once a window, or a log would fill the ring. */
static __always_inline void file_changed(struct inode *inode, __u32 change)
{
	struct follow_file key = {
		.device = BPF_CORE_READ(inode, i_sb, s_dev),
		.inode = BPF_CORE_READ(inode, i_ino),
	};
	struct follow_watched *w = bpf_map_lookup_elem(&files, &key);
	struct follow_ledger *l;
	struct follow_record *r;
	__u64 slots, now;
	bool told;

	if (!w)
		return;
	__sync_fetch_and_add(&w->changes, 1);
	slots = w->slots;
	now = *(volatile __u64 *)&window_number;
	told = w->told == now;
	w->told = now;
	l = this_ledger();
	for (__u32 slot = 0; slot < FOLLOW_SLOTS; slot++) {
		if (!(slots & 1ULL << slot))
			continue;
		if (told || !l) {
			count(slot, FOLLOW_FILE_CHANGED);
			continue;
		}
		r = begin(l, slot, FOLLOW_FILE_CHANGED);
		if (!r)
			continue;
		r->value = change;
		r->device = key.device;
		r->inode = key.inode;
		take_name(r, inode);
		submit(l, r);
	}
}

/* True while the kernel makes or reads the inode: its times are set, but nothing changes. */
static __always_inline bool inode_is_new(struct inode *inode)
{
	struct inode___wrapped *wrapped = (void *)inode;
	struct inode___word *word = (void *)inode;
	struct inode___enum *in_enum = (void *)inode;

	if (bpf_core_field_exists(wrapped->i_state.__state))
		return BPF_CORE_READ(wrapped, i_state.__state) & INODE_STATE_NEW;
	if (bpf_core_field_exists(in_enum->i_state))
		return BPF_CORE_READ(in_enum, i_state) & INODE_STATE_NEW;
	/* Before it was an enum, I_NEW was 1 << 3. */
	if (bpf_core_field_exists(word->i_state))
		return BPF_CORE_READ(word, i_state) & 1 << 3;
	return false;
}

/*
 * Why writeback_dirty_folio: below write(), stores to a shared mapping and io_uring alike. It comes
 * when a page goes from clean to dirty, so once for many stores.
 */
SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(on_dirty_folio, struct folio *folio, struct address_space *mapping)
{
	if (mapping)
		file_changed(BPF_CORE_READ(mapping, host), FOLLOW_CHANGE_CONTENT);
	return 0;
}

/*
 * Why the setting of ctime, in its three forms: every change of a file passes here (write, truncate,
 * chmod, link, unlink, rename of it and over it), and reading does not. utimes() cannot forge it.
 */
SEC("tp_btf/inode_set_ctime_to_ts")
int BPF_PROG(on_ctime_set, struct inode *inode)
{
	if (!inode_is_new(inode))
		file_changed(inode, FOLLOW_CHANGE_INODE);
	return 0;
}

SEC("tp_btf/ctime_ns_xchg")
int BPF_PROG(on_ctime_change, struct inode *inode)
{
	if (!inode_is_new(inode))
		file_changed(inode, FOLLOW_CHANGE_INODE);
	return 0;
}

SEC("tp_btf/ctime_xchg_skip")
int BPF_PROG(on_ctime_same, struct inode *inode)
{
	if (!inode_is_new(inode))
		file_changed(inode, FOLLOW_CHANGE_INODE);
	return 0;
}

/*
 * Why writeback_mark_inode_dirty: for kernels without the above (before 6.13). One flag alone is a
 * new atime or a dirty page, which has its own hook; more at once are a change of the inode.
 */
SEC("tp_btf/writeback_mark_inode_dirty")
int BPF_PROG(on_inode_dirty, struct inode *inode, int flags)
{
	if (flags & (flags - 1))
		file_changed(inode, FOLLOW_CHANGE_INODE);
	return 0;
}

#endif
