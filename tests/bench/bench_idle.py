#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an idle assayd costs: one application (nginx, a master and two workers) under a TPM,
`every: 10s`; resident memory and CPU of both processes, with the verifier connected and then with
it away. Beside it, in the same seconds: an empty libevent loop, and redis-server without a client.

RSS counts a page once for each process that has it mapped, PSS divides it among them. A missed
target is printed and is no failure."""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import scene
from lab import Failure

TARGET_RSS = 16 * 1024  # KiB, of both processes together
TARGET_CPU = 0.1        # percent of a core
SETTLE_SECONDS = 3
MEMORY_EVERY_SECONDS = 1


def memory(pid):
    """Rss, Pss and Anonymous in KiB."""
    found = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                name, _, rest = line.partition(":")
                if name in ("Rss", "Pss", "Anonymous"):
                    found[name.lower()] = int(rest.split()[0])
    except ProcessLookupError:
        raise Failure(f"process {pid} ended while it was watched") from None
    return found


def cpu_ns(pid):
    """Time on a CPU of all its threads."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def resident_by_file(pid):
    """[(name, KiB, of it anonymous)], largest first."""
    sizes = collections.defaultdict(lambda: [0, 0])
    name = ""
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)", line)
            if head:
                name = os.path.basename(head[1]) or "(anonymous)"
            elif line.startswith("Rss:"):
                sizes[name][0] += int(line.split()[1])
            elif line.startswith("Anonymous:"):
                sizes[name][1] += int(line.split()[1])
    return sorted(((n, *kib) for n, kib in sizes.items() if kib[0]), key=lambda x: -x[1])


def watch(groups, seconds):
    """groups: {name: pids}. For each the most memory seen and the share of a core, in percent."""
    start, before = time.monotonic(), {n: [cpu_ns(p) for p in pids] for n, pids in groups.items()}
    most = {n: collections.Counter() for n in groups}
    while time.monotonic() - start < seconds:
        time.sleep(min(MEMORY_EVERY_SECONDS, seconds))
        for name, pids in groups.items():
            now = collections.Counter()
            for pid in pids:
                now.update(memory(pid))
            most[name] |= now  # the larger of each
    wall = (time.monotonic() - start) * 1e9
    result = {}
    for name, pids in groups.items():
        spent = [cpu_ns(p) - b for p, b in zip(pids, before[name])]
        result[name] = {"rss_kib": most[name]["rss"], "pss_kib": most[name]["pss"],
                        "anonymous_kib": most[name]["anonymous"],
                        "cpu_percent": round(sum(spent) / wall * 100, 4),
                        "cpu_ms": [round(s / 1e6, 2) for s in spent]}
    return result


def each_process(pids, state):
    names = ("monitor", "net")
    return ({name: memory(pid) for name, pid in zip(names, pids)},
            {f"{name}, {state}": resident_by_file(pid) for name, pid in zip(names, pids)})


def bench(args, yardsticks):
    with scene.measured_nginx(args.build, f"[{{at: start}}, {{every: {args.every}}}]") as lab:
        pids = scene.monitor_and_net(lab)
        groups = {"assayd": pids, **yardsticks}
        time.sleep(SETTLE_SECONDS)
        good = scene.accepted(lab)
        connected = watch(groups, args.seconds)
        connected["rounds"] = scene.accepted(lab) - good
        connected["processes"], maps = each_process(pids, "connected")
        lab.verifier.stop()
        time.sleep(SETTLE_SECONDS)
        away = watch(groups, args.seconds)
        away["processes"], more = each_process(pids, "away")
    return {"connected": connected, "away": away, "maps": {**maps, **more}}


def start_yardsticks(build, directory):
    found = {"empty libevent loop": subprocess.Popen([os.path.join(build, "bin", "idle_loop")])}
    if scene.have("redis-server"):
        found["redis-server"] = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", f"{directory}/redis", "--save", "",
             "--daemonize", "no"], cwd=directory, stdout=subprocess.DEVNULL)
    return found


def show(result):
    print(f"{'idle':28} {'RSS KiB':>8} {'PSS KiB':>8} {'anon KiB':>8} {'CPU %':>8}")
    for state in ("connected", "away"):
        for name in ("assayd", *result["yardsticks"]):
            one = result[state].get(name)
            label = f"assayd, verifier {state}" if name == "assayd" else f"  {name}"
            print(f"{label:28} {one['rss_kib']:8} {one['pss_kib']:8} {one['anonymous_kib']:8} "
                  f"{one['cpu_percent']:8.4f}")
            for process, kib in result[state]["processes"].items() if name == "assayd" else ():
                print(f"{'  of it ' + process:28} {kib['rss']:8} {kib['pss']:8} "
                      f"{kib['anonymous']:8}")
    c = result["connected"]
    if c["rounds"]:
        print(f"\n{c['rounds']} rounds while connected, CPU ms: monitor {c['assayd']['cpu_ms'][0]}, "
              f"net {c['assayd']['cpu_ms'][1]}; {sum(c['assayd']['cpu_ms']) / c['rounds']:.2f} a "
              "round")
    print(f"target: RSS of both under {TARGET_RSS} KiB: {'met' if result['met_rss'] else 'MISSED'}; "
          f"CPU under {TARGET_CPU} %: {'met' if result['met_cpu'] else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(scene.HERE, "../../build/release"))
    parser.add_argument("--seconds", type=float, default=60, help="of each state (60)")
    parser.add_argument("--every", default="10s", help="the period of the time nodes (10s)")
    parser.add_argument("--maps", action="store_true", help="what is resident, file by file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-idle-") as directory:
        yardsticks = start_yardsticks(args.build, directory)
        try:
            result = bench(args, {name: [p.pid] for name, p in yardsticks.items()})
        finally:
            for p in yardsticks.values():
                p.kill()
                p.wait()
    worst = {key: max(result[s]["assayd"][key] for s in ("connected", "away"))
             for key in ("rss_kib", "cpu_percent")}
    maps = result.pop("maps")
    result.update(bench="idle", seconds=args.seconds, every=args.every,
                  yardsticks=list(yardsticks), target_rss_kib=TARGET_RSS,
                  target_cpu_percent=TARGET_CPU, met_rss=worst["rss_kib"] < TARGET_RSS,
                  met_cpu=worst["cpu_percent"] < TARGET_CPU, machine=scene.machine())
    if args.json:
        json.dump(result, sys.stdout, indent=2, sort_keys=True)
        print()
        return
    print(scene.machine_text(result["machine"]) + f"; {args.seconds:g} s each, every: {args.every}\n")
    show(result)
    for process, files in maps.items() if args.maps else ():
        print(f"\n{process}: KiB resident, of it anonymous")
        for name, kib, anonymous in files:
            print(f"  {name:32} {kib:6} {anonymous:6}")


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        print(f"bench_idle: {e}", file=sys.stderr)
        sys.exit(3)
