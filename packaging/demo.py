#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, shown: packaging/quickstart runs this.

A TPM (swtpm), an owner's verifier and an assayd on this machine; an unmodified nginx that gets its
TLS key after static measurement; an application that works through four encrypted blocks, one
stage each; and the same again with the running program patched after stage 2."""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "support"))

from lab import Failure, Lab, until  # noqa: E402
from programs import Nginx, Worker, pid_of  # noqa: E402

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def title(text):
    print("\n" + paint("1", text), flush=True)


def echo(line):
    """One line of a program, the method's steps picked out."""
    if re.search(r"refused|REFUSED", line):
        line = paint("31", line)
    elif re.match(r"assay\S*: (A\d|B\d+|stage)", line):
        line = paint("36", line)
    print("  " + line, flush=True)


def machine(lab):
    lab.with_tpm()
    lab.pki()


def verdict_of(lab, worker):
    return [name for name in lab.released() if name.startswith("block-")]


def first_run(lab):
    web, worker = Nginx(lab), Worker(lab)
    title("The owner measures what should run, and writes it into the policies")
    for program in (web, worker):
        program.measure()
        program.policy()
        with open(lab.path(f"{program.name}.mtree")) as f:
            print(f"  {program.name}.mtree: {sum(1 for _ in f) - 1} files", flush=True)
    title("First run: verifier and assayd start; nginx and the worker are measured")
    lab.start_verifier()
    assayd = lab.start_assayd(web.application() + worker.application())
    page = until("nginx serving HTTPS with the released key", web.get, 60)
    print("  curl: " + paint("32", page.strip()), flush=True)
    assayd.wait_for("all stages done", 60)
    until("a dynamic measurement of nginx",
          lambda: lab.rows("select 1 from evidence where application = 'web' and accepted = 1 "
                           "limit 1 offset 1"), 30)
    released = lab.released()
    print("  released: " + paint("32", ", ".join(released)), flush=True)
    if sorted(released) != ["block-1-key", "block-2-key", "block-3-key", "block-4-key", "tls-key"]:
        raise Failure(f"released were {released}")


def second_run(lab):
    worker = Worker(lab, pause_ms=2500)
    worker.measure()
    worker.policy()
    title("Second run: the same program, patched in memory after stage 2")
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 2: block 2", 60)
    pid = until("the worker's pid", lambda: pid_of(lab, "worker"))
    worker.patch(pid)
    print(paint("33", f"  attacker: process_chunk() of pid {pid} overwritten through "
                      f"/proc/{pid}/mem"), flush=True)
    assayd.wait_for("refused by the verifier", 60)
    assayd.wait_for("worker: ended with status 1", 30)
    released = lab.released()
    print("  released: " + paint("32", ", ".join(released)) + "; blocks 3 and 4 stay closed",
          flush=True)
    if released != ["block-1-key", "block-2-key"]:
        raise Failure(f"released were {released}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--keep", action="store_true", help="keep the working directories")
    args = parser.parse_args()
    for show in (first_run, second_run):
        with Lab(args.build, echo=echo, keep=args.keep) as lab:
            title("A machine with a TPM 2.0, booted; an owner with a CA" if show is first_run
                  else "The machine again, with another TPM")
            machine(lab)
            show(lab)
    title("Done: every stage passed; then the patched program was refused at stage 3.")


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        print(f"\nquickstart: {e}", file=sys.stderr)
        sys.exit(1)
