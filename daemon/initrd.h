/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_INITRD_H
#define ASSAY_DAEMON_INITRD_H

#include "config.h"

/*
 * `assayd --initrd`: assayd before there is a root file system. The process that was started is
 * the front: it makes the machine ready (file systems of the kernel, modules, network, devices),
 * starts assayd proper as its child, waits until that has opened every disk, and hands over. As
 * process 1 it mounts the new root, switches to it and becomes its init; otherwise it ends with 0
 * and whoever started it (initramfs-tools, dracut) goes on. assayd proper stays, and moves to the
 * new root by itself (boot.h).
 *
 * What fails is said on the console and ends as the configuration has it: power off, reboot, or a
 * shell. A disk is never mounted that was not opened after a good verdict.
 */

#define INITRD_NEW_ROOT "/newroot"
#define INITRD_WHY_MAX	1024

/* What assayd proper tells the front, one packet each, over a SOCK_SEQPACKET socket. */
struct initrd_report {
	enum { INITRD_OPEN = 1, INITRD_FAILED } what;
	char why[INITRD_WHY_MAX]; /* of INITRD_FAILED */
};

/*
 * True where the root directory is in memory, as an initramfs is: systemd's own rule beside
 * /etc/initrd-release.
 */
bool initrd_root_in_memory(void);

/*
 * True in an initramfs that no other root has taken the place of. Process 1 may ask before there
 * is a /proc.
 */
bool initrd_here(void);

/*
 * Returns only as assayd proper, a child of the front, with the end of the socket that it reports
 * on. The front itself never returns.
 */
int initrd_enter(const struct config *c);

/* The steps of making ready; each 0, or a negative errno and in ret_why what to do. */

/* Mounts of the kernel's file systems that are not there yet, and a console. */
MUST_CHECK int initrd_mount_all(char *ret_why, size_t size);
/* Into the new root, where those of the kernel move with it. */
MUST_CHECK int initrd_mount_root(const struct config_initrd *c, char *ret_why, size_t size);
/* As process 1: the new root becomes the root, and its init runs. Returns only what failed. */
int initrd_switch_root(const struct config_initrd *c, char *ret_why, size_t size);

MUST_CHECK int initrd_load_modules(const struct config_initrd *c, char *ret_why, size_t size);

/*
 * Words of a list of modules: the first of each line; '#' begins a comment. Pure. Cuts text up;
 * returns their number, for at most max.
 */
size_t initrd_module_list(char *text, const char **ret, size_t max);

/* Loopback and, where one is configured, the interface: up, with its address and route. */
MUST_CHECK int initrd_network_up(const struct config_initrd *c, char *ret_why, size_t size);

/* Waits for the chip and for the disks of the configuration. */
MUST_CHECK int initrd_wait_for_devices(const struct config *c, char *ret_why, size_t size);

/* Says why, and ends as it is configured. daemon: assayd proper, ended first; 0: none. */
_Noreturn void initrd_give_up(const struct config_initrd *c, pid_t daemon, const char *why);

#endif
