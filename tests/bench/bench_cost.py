#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What being measured costs an application: CPU time of nginx, redis-server and PostgreSQL for each
request, all of a server's processes by its cgroup's cpu.stat. Three ways, one after the other
and in another order each time: no assayd; an assayd that measures all three at `every: 1s` with its
default hooks; the same with `hooks: full`. The ratio is taken within a turn, its median and spread
over all turns. What assayd itself uses meanwhile stands apart.

Loads: ab (keep-alive, 8 connections, access log on), redis-benchmark (SET and GET, 16 clients),
pgbench (its default transaction, 4 clients). A missed target is printed and is no failure."""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

import scene
from lab import Failure, Lab, run, until
from programs import have

sys.path.insert(0, os.path.join(os.path.dirname(scene.HERE), "attacks"))
import targets  # noqa: E402

TARGET = 1.03  # of the default hooks
WARM = 0.1     # of a load, before it
POLICY = "static: {{manifest: {0}.mtree}}\ndynamic: {{start_time: {{unchanged: true}}}}\n"
WAYS = ("none", "default", "full")


class Nginx(targets.Nginx):
    requests = 40000

    def text(self, *args, **kwargs):
        return super().text(*args, **kwargs).replace("access_log off;",
                                                     f"access_log {self.var}/access.log;")

    def load(self, requests):
        said = run("ab", "-q", "-k", "-c", 8, "-n", requests,
                   f"http://127.0.0.1:{self.port}/index.html").stdout
        if (not re.search(rf"Complete requests: +{requests}\n", said)
                or not re.search(r"Failed requests: +0\n", said) or "Non-2xx" in said):
            raise Failure(f"ab: {said}")
        return requests


class Redis(targets.Redis):
    requests = 100000

    def load(self, requests):
        run("redis-benchmark", "-p", self.port, "-q", "-c", 16, "-n", requests // 2, "-t",
            "set,get")
        return requests // 2 * 2


class Postgres(targets.Postgres):
    requests = 4000
    clients = 4

    def pgbench(self, *args):
        return run(f"{self.bin}/pgbench", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres",
                   "-n", *args, "postgres").stdout

    def prepared(self):
        self.pgbench("-i", "-q")

    def load(self, requests):
        each = max(1, requests // self.clients)
        said = self.pgbench("-c", self.clients, "-t", each)
        if f"actually processed: {each * self.clients}/{each * self.clients}\n" not in said:
            raise Failure(f"pgbench: {said}")
        return each * self.clients


KINDS = {"nginx": Nginx, "redis": Redis, "postgresql": Postgres}


class Alone:
    """The servers without assayd, each in a cgroup of its own."""

    def __init__(self, lab, servers):
        self.running = {}
        try:
            for name, server in servers.items():
                self.running[name] = self.start(lab, name, server)
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def start(lab, name, server):
        cgroup = os.path.join(lab.cgroup, f"alone-{name}")
        os.makedirs(cgroup)
        procs = os.open(f"{cgroup}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        with open(lab.path(f"{name}.out"), "ab") as out:
            # The launcher enters the cgroup, then becomes the server's user and the server.
            process = subprocess.Popen(
                ["/usr/bin/setpriv", "--reuid", targets.USER, "--regid", "nogroup",
                 "--clear-groups", *server.argv], cwd="/", stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, preexec_fn=lambda: os.write(procs, b"0"))
        os.close(procs)
        return process, cgroup

    def cgroup_of(self, name):
        return self.running[name][1]

    def stop(self):
        for process, cgroup in self.running.values():
            process.send_signal(signal.SIGINT)  # upon which PostgreSQL waits for no client
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            until(f"{cgroup} empty", lambda: not open(f"{cgroup}/cgroup.procs").read(), 20)
            os.rmdir(cgroup)

    @staticmethod
    def cpu_us():
        return 0

    def check(self):
        pass


class Measured:
    """The same under an assayd that measures them every second."""

    def __init__(self, lab, servers, hooks):
        self.lab, self.servers = lab, servers
        self.since = lab.rows("select coalesce(max(id), 0) from evidence")[0][0]
        self.assayd = lab.start_assayd("".join(self.application(n, s) for n, s in servers.items()),
                                       extra=f"hooks: {hooks}\n")
        for name in servers:
            lab.in_state(name, "running", 60)
        # The first measurement reads every file; what is asked for is the rounds that follow.
        for name in servers:
            until(f"{name} measured", lambda: self.rows_of(name), 60)
        self.pids = scene.monitor_and_net(lab)

    def rows_of(self, name):
        return self.lab.rows("select accepted, reasons from evidence where kind = 'dynamic' and "
                             f"application = '{name}' and id > {self.since}")

    @staticmethod
    def application(name, server):
        argv = json.dumps(list(server.argv))  # JSON is YAML
        return (f"  - name: {name}\n    exec: {argv}\n    user: {targets.USER}\n"
                f"    files: [{', '.join(server.files)}]\n"
                "    measure: {static: false, dynamic: true}\n    time_nodes: [{every: 1s}]\n")

    def cgroup_of(self, name):
        with open(f"/proc/{self.lab.status(name)['pid']}/cgroup") as f:
            inside = next(line.split("::")[1].strip() for line in f if line.startswith("0::"))
        return os.path.join(os.path.dirname(self.lab.cgroup), inside.lstrip("/"))

    def cpu_us(self):
        total = 0
        for pid in self.pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                    total += int(f.read().split()[0])
        return total // 1000

    def check(self):
        """That they were measured at all, and that nothing was wrong with them."""
        if "no eBPF" in self.assayd.text():
            raise Failure("assayd has no eBPF here: there are no hooks to cost anything")
        for name in self.servers:
            rows = self.rows_of(name)
            bad = [reasons for accepted, reasons in rows if not accepted]
            if not rows or bad:
                raise Failure(f"{name}: {len(rows)} measurements, refused: {bad[:1]}")

    def stop(self):
        if self.assayd.stop() != 0:
            raise Failure(f"assayd failed: {self.assayd.text()[-2000:]}")


def usage_us(cgroup):
    with open(f"{cgroup}/cpu.stat") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("usage_usec"))


def one_load(way, name, server, scale):
    """Microseconds of CPU of each request, and assayd's share of a core meanwhile."""
    until(f"{name} serving", server.serves, 60)
    getattr(server, "prepared", lambda: None)()
    cgroup = way.cgroup_of(name)
    server.load(int(server.requests * scale * WARM))
    before, own, start = usage_us(cgroup), way.cpu_us(), time.monotonic()
    done = server.load(int(server.requests * scale))
    took = time.monotonic() - start
    return {"us": (usage_us(cgroup) - before) / done, "seconds": took,
            "assayd_percent": (way.cpu_us() - own) / took / 1e4}


