#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs flow tests: every function test_* of every tests/flow/test_*.py, one after the other.

usage: run.py [--build DIR] [--keep] [NAME…]   NAME: part of "file.function" """
import argparse
import importlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import lab  # noqa: E402


class Skip(Exception):
    """The test cannot run here; says why."""


lab.Skip = Skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=os.path.abspath, default=os.path.join(lab.SOURCE, "build", "release"))
    parser.add_argument("--keep", action="store_true", help="keep each lab's directory")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in sorted(os.listdir(HERE)):
        if not (file.startswith("test_") and file.endswith(".py")):
            continue
        module = importlib.import_module(file[:-3])
        for name, function in list(vars(module).items()):
            full = f"{file[5:-3]}.{name[5:]}"
            if not name.startswith("test_") or not callable(function):
                continue
            if args.names and not any(n in full for n in args.names):
                continue
            begin = time.monotonic()
            try:
                with lab.Lab(args.build, keep=args.keep) as one:
                    function(one)
                result, why = "passed", ""
            except Skip as e:
                result, why = "skipped", f": {e}"
            except Exception as e:  # a test fails however it ends
                result, why = "failed", f": {e}"
                if not isinstance(e, lab.Failure):
                    traceback.print_exc()
            counts[result] += 1
            print(f"[{result:>7}] flow.{full} ({time.monotonic() - begin:.1f} s){why}", flush=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
