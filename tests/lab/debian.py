# SPDX-License-Identifier: Apache-2.0
"""A Debian root file system: fetched once and kept in the build tree, changed for a run, and made
into a disk, encrypted as LUKS2 or plain."""
import hashlib
import os
import shutil
import subprocess

from image import Missing, libraries, tool
from lab import run

SUITE = "bookworm"
OPTIONS = ["--variant=minbase", "--aptopt=Acquire::Languages \"none\"",
           "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"]
EPOCH = "1700000000"
FETCH_SECONDS = 3600
# What an assayd or a program of ours needs beside the C library, systemd's and OpenSSL's.
OURS = "libevent-2.1-7,libprotobuf-c1"
UUID = "5f0b1f0a-3c0f-4a3e-9d7e-000000000001"
LUKS_OFFSET = 16 << 20


def archive(work, packages):
    """A tar archive of a root with these packages."""
    key = hashlib.sha256(repr((SUITE, OPTIONS, packages)).encode()).hexdigest()[:16]
    path = os.path.join(work, f"root-{key}.tar")
    if not os.path.exists(path):
        done = subprocess.run([tool("mmdebstrap"), *OPTIONS, f"--include={packages}", SUITE,
                               path + ".new.tar"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=FETCH_SECONDS, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
        if done.returncode != 0:
            raise Missing(f"mmdebstrap: {done.stdout.strip()[-300:]}")
        os.rename(path + ".new.tar", path)
    return path


class Tree:
    """An unpacked root; below directory, which is the caller's to remove."""

    def __init__(self, directory, work, packages):
        self.root = directory
        os.makedirs(directory)
        # Devices are the kernel's to make.
        run(tool("tar"), "-x", "-f", archive(work, packages), "-C", directory, "--numeric-owner",
            "--exclude=./dev/*", timeout=900)

    def path(self, at):
        return self.root + at

    def write(self, at, text, mode=0o644):
        path = self.path(at)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def add(self, source, at, mode=0o755):
        with open(source, "rb") as f:
            self.write(at, f.read(), mode)

    def program(self, source, at):
        """A program of the build with those of its libraries that this root lacks."""
        self.add(source, at)
        have = {name for _, _, names in os.walk(self.path("/usr/lib")) for name in names}
        for library in libraries(source):
            name = os.path.basename(library)
            if name not in have and not name.startswith("ld-linux"):
                self.add(os.path.realpath(library), f"/usr/lib/x86_64-linux-gnu/{name}", 0o644)

    def link(self, to, at):
        path = self.path(at)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(to, path)

    def quiet(self):
        """Nothing that a test does not ask for: no timers, no consoles to log in at."""
        shutil.rmtree(self.path("/etc/systemd/system/timers.target.wants"), ignore_errors=True)
        for unit in ("getty.target", "serial-getty@ttyS0.service", "nginx.service",
                     "systemd-networkd.service", "e2scrub_reap.service", "apt-daily.service",
                     "systemd-resolved.service", "systemd-timesyncd.service"):
            self.link("/dev/null", f"/etc/systemd/system/{unit}")
        # What goes to the journal, assayd's log above this root among it, is to be seen.
        self.write("/etc/systemd/journald.conf.d/console.conf",
                   "[Journal]\nStorage=volatile\nForwardToConsole=yes\nTTYPath=/dev/ttyS0\n"
                   "MaxLevelConsole=info\n")
        self.write("/etc/machine-id", "")
        self.write("/etc/hostname", "machine\n")
        self.write("/etc/fstab", "")

    def disk(self, to, spare_mib=150):
        """An ext4 image of it."""
        used = int(run(tool("du"), "-s", "--block-size=1M", self.root).stdout.split()[0])
        with open(to, "wb") as f:
            f.truncate((used * 5 // 4 + spare_mib) << 20)
        # LUKS sectors have 4096 bytes; smaller blocks than those cannot be mounted.
        run(tool("mkfs.ext4"), "-q", "-b", "4096", "-d", self.root, "-E",
            f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={UUID}", "-U", UUID, to,
            timeout=900)
        return to


def encrypt(fill, plain, to, passphrase):
    """LUKS2 around the image. fill: the program luks_fill. Few iterations: the passphrase is at
    random, and Argon2 takes an emulated machine minutes."""
    key, volume_key = to + ".key", to + ".volume-key"
    try:
        with open(key, "w") as f:
            f.write(passphrase)
        with open(to, "wb") as f:
            f.truncate(LUKS_OFFSET + os.path.getsize(plain))
        run(tool("cryptsetup"), "luksFormat", "--batch-mode", "--type", "luks2", "--cipher",
            "aes-xts-plain64", "--key-size", "512", "--pbkdf", "pbkdf2",
            "--pbkdf-force-iterations", "1000", "--sector-size", "4096", "--key-file", key, to)
        run(tool("cryptsetup"), "luksDump", "--batch-mode", "--dump-volume-key",
            "--volume-key-file", volume_key, "--key-file", key, to)
        run(fill, volume_key, LUKS_OFFSET, plain, to, timeout=900)
    finally:
        for path in (key, volume_key):
            if os.path.exists(path):
                os.unlink(path)
    return to