def one_way(lab, servers, hooks, scale):
    way = Alone(lab, servers) if hooks == "none" else Measured(lab, servers, hooks)
    try:
        found = {name: one_load(way, name, s, scale) for name, s in servers.items()}
        way.check()
    finally:
        way.stop()
    return found


def bench(args):
    if os.geteuid() != 0:
        raise Failure("needs root")
    missing = [p for name in args.servers for p in KINDS[name].missing()]
    if missing or not have("ab", "redis-benchmark", "setpriv"):
        raise Failure(f"needs ab, redis-benchmark, setpriv {' '.join(missing)}")
    turns = []
    with Lab(args.build) as lab:
        lab.pki()
        os.makedirs(lab.cgroup, exist_ok=True)
        servers = {name: KINDS[name](lab, name) for name in args.servers}
        for name, server in servers.items():
            lab.measure(name, *server.files)
            lab.policy(name, POLICY.format(name))
        lab.start_verifier()
        for i in range(args.pairs):
            order = WAYS[i % len(WAYS):] + WAYS[:i % len(WAYS)]
            turns.append({hooks: one_way(lab, servers, hooks, args.scale) for hooks in order})
    return {name: summary(name, turns) for name in args.servers}


def summary(name, turns):
    result = {}
    for hooks in WAYS:
        of = [turn[hooks][name] for turn in turns]
        ratios = [one["us"] / turn["none"][name]["us"] for one, turn in zip(of, turns)]
        result[hooks] = {"us": statistics.median(one["us"] for one in of),
                         "ratio": statistics.median(ratios), "least": min(ratios),
                         "most": max(ratios), "ratios": ratios,
                         "seconds": statistics.median(one["seconds"] for one in of),
                         "assayd_percent": statistics.median(one["assayd_percent"] for one in of)}
    return result


def show(result):
    print(scene.machine_text(result["machine"]) + f"; {result['pairs']} turns\n")
    print(f"{'CPU of a request':24} {'us':>8} {'ratio':>7} {'least':>7} {'most':>7} "
          f"{'assayd, % of a core':>20}")
    for name, ways in result["servers"].items():
        for hooks in WAYS:
            q = ways[hooks]
            label = f"{name}, alone" if hooks == "none" else f"  hooks: {hooks}"
            print(f"{label:24} {q['us']:8.2f} {q['ratio']:7.3f} {q['least']:7.3f} "
                  f"{q['most']:7.3f} {q['assayd_percent']:20.2f}")
    print(f"target: {TARGET} x with the default hooks: {'met' if result['met'] else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(scene.HERE, "../../build/release"))
    parser.add_argument("--pairs", type=int, default=7, help="turns of all three ways (7)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many requests (1)")
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    servers = bench(args)
    result = {"bench": "cost", "servers": servers, "pairs": args.pairs, "target": TARGET,
              "met": all(s["default"]["ratio"] <= TARGET for s in servers.values()),
              "machine": scene.machine()}
    if args.json:
        json.dump(result, sys.stdout, indent=2, sort_keys=True)
        print()
    else:
        show(result)


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        print(f"bench_cost: {e}", file=sys.stderr)
        sys.exit(3)
