# SPDX-License-Identifier: Apache-2.0
"""A virtual machine whose firmware, kernel and initrd a TPM measures: QEMU (emulating), OVMF, swtpm.
It reaches one port of this machine's loopback and nothing else, and ends with its time limit."""
import contextlib
import os
import re
import shutil
import subprocess
import time

from image import Missing, tool
from lab import Failure, Tpm, run, until

FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# Arguments of a Guest whose firmware checks who signed what it starts: nobody in the machine can write
# to its variables but itself, in system management mode.
SECURE = {"firmware": "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
          "variables": "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", "machine": "q35,smm=on",
          "extra": ("-global", "driver=cfi.pflash01,property=secure,value=on")}
# Where the guest finds the verifier, see machine_arguments.
VERIFIER = "10.0.2.100:7443"
LIMIT = 900  # seconds; about 40 on an idle machine


class GuestTpm(Tpm):
    """The machine's TPM. swtpm lives as long as the QEMU that it serves, its state in a folder."""

    def start(self):
        self.process = None

    def power_on(self):
        self.stop()
        self.socket = os.path.join(self.dir, "ctrl.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        # No startup: that is the firmware's.
        self.process = subprocess.Popen(
            [tool("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={self.state}", "--ctrl",
             f"type=unixio,path={self.socket}", "--terminate"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the TPM's socket", lambda: os.path.exists(self.socket))

    def stop(self):
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Guest:
    """One boot. A context manager: at its end the machine is off, whatever happened."""

    def __init__(self, directory, tpm, kernel=None, initrd=None, cmdline="", uki=None, port=None,
                 disks=(), forward=(), memory=1024, limit=LIMIT, firmware=FIRMWARE,
                 variables=VARIABLES, machine="q35", extra=()):
        for path in (firmware, variables):
            if not os.path.exists(path):
                raise Missing(f"no {path}: packaging/dependencies lab")
        self.tpm, self.limit = tpm, limit
        self.console_path = os.path.join(directory, "console")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.console_path)
        store = os.path.join(directory, "variables.fd")
        shutil.copyfile(variables, store)
        self.argv = [tool("qemu-system-x86_64"), "-nodefaults", "-display", "none", "-no-reboot",
                     "-machine", machine, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
                     "-m", str(memory), "-serial", f"file:{self.console_path}",
                     "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={firmware}",
                     "-drive", f"if=pflash,format=raw,unit=1,file={store}",
                     "-chardev", f"socket,id=tpm,path={os.path.join(tpm.dir, 'ctrl.sock')}",
                     "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
                     *extra]
        if uki:
            # Behind the others, whose names are then the same as without it.
            disks = [*disks, (self._volume(directory, uki), ["readonly=on"], ["bootindex=0"])]
        else:
            self.argv += ["-kernel", kernel, "-initrd", initrd, "-append", cmdline]
        for i, (path, drive, device) in enumerate(disks):
            self.argv += ["-drive", ",".join([f"if=none,id=d{i},format=raw,file={path}", *drive]),
                          "-device", ",".join([f"virtio-blk-pci,drive=d{i}", *device])]
        if port is not None:
            # With restrict the guest reaches this machine in no other way. A program for each
            # connection: the form without one keeps a single connection for ever.
            host, guest = VERIFIER.split(":")
            net = [f"user,id=n0,restrict=on,guestfwd=tcp:{host}:{guest}-cmd:{tool('busybox')} "
                   f"nc 127.0.0.1 {port}"]
            net += [f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forward]
            # An option ROM would be measured as well.
            self.argv += ["-netdev", ",".join(net), "-device",
                          "virtio-net-pci,netdev=n0,romfile="]
        self.process = None

    @staticmethod
    def _volume(directory, uki):
        """A FAT volume with the image where firmware looks for it."""
        volume = os.path.join(directory, "esp.img")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(volume)
        size = (os.path.getsize(uki) >> 20) + 36  # MiB; FAT32 has 32 at least
        with open(volume, "wb") as f:
            f.truncate(size << 20)
        run(tool("mkfs.vfat"), "-F", "32", "-n", "ESP", "-i", "12345678", "--invariant", volume)
        run(tool("mmd"), "-i", volume, "::/EFI", "::/EFI/BOOT")
        run(tool("mcopy"), "-i", volume, uki, "::/EFI/BOOT/BOOTX64.EFI")
        return volume

    def __enter__(self):
        self.tpm.power_on()
        self.begin = time.monotonic()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        self.cut()

    def cut(self):
        """The power goes off."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.tpm.stop()

    @property
    def console(self):
        try:
            with open(self.console_path, encoding="utf-8", errors="replace") as f:
                return f.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def _left(self):
        return max(1, self.limit - (time.monotonic() - self.begin))

    def says(self, pattern, elsewhere=None):
        """Waits for it on the console, or for elsewhere() to be true."""
        def look():
            running = self.process.poll() is None
            found = re.search(pattern, self.console, re.M)
            if not found and elsewhere and elsewhere():
                return True
            if not found and not running:
                raise Failure(f"the machine went off before /{pattern}/\n{self.tail()}")
            return found
        try:
            return until(f"/{pattern}/ on the console", look, self._left())
        except Failure as e:
            raise Failure(f"{e}\n{self.tail()}") from None

    def off(self):
        """Waits until it turned itself off; its console."""
        try:
            self.process.wait(self._left())
        except subprocess.TimeoutExpired:
            raise Failure(f"not off after {self.limit} s\n{self.tail()}") from None
        return self.console

    def tail(self):
        complaint = ""
        if self.process.poll() is not None and not self.process.stdout.closed:
            complaint = self.process.stdout.read().decode(errors="replace")
        return complaint + "\n".join("    " + line for line in self.console.splitlines()[-40:])
