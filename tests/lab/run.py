#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests in virtual machines with Debian's kernels, one after the other. QEMU emulates (no KVM is
needed); the kernels are fetched with apt, not installed, a Debian root with mmdebstrap.

- the guard (BPF LSM), and what of the event plane that kernel takes: programs of tests/bpf, assayd;
- image: packaging/mkimage;
- boot: OVMF, a TPM and assayd in the initrd; accepted as predicted, and each way to be refused;
- ima: the kernel's own list and PCR 10 against what assayd measured;
- distribution: the same with the initrds of initramfs-tools and dracut;
- method: an encrypted root opened after boot measurement, systemd, nginx, four stages;
- readme: the commands of its section "In a confidential VM";
- attacks: tests/attacks in that kernel, with self-protection.

usage: run.py [--build DIR] [--console] [NAME…]
NAME: of a program (bpf_guard), a group (boot) or a case (another_kernel) """
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import attacks  # noqa: E402
import test_boot  # noqa: E402
import test_distribution  # noqa: E402
import test_ima  # noqa: E402
import test_image  # noqa: E402
import test_method  # noqa: E402
import test_readme  # noqa: E402
from image import Initramfs, Kernel, Missing, tool  # noqa: E402
from lab import Failure  # noqa: E402
from machine import Machine  # noqa: E402
from owner import Owner  # noqa: E402

# Programs of tests/bpf that need nothing but a kernel.
PROGRAMS = ["bpf_guard", "bpf_follow", "bpf_follow_full", "bpf_ledger"]
ASSAYD = "assayd"
MODULES = ["netconsole"]  # any subsystem of configfs in which directories can be made
LIMIT = 1200
# Starts faster than the other kernel of Debian, and has the same parts that matter here.
BOOT_KERNEL = "linux-image-cloud-amd64"

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


def run_guard(args, results, work):
    """Programs of tests/bpf and assayd itself in a machine without firmware and TPM."""
    wanted = [p for p in PROGRAMS + [ASSAYD] if chosen(args, p)]
    if not wanted:
        return
    kernel = Kernel(work)
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


def run_cases(args, results, work):
    """Cases in machines whose boot is measured, one machine after the other."""
    kernel = None
    for module, owner_class in ((test_image, Owner), (test_boot, test_boot.Boot),
                                (test_ima, test_ima.Ima), (test_method, test_method.Machine),
                                (test_distribution, test_distribution.Machine),
                                (test_readme, Owner)):
        for case in module.TESTS:
            name = case.__name__.removeprefix("test_")
            if not chosen(args, name, module.__name__.removeprefix("test_")):
                continue
            kernel = kernel or Kernel(work, BOOT_KERNEL)
            begin = time.monotonic()
            with_console = None
            try:
                with owner_class(args.build, kernel, os.path.join(work, "keys")) as owner:
                    owner.work = work
                    with_console = owner.path("console")
                    try:
                        said = case(owner)
                    finally:
                        if args.console and os.path.exists(with_console):
                            with open(with_console, errors="replace") as f:
                                print(f.read())
                results.add("passed", name, f"{said + '; ' if said else ''}"
                            f"{time.monotonic() - begin:.0f} s")
            except Missing as e:
                results.add("skipped", name, str(e))
            except Exception as e:  # a case that breaks must not take the others with it
                if not isinstance(e, Failure):
                    traceback.print_exc()
                results.add("failed", name, f"{type(e).__name__}: {e}")


def run_attacks(args, results, work):
    """tests/attacks in Debian's kernel with self-protection, and the second column of
    docs/coverage.md."""
    if not chosen(args, "attacks"):
        return
    kernel = Kernel(work, BOOT_KERNEL)
    machine = attacks.boot(kernel, work, os.path.abspath(args.build), args.rows)
    for text, _ in machine.events:
        print("\n".join(text))
    column = machine.fact("column")
    if args.console:
        print(machine.console)
    if not column or not machine.ended:
        results.add("failed", "attacks", machine.complaint or "the suite did not end")
        print("\n".join("    " + line for line in machine.console.splitlines()[-40:]))
        return
    path = os.path.join(work, "column.json")
    with open(path, "w") as f:
        json.dump(column, f)
    print(f"attacks: kernel {machine.fact('kernel')}, LSMs {machine.fact('lsm')}; "
          f"{machine.seconds:.0f} s; for tests/attacks/run.py --table --beside {path}")
    for row in column["rows"]:
        result = {"failed": "failed", "skipped": "skipped"}.get(row["sort"], "passed")
        results.add(result, f"attacks.{row['id'].lower()}", f"{row['title']}, {row['target']}: "
                    f"{row['outcome']}")


def chosen(args, *names):
    return not args.names or any(name in args.names for name in names)


def run(args, results):
    work = os.path.join(os.path.dirname(os.path.abspath(args.build)), "lab")
    os.makedirs(work, exist_ok=True)
    for part in (run_guard, run_cases, run_attacks):
        try:
            part(args, results, work)
        except Missing as e:
            results.add("skipped", part.__name__.removeprefix("run_"), str(e))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--console", action="store_true", help="print all of the machine's console")
    parser.add_argument("--rows", nargs="*", default=[], help="of attacks, only these")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    results = Results()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that the machine is ended, too
    run(args, results)
    return results.close()


if __name__ == "__main__":
    sys.exit(main())
