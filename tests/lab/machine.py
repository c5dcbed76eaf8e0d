# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: QEMU without KVM, ended after a time limit, and what it says on its console."""
import json
import os
import subprocess
import tempfile
import time

from image import tool

# Of the kernel's LSMs those that change nothing here, and bpf, which the guard needs.
COMMAND_LINE = "console=ttyS0 panic=-1 no_timer_check quiet"


class Machine:
    """Runs to its end; then events has the JSON lines of the console, between them lines of text."""

    def __init__(self, kernel, initramfs, lsm="lockdown,capability,yama,bpf", limit=600, memory=1024,
                 disks=()):
        self.events, self.ended = [], False
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="assay-machine-") as directory:
            console = os.path.join(directory, "console")
            command = [tool("qemu-system-x86_64"), "-nodefaults", "-display", "none", "-no-reboot",
                       "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
                       "-smp", "2", "-m", str(memory), "-serial", f"file:{console}",
                       "-kernel", kernel, "-initrd", initramfs,
                       "-append", f"{COMMAND_LINE} lsm={lsm}"]
            for i, path in enumerate(disks):
                command += ["-drive", f"if=none,id=d{i},format=raw,file={path},cache=unsafe",
                            "-device", f"virtio-blk-pci,drive=d{i}"]
            qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT)
            try:
                self.complaint = qemu.communicate(timeout=limit)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                self.complaint = f"not off after {limit} s"
            finally:
                if qemu.poll() is None:
                    qemu.kill()
                    qemu.communicate()
            with open(console, encoding="utf-8", errors="replace") as f:
                self.console = f.read()
        self.seconds = time.monotonic() - begin
        self._read()

    def _read(self):
        text = []
        for line in self.console.replace("\r", "").splitlines():
            if not line.startswith("@{"):
                text.append(line)
                continue
            try:
                event = json.loads(line[1:])
            except ValueError:
                text.append(line)
                continue
            self.events.append((text, event))
            text = []
            self.ended = self.ended or event.get("off", False)
        self.rest = text

    def fact(self, name):
        for _, event in self.events:
            if name in event:
                return event[name]
        return None

    def run_of(self, name):
        """(lines, exit status) of one entry of the list; None: it did not end."""
        for text, event in self.events:
            if event.get("end") == name:
                return text, event["status"]
        return None
