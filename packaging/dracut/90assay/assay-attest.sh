#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Once, as soon as the devices are there: assayd has the boot judged and opens the disks; it goes on
# above the new root by itself. What fails ends as the configuration has it (initrd.on_failure):
# assayd turns the machine off or starts it again. Nothing goes on unattested.
if [ -e /etc/assay/assayd.yaml ] && [ ! -e /run/initramfs/assay-attested ]; then
	/usr/sbin/assayd --initrd
	status=$?
	if [ "$status" -eq 0 ]; then
		mkdir -p /run/initramfs
		: >/run/initramfs/assay-attested
	elif [ "$status" -eq 3 ]; then
		# A shell is what the configuration wants.
		emergency_shell "assayd: the boot was not attested"
	else
		echo "assayd ended with status $status: the machine is turned off" >/dev/console
		poweroff -f || echo o >/proc/sysrq-trigger
		while :; do sleep 60; done
	fi
fi
