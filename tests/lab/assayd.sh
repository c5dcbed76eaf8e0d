#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# assayd itself with `protect`, and what another root process can do to it. Its parent is this shell,
# which may end it as a service manager may; whoever else tries is a child of this shell.
failed=0
case_of() { # name, command: passes if it succeeds
	name=$1
	shift
	if "$@" 2>/tmp/case.err; then
		echo "[       OK ] $name"
	else
		echo "[  FAILED  ] $name"
		cat /tmp/case.err
		failed=1
	fi
}
refused() { ! sh -c "$1; exit \$?"; }
other() { sh -c "$1; exit \$?"; }
lives() { [ -n "$1" ] && [ -d "/proc/$1" ] && ! grep -q '^State:.[ZT]' "/proc/$1/status"; }

mkdir -p /etc/assay /var/lib/assay /run/assay
cp /tests/app /tmp/app
for name in measured unmeasured; do echo content >/tmp/$name; done
mknod /tmp/chip c 10 224
assayd --config "$1" >/tmp/assayd.log 2>&1 &
monitor=$! net=
for _ in $(seq 1 600); do
	grep -q 'assayd .*: 1 application' /tmp/assayd.log && break
	lives $monitor || break
	sleep 1
done
for child in $(cat /proc/$monitor/task/$monitor/children); do # the application is another
	grep -q '^assayd-net$' "/proc/$child/comm" && net=$child
done
sleep 300 &
stranger=$!
case_of it_started lives "$monitor"
case_of it_has_its_net_process lives "$net"
for _ in $(seq 1 300); do # once measured, files are watched
	grep -q 'M = Hash(MI)' /tmp/assayd.log && break
	lives $monitor || break
	sleep 1
done
case_of it_measures grep -q 'M = Hash(MI)' /tmp/assayd.log
for who in monitor net; do
	eval "pid=\$$who"
	case_of "${who}_kill_is_refused" refused "kill -KILL $pid"
	case_of "${who}_stop_is_refused" refused "kill -STOP $pid"
	case_of "${who}_memory_is_refused" refused "exec 3</proc/$pid/mem"
	case_of "${who}_environment_is_refused" refused "cat /proc/$pid/environ"
	case_of "${who}_lives" lives "$pid"
done
case_of measured_file_is_refused refused "echo x >>/tmp/measured"
case_of measured_file_is_not_removed refused "rm /tmp/measured"
case_of measured_file_is_as_it_was [ "$(cat /tmp/measured)" = content ]
case_of chip_is_refused sh -c '! (exec 3</tmp/chip) 2>/tmp/chip.err; grep -q "not permitted" /tmp/chip.err'
# The same at what is not protected.
case_of stranger_memory other "exec 3</proc/$stranger/mem"
case_of stranger_environment other "cat /proc/$stranger/environ >/dev/null"
case_of stranger_stop other "kill -STOP $stranger"
case_of stranger_kill other "kill -KILL $stranger"
case_of unmeasured_file other "echo x >>/tmp/unmeasured && rm /tmp/unmeasured"
# Who started it may end it.
case_of its_parent_ends_it kill -TERM "$monitor"
wait "$monitor"
case_of it_ended_as_told [ $? -eq 0 ]
case_of nothing_is_left_of_the_guard other "echo x >>/tmp/measured && rm /tmp/measured"
[ $failed -eq 0 ] || cat /tmp/assayd.log
exit $failed
