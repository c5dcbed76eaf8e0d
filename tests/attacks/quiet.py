#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real applications under load, as their owners run them, and nothing may be reported: requests,
reloads, rotated logs, backups, libraries and modules loaded late, just-in-time compilers on, and
ps, top and lsof looking on all the while. Measured again and again; one refusal is a failure.

usage: quiet.py [--build DIR] [--minutes N] [--keep] [NAME…]    NAME: of an application"""
import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import lab as labs  # noqa: E402
import scene  # noqa: E402
import targets  # noqa: E402
from lab import Failure, run, until  # noqa: E402

# Between two turns of an application's load: the machine has two cores for all of them.
PAUSE = 0.2


class Nginx(targets.Nginx):
    jit = ("1MiB", 16)  # PCRE's, 64 KiB a process

    def text(self, **more):
        log = f"{self.var}/access.log"
        text = super().text(top="pcre_jit on;\n", server=(
            "    location ~ ^/(a|b)+[0-9]*$ { return 200 nginx; }\n"), **more)
        return text.replace("access_log off;", f"access_log {log};")

    def turn(self, n, app):
        for path in ("/", "/abab7", "/none", "/ab1"):
            targets.get(self.port, path)
        if n % 10 == 5:
            os.kill(app.child, signal.SIGHUP)
        if n % 10 == 9:
            os.rename(f"{self.var}/access.log", f"{self.var}/access.log.1")
            os.kill(app.child, signal.SIGUSR1)


class Redis(targets.Redis):
    def turn(self, n, app):
        done = run("redis-benchmark", "-p", self.port, "-n", 2000, "-c", 5, "-q", "-t", "set,get,lpush",
                   check=False)
        if done.returncode != 0:
            raise Failure(f"redis-benchmark: {done.stderr}")
        if n % 5 == 2:
            self.cli("bgsave")
        if n % 7 == 3:
            self.cli("eval", "return redis.call('incr', KEYS[1])", "1", "counter")
        if n % 11 == 4:
            self.cli("bgrewriteaof")


class Postgres(targets.Postgres):
    options = ("jit=on", "jit_above_cost=0", "jit_inline_above_cost=0",
               "jit_optimize_above_cost=0", "logging_collector=on", "log_directory=log",
               "autovacuum_naptime=5")
    jit = ("64MiB", 512)

    def turn(self, n, app):
        if n == 0:
            self.sql("create table t as select i, i::text as s from generate_series(1, 5000) i")
        self.sql("select sum(i), count(s), max(length(s)) from t where i % 7 <> 3 group by i % 5")
        self.sql(f"insert into t values ({n}, 'x'); update t set s = s || 'y' where i = {n}")
        if n % 5 == 2:
            run(f"{self.bin}/pg_dump", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres",
                "postgres")
        if n % 7 == 3:
            self.sql("select pg_rotate_logfile(); select pg_reload_conf()")
        if n % 9 == 4:
            self.sql("do $$ begin perform sum(i) from t; end $$")
            self.sql("vacuum analyze t")
        if n % 13 == 6:
            self.sql("checkpoint")


LAZY = ("sqlite3", "ssl", "decimal", "lzma", "bz2", "ctypes", "zoneinfo", "json", "hashlib")


class Python(targets.Python):
    jit = ("64KiB", 8)  # a page of libffi's closures

    def prepare(self):
        super().prepare()
        text = targets.PYTHON_SERVICE.replace(
            '        if self.path.startswith("/run?"):  # the hole that an attacker uses\n'
            '            os.popen(self.path[5:].replace("+", " ")).close()\n',
            '        if self.path.startswith("/load?"):\n'
            '            module = __import__(self.path[6:])\n'
            '            if module.__name__ == "ctypes":\n'
            '                global closure\n'
            '                closure = module.CFUNCTYPE(module.c_int)(lambda: 7)\n'
            '                closure()\n')
        if "/load?" not in text:
            raise Failure("the Python service is another one")
        self.write("service.py", text)

    def turn(self, n, app):
        targets.get(self.port, f"/load?{LAZY[n % len(LAZY)]}" if n % 4 == 1 else "/")


class Node(targets.Node):
    def turn(self, n, app):
        for _ in range(20):
            if "node" not in (targets.get(self.port) or ""):
                raise Failure("node does not answer")


class Jvm(targets.Jvm):
    def turn(self, n, app):
        if n == 0:
            self.sql("create table t (i int, s varchar)")
        self.sql(f"insert into t values ({n}, 'x'); select count(*), sum(i) from t group by s")
        if n % 5 == 3:
            self.sql("select count(*) from system_range(1, 20000)")
        if n % 7 == 4:
            self.sql(f"script to '{self.var}/backup.sql'")


KINDS = (Nginx, Redis, Postgres, Python, Node, Jvm)


def keep_on(stop, problems, what, turn):
    """turn(n) again and again until told to stop; the first thing that goes wrong is kept."""
    n = 0
    try:
        while not stop.is_set():
            turn(n)
            n += 1
            stop.wait(PAUSE)
    except Exception as e:  # a load that breaks is a failure of the test
        problems.append(f"{what}, turn {n}: {e}")


def look_on(pids):
    """What an operator's tools and a monitoring agent do."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 60}

    def turn(n):
        subprocess.run(["ps", "-eo", "pid,ppid,user,rss,pcpu,args"], check=True, **quiet)
        subprocess.run(["top", "-b", "-n", "1"], check=True, **quiet)
        if n % 3 == 0:
            subprocess.run(["lsof", "-n", "-P", "-p", ",".join(map(str, pids))], check=False,
                           **quiet)
    return turn


