#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How late measurements come in a whole assayd: nginx under a TPM at `every: 100ms`, the verifier
connected; from when each node was due and when it was taken, as the MI in the verifier's store
says. Beside it bench_schedule, right after: daemon/schedule.c alone and a default libevent timer.

A missed target is printed and is no failure."""
import argparse
import json
import os
import subprocess
import sys
import time

import scene
from lab import Failure

TARGET_MS = 0.1  # p50
KIND_EVERY = 2   # proto/mi.proto: TimeNode.Kind.EVERY
NODE = 16        # Mi.node
KIND, NUMBER, DUE, TAKEN, MISSED, UNCOUNTED = 1, 2, 3, 4, 7, 8  # of TimeNode


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of each field of a protobuf message: an int, or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def nodes_of(lab, since):
    """(late in ns, missed before it) of each `every` node after the one numbered since."""
    found = []
    for (mi,) in lab.rows("select mi from evidence where kind = 'dynamic' order by id"):
        node, missed = {}, 0
        for name, value in fields(next(v for n, v in fields(mi) if n == NODE)):
            missed += name == MISSED
            node[name] = value
        if node[KIND] == KIND_EVERY and node[NUMBER] > since:
            found.append((node[TAKEN] - node[DUE], missed + node.get(UNCOUNTED, 0)))
    return found


def last_number(lab):
    return lab.rows("select max(node) from evidence where kind = 'dynamic'")[0][0]


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] / 1e6


def bench(args):
    with scene.measured_nginx(args.build, f"[{{at: start}}, {{every: {args.every}ms}}]") as lab:
        time.sleep(2)
        since = last_number(lab)
        time.sleep(args.seconds)
        found = nodes_of(lab, since)
    if not found:
        raise Failure("no time node was measured")
    late = [ns for ns, _ in found]
    return {"nodes": len(late), "missed": sum(n for _, n in found),
            "p50_ms": quantile(late, 0.5), "p99_ms": quantile(late, 0.99),
            "max_ms": max(late) / 1e6}


def beside(args):
    """bench_schedule: the schedule alone, a default timer, and what the kernel wakes up in."""
    done = subprocess.run([os.path.join(args.build, "bin", "bench_schedule"), "--json", "--every",
                           str(args.every), "--nodes", "50", "--pairs", "3"],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(scene.HERE, "../../build/release"))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--every", type=int, default=100, metavar="MS")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = bench(args)
    result.update(bench="nodes", every_ms=args.every, seconds=args.seconds, target_ms=TARGET_MS,
                  met=result["p50_ms"] < TARGET_MS, schedule=beside(args),
                  machine=scene.machine())
    if args.json:
        json.dump(result, sys.stdout, indent=2, sort_keys=True)
        print()
        return
    print(scene.machine_text(result["machine"]) +
          f"; {args.seconds:g} s, every: {args.every}ms\n")
    print(f"{'how late, ms':32} {'p50':>8} {'p99':>8} {'max':>8}")
    print(f"{'assayd, from MI':32} {result['p50_ms']:8.3f} {result['p99_ms']:8.3f} "
          f"{result['max_ms']:8.3f}   {result['nodes']} nodes, {result['missed']} missed")
    for one in result["schedule"]["ways"]:
        print(f"{'  ' + one['name']:32} {one['p50_ms']:8.3f} {one['p99_ms']:8.3f} {one['max_ms']:8.3f}")
    print(f"target: p50 under {TARGET_MS} ms: {'met' if result['met'] else 'MISSED'}")


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        print(f"bench_nodes: {e}", file=sys.stderr)
        sys.exit(3)
