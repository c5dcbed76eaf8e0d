#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests in a virtual machine with Debian's kernel: the guard (BPF LSM), and what of the event plane
that kernel takes. QEMU emulates (no KVM is needed); the kernel is fetched with apt, not installed.

usage: run.py [--build DIR] [--console] [NAME…]   NAME: of a program, as bpf_guard """
import argparse
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE]

from image import Initramfs, Kernel, Missing, tool  # noqa: E402
from machine import Machine  # noqa: E402

# Programs of tests/bpf that need nothing but a kernel.
PROGRAMS = ["bpf_guard", "bpf_follow", "bpf_follow_full"]
ASSAYD = "assayd"
MODULES = ["netconsole"]  # any subsystem of configfs in which directories can be made
LIMIT = 1200

CONFIGURATION = """\
verifier: {address: "127.0.0.1:1", name: v, ca: /tests/ca.pem}
attester: soft
soft: {key: /run/assay/soft.key}
protect: [self, files, chip]
protect_required: true
net_user: nobody
applications:
  - name: app
    exec: [/tmp/app, --twin]
    user: nobody
    files: [/tmp/app, /tmp/measured]
    measure: {static: false, dynamic: true}
    time_nodes: [{every: 2s}]
"""


def cmocka(lines):
    """Names of cases that passed, failed and were skipped."""
    def of(word):
        return [m.group(1) for m in (re.match(rf"\[ *{word} *\] (\D\S*)$", line) for line in lines)
                if m]
    return of("OK"), sorted(set(of("FAILED"))), sorted(set(of("SKIPPED")))


class Results:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, result, name, why=""):
        setattr(self, result, getattr(self, result) + 1)
        print(f"[{result:>7}] lab.{name}{': ' + why if why else ''}", flush=True)

    def program(self, name, run):
        if run is None:
            self.add("failed", name, "did not end")
            return
        lines, status = run
        ok, bad, skipped = cmocka(lines)
        for case in ok:
            self.add("passed", f"{name}.{case}")
        for case in skipped:
            why = next((line for line in lines if line.startswith("skipped: ")), "")
            self.add("skipped", f"{name}.{case}", why.removeprefix("skipped: "))
        for case in bad:
            self.add("failed", f"{name}.{case}")
        if status == 77:
            self.add("skipped", name, " ".join(line for line in lines if "skipped:" in line))
            return
        if bad or status != 0 or not ok:
            print("\n".join("    " + line for line in lines[-60:]))
        if not bad and (status != 0 or not ok):
            self.add("failed", name, f"ended with {status}, {len(ok)} cases passed")

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed + self.skipped else 0


def add_assayd(image, build, work):
    """assayd, and as its application a program that does nothing."""
    authority = os.path.join(work, "ca.pem")
    if not os.path.exists(authority):
        subprocess.run([tool("openssl"), "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj",
                        "/CN=lab", "-days", "3650", "-keyout", os.devnull, "-out", authority],
                       check=True, stderr=subprocess.DEVNULL)
    image.program(os.path.join(build, "bin", "assayd"), "/bin/assayd")
    image.program(os.path.join(build, "bin", "bpf_guard"), "/tests/app")
    image.add(os.path.join(HERE, "assayd.sh"), "/tests/assayd.sh")
    image.add(authority, "/tests/ca.pem")
    image.write("/tests/assayd.yaml", CONFIGURATION)
    image.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    image.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n")


def run(args, results):
    work = os.path.join(os.path.dirname(os.path.abspath(args.build)), "lab")
    os.makedirs(work, exist_ok=True)
    kernel = Kernel(work)
    wanted = [p for p in PROGRAMS + [ASSAYD] if not args.names or p in args.names]
    with Initramfs() as image:
        lines = []
        for name in wanted:
            command = f"/tests/{name}"
            if name == ASSAYD:
                add_assayd(image, args.build, work)
                command = "/tests/assayd.sh /tests/assayd.yaml"
            else:
                image.program(os.path.join(args.build, "bin", name), f"/tests/{name}")
            lines.append(f"{name} {command}\n")
        image.modules(kernel, MODULES)
        image.write("/tests/list", "".join(lines))
        packed = image.pack(work)
    machine = Machine(kernel.image, packed, limit=LIMIT)
    print(f"kernel {machine.fact('kernel')}, LSMs {machine.fact('lsm')}; tests began "
          f"{machine.fact('up')} s after its start; {machine.seconds:.0f} s in all")
    if args.console:
        print(machine.console)
    if not machine.ended:
        results.add("failed", "machine", machine.complaint or "it ended early")
        print("\n".join("    " + line for line in machine.console.splitlines()[-40:]))
    for name in wanted:
        results.program(name, machine.run_of(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--console", action="store_true", help="print all of the machine's console")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    results = Results()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that the machine is ended, too
    try:
        run(args, results)
    except Missing as e:
        results.add("skipped", "machine", str(e))
    return results.close()


if __name__ == "__main__":
    sys.exit(main())
