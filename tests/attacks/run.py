#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks live programs under a real assayd, TPM and verifier. For each row of rows.py: stage 1
passes, the control passes stage 2, and after the attack the very next measurement must find it by
its names and stage 3's secret must stay with the verifier.

usage: run.py [--build DIR] [--table] [--keep] [--jobs N] [--protect] [--patience N] [--json FILE]
              [--beside FILE] [ROW…]                       ROW: an id, or part of a name
--table writes docs/coverage.md; --beside: with the results of another machine's --json as a second
column. --protect: assayd guards itself and what it measured, with BPF LSM; then an attack may also
be denied. --patience: waits are longer by this factor."""
import argparse
import collections
import concurrent.futures
import ctypes
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import coverage  # noqa: E402
import lab as labs  # noqa: E402
import rows as catalogue  # noqa: E402
import scene  # noqa: E402

SCENE_ROWS = 32  # applications under one assayd, where --scene says nothing else


class Result:
    def __init__(self, row, state, why="", found=()):
        self.row, self.state, self.why, self.found = row, state, why, list(found)
        self.driver = False  # it checked the driver, not a technique
        self.denied = ""  # by the guard, with what the attack was told


def matches(wanted, seen, app):
    """Whether what was seen names the attack: rule by rule, alternatives parted by '|'."""
    rules, pattern = wanted
    program = app.target.argv[0] if app.target.argv else app.victim
    pattern = pattern.replace("{pid}", str(app.attacked)).replace(
        "{program}", re.escape(os.path.realpath(program)))
    return any(rule in rules.split("|") and re.search(pattern, what) for rule, what in seen)


def undone(app, undo):
    """Now, or, of a file that is measured and so guarded, once assayd has ended."""
    try:
        undo()
    except PermissionError:
        app.later.append(undo)


def release(app):
    """Ends what an attack held open, and undoes what it changed of the machine."""
    while app.undo:
        undone(app, app.undo.pop())
    for held in app.held:
        if held.stdin:
            held.stdin.close()
        try:
            held.wait(10)
        except subprocess.TimeoutExpired:
            held.kill()
            held.wait()
        held.stdout.close()
    for s in app.held_sockets:
        s.close()
    app.held, app.held_sockets = [], []
    for path in app.leave:
        if os.path.lexists(path):
            undone(app, functools.partial(os.unlink, path))


# What a system call says that the guard refused, in the attacks' words and Python's.
DENIED = re.compile(r"Operation not permitted|Permission denied|EPERM|EACCES")


def denied(app, row, said, stage):
    """The guard did not let it happen: nothing has changed, and the next stage opens, or what was
    tried is reported by its names."""
    passed, seen = app.stage(stage)
    if not passed and [w for w in row.names if not matches(w, seen, app)]:
        return Result(row, "failed", f"denied, but reported as {seen}")
    result = Result(row, "found")
    result.denied = said
    return result


def attempt(app, row, protect):
    """Result of one row."""
    app.start()
    if row.setup:
        row.setup(app)
    passed, seen = app.stage(1)
    if not passed:
        return Result(row, "failed", f"refused before anything was done: {seen}")
    app.attacked = app.pid
    try:
        row.attack(app, False)
    except (labs.Failure, OSError) as e:
        # What comes before the decisive step is refused already.
        if not protect or not DENIED.search(str(e)):
            raise
        return denied(app, row, DENIED.search(str(e)).group(0), 2)
    passed, seen = app.stage(2)
    if not passed:
        return Result(row, "failed", f"the control was reported: {seen}")
    release(app)
    app.attacked = app.pid
    try:
        row.attack(app, True)
    except (labs.Failure, OSError) as e:
        if protect and not row.prevented and DENIED.search(str(e)):
            return denied(app, row, DENIED.search(str(e)).group(0), 3)
        if not row.prevented or row.prevented not in str(e):
            raise
        passed, seen = app.stage(3)
        return Result(row, "found" if passed else "failed", "" if passed else
                      f"prevented, but reported: {seen}")
    if row.prevented:
        return Result(row, "failed", "it was not prevented")
    measured = len(app.evidence())
    passed, seen = app.stage(3)
    if passed:
        return Result(row, "failed", "not found: stage 3's secret was released")
    if len(app.evidence()) != measured + 1:
        return Result(row, "failed", "it took more than one time node")
    if len(app.released()) != 2:
        return Result(row, "failed", f"released: {app.released()}")
    wrong = [w for w in row.names if not matches(w, seen, app)]
    if wrong:
        return Result(row, "failed", f"refused, but not as {wrong}: {seen}", seen)
    return Result(row, "found", found=[w[0] for w in row.names])


def judge(app, row, protect=False):
    begin = time.monotonic()
    app.attacked = 0
    try:
        result = attempt(app, row, protect)
    except labs.Failure as e:
        result = Result(row, "failed", str(e))
    except Exception as e:
        traceback.print_exc()
        result = Result(row, "failed", f"{type(e).__name__}: {e}")
    finally:
        release(app)
    if row.must_say:
        result = Result(row, "found" if result.state == "failed" and row.must_say in result.why
                        else "failed", f"the driver said: {result.why or result.state}")
        result.driver = True
        if result.state == "found":
            result.why = ""
    print(f"[{result.state:>7}] attacks.{app.name} ({time.monotonic() - begin:.1f} s) "
          f"{row.title}{': ' + result.why if result.why else ''}"
          f"{' (denied: ' + result.denied + ')' if result.denied else ''}", flush=True)
    return result


PROTECT = "protect: [self, files, chip]\nprotect_required: true\n"


def play(build, rows, jobs, keep, protect):
    """One scene: its rows beside one another, those that change the machine one by one."""
    applications = []
    try:
        with labs.Lab(build, keep=keep) as lab:
            lab.payloads = os.path.join(build, "lib")
            return play_in(lab, rows, jobs, protect, applications)
    finally:
        for undo in (undo for app in applications for undo in app.later):
            undo()


def play_in(lab, rows, jobs, protect, applications):
    count = collections.Counter()
    try:
        for row in rows:
            count[row.name] += 1
            name = row.name + (str(count[row.name]) if count[row.name] > 1 else "")
            app = scene.Application(lab, name, row.target, user=row.user, policy=row.policy)
            app.held, app.held_sockets, app.leave, app.undo, app.later = [], [], [], [], []
            applications.append(app)
            if callable(row.files):
                row.files(app)
            elif row.files:
                app.target.files += row.files
                app.target.exec_allow += row.files
        scene.start(lab, applications, extra=f"hooks: {rows[0].hooks}\n" +
                    (PROTECT if protect else ""))
        results = []
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            beside = [pool.submit(judge, a, r, protect) for a, r in zip(applications, rows)
                      if not r.alone]
            results += [f.result() for f in beside]
        results += [judge(a, r, protect) for a, r in zip(applications, rows) if r.alone]
        return results
    finally:
        for app in applications:
            app.close()


def private_etc(directory):
    """An /etc of its own for this process and all that it starts, gone with them. None: it has
    one; otherwise why not."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns = 0x20000
    if libc.unshare(clone_newns) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(
        ["/bin/sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs $0 && "
         "mkdir $0/upper $0/work && "
         "mount -t overlay overlay -o lowerdir=/etc,upperdir=$0/upper,workdir=$0/work /etc",
         directory], stderr=subprocess.PIPE, text=True)
    return done.stderr.strip() if done.returncode else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(labs.SOURCE, "build", "release"))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--protect", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--beside")
    parser.add_argument("--patience", type=float, default=1)
    parser.add_argument("--scene", type=int, default=SCENE_ROWS, help="applications at once")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    labs.PATIENCE = args.patience
    chosen, results = [], []
    etc = tempfile.mkdtemp(prefix="assay-etc-")
    no_etc = private_etc(etc)
    for row in catalogue.ROWS:
        if args.names and not any(n == row.id or n in row.name for n in args.names):
            continue
        missing = row.missing or (no_etc if row.etc else "")
        if missing:
            results.append(Result(row, "skipped", missing))
            print(f"[skipped] attacks.{row.name}: {results[-1].why}", flush=True)
        else:
            chosen.append(row)
    try:
        for hooks in ("default", "full"):
            some = [r for r in chosen if r.hooks == hooks]
            for i in range(0, len(some), args.scene):
                results += play(args.build, some[i:i + args.scene], args.jobs, args.keep,
                                args.protect)
    finally:
        if not no_etc:
            subprocess.run(["umount", "-l", "/etc", etc], check=False)
        os.rmdir(etc)
    counts = collections.Counter(r.state for r in results)
    column = coverage.column([r for r in results if not r.driver])
    if args.json:
        with open(args.json, "w") as f:
            json.dump(column, f)
    if args.table:
        columns = [column]
        if args.beside:
            with open(args.beside) as f:
                columns.append(json.load(f))
        coverage.write(os.path.join(labs.SOURCE, "docs", "coverage.md"), columns,
                       catalogue.NOT_COVERED)
    print(f"{counts['found']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not results else 0


if __name__ == "__main__":
    sys.exit(main())
