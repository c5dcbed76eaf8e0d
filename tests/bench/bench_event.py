#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long from an attack to a refused secret: another process opens the memory of a measured
nginx, `on: event` measures at once, the verifier refuses and latches, and assayd has the verdict.
A whole assayd and verifier on loopback; `attester: soft`, so without a chip's own time. Between
two attacks the application is readmitted, which is not timed.

From just before the open to the line of assayd's log that says the verdict, read through a pipe;
both on CLOCK_MONOTONIC. The steps in between are lines of the two logs, and the time node in the MI
of the verifier's store. Twice: everything on the disk that temporary files are on, and in memory,
so that what committing to a disk costs stands apart; beside it a bare write and fdatasync.

A missed target is printed and is no failure."""
import argparse
import collections
import contextlib
import gc
import json
import os
import random
import re
import sys
import tempfile
import threading
import time

import scene
from bench_nodes import NODE, fields, quantile
from lab import Failure, Lab, until
from programs import Nginx, have

TARGET_MS = 5.0  # p99
NAME = "web"
POLICY = """static: {manifest: web.mtree}
dynamic:
  code: {files: manifest, modified_text: deny, anonymous: deny}
  kernel: {foreign_access: deny, lost: {max: 0}}
stages:
  - {stage: 1, after: static, release: [tls-key]}
"""
NODES = ("[{on: demand}, "
         "{on: event, of: [foreign_access, exec, wx_memory, file_changed]}]")
KIND_EVENT, KIND, DUE, TAKEN = 7, 1, 3, 4  # proto/mi.proto: TimeNode
# Events closer to a node than this are gathered (SCHEDULE_EVENT_GAP_NS): the next attack is later.
QUIET_SECONDS = 0.12
SYNC_BYTES = 64 * 1024

# The lines that end a step, in order. Of assayd where not said otherwise.
STEPS = (
    ("collect", rf"assayd: B3 +{NAME}: .*foreign_access"),
    ("hash", rf"assayd: B4 +{NAME}: "),
    ("sign", rf"assayd: B5 +{NAME}: "),
    ("judge and commit", rf"assay-verifierd: B7 +{NAME}: "),
    ("verdict", rf"assayd: error: {NAME}: refused by the verifier: .*"),
)


def at_once():
    """This thread runs as soon as it is woken, so that a stamp is not late by what else runs."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


class Stamps:
    """Lines of the programs' logs with the time at which they came."""

    def __init__(self):
        self.lines = []
        self.wanted = None
        self.came = threading.Event()
        self.urgent = set()

    def line(self, text):
        now = time.monotonic_ns()
        if threading.get_native_id() not in self.urgent:
            self.urgent.add(threading.get_native_id())
            at_once()
        self.lines.append((now, text))
        if self.wanted and self.wanted.search(text):
            self.wanted = None
            self.came.set()

    def expect(self, pattern):
        """From here on; wait() returns when a line matches."""
        self.came.clear()
        self.lines = []
        self.wanted = re.compile(pattern)

    def wait(self, what, seconds=30):
        if not self.came.wait(seconds):
            raise Failure(f"not within {seconds} s: {what}\n" +
                          "\n".join(text for _, text in self.lines[-20:]))
        return self.lines


def processes(lab):
    """{name: pids} of what an event passes through."""
    monitor, net = scene.monitor_and_net(lab)
    verifier = lab.verifier.pid
    with open(f"/proc/{verifier}/task/{verifier}/children") as f:
        return {"assayd": [monitor], "assayd-net": [net],
                "assay-verifierd": [verifier, *map(int, f.read().split())]}


def before_others(groups):
    """At a real-time priority: whatever else runs on the machine takes no time from them."""
    for pid in (pid for pids in groups.values() for pid in pids):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO | os.SCHED_RESET_ON_FORK,
                                  os.sched_param(1))


