/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_PROC_TEXT_H
#define ASSAY_COLLECTORS_PROC_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/*
 * What the kernel writes under /proc, taken apart. Pure. A program chooses its
 * own name, arguments and file names, so they may look like anything, a line of these files too.
 */

#define PROC_COMM_MAX 64 /* kernel threads' names reach this; a program's 16 */

/* Clock ticks a second in /proc, fixed in the kernel's interface (USER_HZ). */
#define PROC_TICK_NS (1000000000ULL / 100)

struct proc_stat {
	pid_t pid, parent;
	char comm[PROC_COMM_MAX];
	char state;
	bool exiting; /* on its way out: it has no memory any more, or will not have it soon */
	uint64_t user_ticks, system_ticks; /* of all its threads, ended ones too */
	uint64_t children_user_ticks, children_system_ticks; /* ended and waited for */
	uint32_t threads;
	uint64_t start_ticks; /* CLOCK_BOOTTIME */
	uint64_t virtual_bytes;
	uint64_t resident_pages;
};

/*
 * A number that is the whole text but for a newline at its end, as in files of one value and in
 * names of descriptors; not above max. -EBADMSG.
 */
MUST_CHECK int proc_parse_number(struct view text, uint64_t max, uint64_t *ret);

/* /proc/PID/stat (proc(5)). -EBADMSG. */
MUST_CHECK int proc_parse_stat(struct view text, struct proc_stat *ret);

/* Effective user and group in /proc/PID/status. -EBADMSG. */
MUST_CHECK int proc_parse_ids(struct view text, uid_t *ret_uid, gid_t *ret_gid);

/* The number after "KEY:" at the beginning of a line, as in status, smaps_rollup and io. -ENOENT.
 */
MUST_CHECK int proc_parse_key(struct view text, const char *key, uint64_t *ret);

/*
 * Whether the signal is pending for the thread alone (SigPnd in /proc/PID/task/TID/status); a process
 * that ends has SIGKILL there in each of its threads. False too where the text says nothing of it.
 */
MUST_CHECK bool proc_signal_pending(struct view text, int signal);

/* One line of /proc/PID/maps. */
struct proc_mapping {
	uint64_t start, end, offset;
	char protection[5]; /* "r-xp" */
	uint64_t device;    /* as makedev(3) makes it */
	uint64_t inode;	    /* 0: no file */
	bool no_copies;	    /* it can have no private pages; false: that is not known */
	struct view name;   /* path or "[heap]", lent from the text; newlines as \012 */
};

/* Takes the next line off *text. -EBADMSG; -ENOENT: no line is left. */
MUST_CHECK int proc_parse_mapping(struct view *text, struct proc_mapping *ret);

/*
 * The inode in the target of a link like /proc/PID/fd/3, "socket:[1234]". False: it is no
 * socket.
 */
bool proc_parse_socket(const char *target, uint64_t *ret_inode);

/* The next piece of *rest up to the separator, which is left out; false at the end. */
bool proc_piece(struct view *rest, char separator, struct view *ret);

#endif