def measured(applications):
    """Has each measured once and waits for the verdicts; False once one was refused."""
    before = [len(a.evidence()) for a in applications]
    for a in applications:
        a.told("measure")
    for a, n in zip(applications, before):
        until(f"{a.name}'s verdict", lambda: len(a.evidence()) > n, 60)
    return not any(judged(a)[1] for a in applications)


def judged(app):
    """(accepted, reasons of the first refusal or "")."""
    rows = app.evidence()
    refused = [reasons for _, accepted, reasons in rows if not accepted]
    return sum(1 for _, accepted, _ in rows if accepted), refused[0] if refused else ""


def learnt(lab, app):
    """Why the policy that is learnt from its measurements does not accept them; "" if it does."""
    done = run(lab.program("assay"), "learn", "--application", app.name, "--store",
               lab.path("verifier.db"), "-o", lab.path(f"{app.name}.learnt.yaml"), check=False)
    nodes = re.search(r"(\d+) nodes: (\d+) accepted", done.stderr)
    if done.returncode != 0 or not nodes or nodes[1] != nodes[2] or nodes[1] == "0":
        return f"the policy learnt: {done.stderr}"
    return ""


def attacked(lab, applications):
    """Whether a violation would have been seen: the text of one that is quiet is written."""
    name = "a violation is seen"
    untouched = [a for a in applications if not judged(a)[1]]
    if not untouched:
        return name, False, "every application was reported before"
    app = untouched[0]
    run(lab.path("bin", scene.ATTACKER), "text-write", "attack", app.child,
        stdin=subprocess.DEVNULL)
    measured([app])
    seen = [rule for rule, _ in judged(app)[1]]
    return name, "dynamic.code.modified_text" in seen, f"{app.name}: {', '.join(seen) or 'quiet'}"


def play(lab, kinds, minutes):
    """(name, whether it passed, why) of each application."""
    applications = [scene.Application(lab, k.__name__.lower(), k, stages=1) for k in kinds]
    stop, problems, threads = threading.Event(), [], []
    try:
        scene.start(lab, applications, nodes="[{on: stage}, {on: demand}]")
        for a in applications:
            a.start()
            passed, why = a.stage(1)
            if not passed:
                problems.append(f"{a.name}: refused at its start: {why}")
        pids = [a.child for a in applications]
        threads = [threading.Thread(target=keep_on, args=(
            stop, problems, a.name, lambda n, a=a: a.target.turn(n, a))) for a in applications]
        threads.append(threading.Thread(target=keep_on, args=(
            stop, problems, "ps, top and lsof", look_on(pids))))
        for t in threads:
            t.start()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end and not problems and measured(applications):
            time.sleep(PAUSE)
        stop.set()
        for t in threads:
            t.join()
        measured(applications)  # what was loaded last, too
        results = []
        for a in applications:
            accepted, refusal = judged(a)
            why = "; ".join(p for p in problems if p.startswith(a.name))
            if refusal:
                why = f"reported: {refusal}"
            elif not os.path.exists(f"/proc/{a.child}"):
                why = "it ended"
            elif not why:
                why = learnt(lab, a)
            results.append((a.name, not why, why or f"{accepted} measurements"))
        results.append(attacked(lab, applications))
        results += [("ps, top and lsof", False, p) for p in problems if p.startswith("ps,")]
        return results
    finally:
        stop.set()
        for t in threads:
            if t.is_alive():
                t.join()
        for a in applications:
            a.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(labs.SOURCE, "build", "release"))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    kinds, skipped = [], 0
    for kind in KINDS:
        if args.names and kind.__name__.lower() not in args.names:
            continue
        if kind.missing():
            print(f"[skipped] quiet.{kind.__name__.lower()}: not installed: "
                  f"{', '.join(kind.missing())}", flush=True)
            skipped += 1
        else:
            kinds.append(kind)
    try:
        with labs.Lab(args.build, keep=args.keep) as lab:
            results = play(lab, kinds, args.minutes)
    except Exception as e:
        results = [("all", False, f"{type(e).__name__}: {e}")]
    for name, passed, why in results:
        print(f"[{'passed' if passed else 'failed':>7}] quiet.{name}: {why}", flush=True)
    good = sum(1 for _, passed, _ in results if passed)
    print(f"{good} passed, {len(results) - good} failed, {skipped} skipped")
    return 1 if good < len(results) or not results else 0


if __name__ == "__main__":
    sys.exit(main())