def boottime_less_monotonic():
    """MI has times of CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


def attack(pid):
    """What the policy denies: the time just before it."""
    path = f"/proc/{pid}/mem"
    before = time.monotonic_ns()
    os.close(os.open(path, os.O_RDONLY))
    return before


def one_event(lab, stamps, pid):
    """The time of the attack, and of the end of each step."""
    stamps.expect(STEPS[-1][1])
    before = attack(pid)
    lines = stamps.wait("a verdict after the attack")

    def line(pattern):
        return next(((at, text) for at, text in list(lines)
                     if at > before and re.search(pattern, text)), None)
    # The programs' lines come by a thread each: the last of one may be here before another's first.
    for name, pattern in STEPS:
        until(f"the end of step '{name}' in the logs", lambda: line(pattern), 5)
    ends = {name: line(pattern)[0] for name, pattern in STEPS}
    last = line(STEPS[-1][1])[1]
    if "dynamic.kernel.foreign_access" not in last:
        raise Failure(f"refused for something else: {last}")
    stamps.expect(rf"assayd: B8 +{NAME}: accepted by the verifier")
    lab.fleet("readmit", NAME)
    stamps.wait("readmission")
    return before, ends


def event_nodes(lab):
    """(due, taken) of each `on: event` node in the store, all of which must be refused."""
    found = []
    for mi, accepted in lab.rows("select mi, accepted from evidence where kind = 'dynamic' "
                                 "order by id"):
        node = dict(fields(next(v for n, v in fields(mi) if n == NODE)))
        if node[KIND] != KIND_EVENT:
            continue
        if accepted:
            raise Failure("a measurement after an attack was accepted")
        found.append((node[DUE], node[TAKEN]))
    return found


def sync_times(directory, n=50):
    """ns of appending to a file and having it on the disk."""
    took = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as f:
        for _ in range(n):
            start = time.monotonic_ns()
            f.write(bytes(SYNC_BYTES))
            os.fdatasync(f.fileno())
            took.append(time.monotonic_ns() - start)
    return took


def run(args, directory):
    """The times of args.events attacks with all files under directory."""
    stamps = Stamps()
    tempfile.tempdir = directory
    with Lab(args.build, echo=stamps.line) as lab, quiet_collector():
        lab.pki()
        web = Nginx(lab)
        web.measure()
        lab.policy(NAME, POLICY)
        lab.start_verifier()
        lab.start_assayd(web.application(NODES))
        until("nginx serving HTTPS", web.get, 60)
        lab.fleet("demand", NAME)
        until("a dynamic measurement judged good", lambda: scene.accepted(lab) > 0, 30)
        pid = lab.status(NAME)["pid"]
        groups = processes(lab)
        if args.alone:
            before_others(groups)
        offset = boottime_less_monotonic()
        times = []
        for _ in range(args.events):
            time.sleep(QUIET_SECONDS + random.random() * 0.03)
            times.append(one_event(lab, stamps, pid))
        nodes = event_nodes(lab)
        latched = lab.rows("select count(*) from evidence where latched = 1")[0][0]
        syncs = sync_times(lab.dir)
    if len(nodes) != args.events or latched < args.events:
        raise Failure(f"{args.events} attacks, {len(nodes)} event nodes, {latched} latched")
    return summary(times, [(due - offset, taken - offset) for due, taken in nodes], syncs)


@contextlib.contextmanager
def quiet_collector():
    """No garbage collection of ours in the timed part."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def quantiles(values):
    return {"p50_ms": quantile(values, 0.5), "p90_ms": quantile(values, 0.9),
            "p99_ms": quantile(values, 0.99), "max_ms": max(values) / 1e6}


def summary(times, nodes, syncs):
    parts = collections.defaultdict(list)
    for (before, ends), (due, taken) in zip(times, nodes):
        parts["notice"].append(due - before)
        parts["schedule"].append(taken - due)
        at = taken
        for name, _ in STEPS:
            parts[name].append(ends[name] - at)
            at = ends[name]
    return {"all": quantiles([ends[STEPS[-1][0]] - before for before, ends in times]),
            "parts": {name: quantiles(values) for name, values in parts.items()},
            "write_and_fdatasync": quantiles(syncs), "events": len(times)}


def bench(args):
    if os.geteuid() != 0:
        raise Failure("needs root")
    if not have("nginx", "openssl", "curl"):
        raise Failure("needs nginx, openssl and curl")
    before = tempfile.gettempdir()
    places = {"disk": before}
    if os.path.isdir("/dev/shm"):
        places["memory"] = "/dev/shm"
    try:
        return {name: run(args, directory) for name, directory in places.items()}
    finally:
        tempfile.tempdir = before


def show(result):
    print(scene.machine_text(result["machine"]) + f"; {result['disk']['events']} attacks each"
          + ("; at real-time priority" if result["alone"] else "") + "\n")
    print(f"{'attack to refusal, ms':32} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8}")

    def row(label, q):
        print(f"{label:32} {q['p50_ms']:8.3f} {q['p90_ms']:8.3f} {q['p99_ms']:8.3f} "
              f"{q['max_ms']:8.3f}")

    for place in ("disk", "memory"):
        if place not in result:
            continue
        row(f"store on {'a disk' if place == 'disk' else 'a tmpfs'}", result[place]["all"])
        for name, q in result[place]["parts"].items():
            row(f"  {name}", q)
        row(f"  beside it: {SYNC_BYTES >> 10} KiB, fdatasync", result[place]["write_and_fdatasync"])
    print(f"target: p99 under {TARGET_MS} ms, on a disk: {'met' if result['met'] else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(scene.HERE, "../../build/release"))
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--alone", action="store_true", help="assayd and the verifier at real-time "
                        "priority, so that other programs on the machine do not count")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = bench(args)
    result.update(bench="event", alone=args.alone, target_ms=TARGET_MS, machine=scene.machine(),
                  met=result["disk"]["all"]["p99_ms"] < TARGET_MS)
    if args.json:
        json.dump(result, sys.stdout, indent=2, sort_keys=True)
        print()
    else:
        show(result)


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        print(f"bench_event: {e}", file=sys.stderr)
        sys.exit(3)
