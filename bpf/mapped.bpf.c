// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * An iterator over the mappings that are code, and those of files that are shared and writable, of
 * all processes of an application in one pass: a call into the kernel for each is most of what
 * listing them costs. Each process's are of one moment, under its lock. It loads alone: kernels
 * before 6.7 have no way to walk mappings here, and then they are asked for one by one.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/mapped.h"
#include "bpf/scan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PF_KTHREAD  0x00200000
#define VM_READ	    0x00000001
#define VM_WRITE    0x00000002
#define VM_EXEC	    0x00000004
#define VM_SHARED   0x00000008
#define VM_PFNMAP   0x00000400
#define VM_HUGETLB  0x00400000
#define VM_MIXEDMAP 0x10000000

typedef _Bool bool;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
};
struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};
struct file {
	struct inode *f_inode;
};
struct anon_vma;
struct vm_area_struct {
	unsigned long vm_start, vm_end;
	const unsigned long vm_flags;
	struct anon_vma *anon_vma;
	unsigned long vm_pgoff;
	struct file *vm_file;
};
struct task_struct {
	unsigned int flags;
	int pid, tgid;
	__u64 start_boottime;
};
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

struct bpf_iter_task_vma {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task,
				 __u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;

/* scan.bpf.c's, which user space fills for both. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SCAN_WANTED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} wanted SEC(".maps");

/* In memory, where the verifier does not follow what they count to. */
struct counts {
	__u32 told, seen;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counters SEC(".maps");

static bool is_told(const struct vm_area_struct *vma)
{
	unsigned long flags = vma->vm_flags;

	return flags & VM_EXEC || ((flags & VM_WRITE) && (flags & VM_SHARED) && vma->vm_file);
}

static void describe(struct vm_area_struct *vma, struct mapped_record *m)
{
	unsigned long flags = vma->vm_flags;
	struct file *file = vma->vm_file;

	m->start = vma->vm_start;
	m->end = vma->vm_end;
	m->flags = flags & (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED);
	/* A private page of a file's mapping is one of anon_vma, which is made before it is. */
	if (vma->anon_vma || flags & (VM_PFNMAP | VM_HUGETLB | VM_MIXEDMAP))
		m->flags |= MAPPED_COPIES;
	if (!file)
		return;
	/* Of overlayfs and the like: the file below, which is not the one that is shown. */
	m->page = vma->vm_pgoff;
	m->device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	m->inode = BPF_CORE_READ(file, f_inode, i_ino);
}

/*
 * Why an iterator: no event tells what is mapped by now (mremap has none), and text of /proc costs
 * twenty times as much.
 */
SEC("iter/task")
int mapped(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct mapped_record m = { 0 };
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;
	struct counts *count;
	__u32 zero = 0, tgid;
	bool whole;

	if (!task || task->flags & PF_KTHREAD || task->pid != task->tgid)
		return 0;
	tgid = (__u32)task->tgid;
	if (!bpf_map_lookup_elem(&wanted, &tgid))
		return 0;
	count = bpf_map_lookup_elem(&counters, &zero);
	if (!count)
		return 0;
	count->told = count->seen = 0;
	m.tgid = tgid;
	/* Fails where the lock is held for writing: the process is changing its mappings. */
	whole = bpf_iter_task_vma_new(&it, task, 0) == 0;
	while ((vma = bpf_iter_task_vma_next(&it))) {
		if (++count->seen > MAPPED_SEEN_MAX) {
			whole = 0;
			break;
		}
		if (!is_told(vma))
			continue;
		if (++count->told > MAPPED_RECORDS_MAX) {
			whole = 0;
			break;
		}
		describe(vma, &m);
		bpf_seq_write(ctx->meta->seq, &m, sizeof(m));
		m.page = m.inode = m.device = 0;
	}
	bpf_iter_task_vma_destroy(&it);
	__builtin_memset(&m, 0, sizeof(m));
	m.tgid = tgid;
	m.flags = MAPPED_END | (whole ? MAPPED_WHOLE : 0);
	m.start = task->start_boottime;
	bpf_seq_write(ctx->meta->seq, &m, sizeof(m));
	return 0;
}
