#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Process 1 of the Debian root in which tests/attacks run: what a distribution's init would do, the
# suite, and the end of the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
exec </dev/null >/dev/ttyS0 2>&1
ln -sf /proc/self/fd /dev/fd
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
for fs in cgroup2:/sys/fs/cgroup securityfs:/sys/kernel/security tracefs:/sys/kernel/tracing \
	bpf:/sys/fs/bpf configfs:/sys/kernel/config; do
	mount -t "${fs%%:*}" "${fs%%:*}" "${fs#*:}" || echo "mount $fs failed"
done
ip link set lo up
hostname machine
printf '@{"kernel": "%s", "lsm": "%s", "up": %s}\n' "$(uname -r)" \
	"$(cat /sys/kernel/security/lsm)" "$(cut -d' ' -f1 /proc/uptime)"
cd /opt/assay || exit
begin=$(cut -d. -f1 /proc/uptime)
# shellcheck disable=SC2046
python3 tests/attacks/run.py --build /opt/assay/build --jobs 1 --json /tmp/column.json \
	$(cat /opt/assay/arguments)
status=$?
[ -s /tmp/column.json ] && printf '\n@{"column": %s}\n' "$(cat /tmp/column.json)"
printf '\n@{"end": "attacks", "status": %d, "seconds": %d}\n' $status \
	$(($(cut -d. -f1 /proc/uptime) - begin))
sync
echo '@{"off": true}'
sleep 1
echo o >/proc/sysrq-trigger
sleep 60
