# SPDX-License-Identifier: Apache-2.0
"""The attack suite inside Debian's kernel, assayd guarding itself and what it measured: tests/attacks
run in a machine with a Debian root, their results on its console."""
import os
import shutil
import subprocess
import tempfile

import debian
from image import Initramfs
from lab import SOURCE
from machine import Machine

PACKAGES = ("procps,kmod,iproute2,hostname,curl,openssl,python3,swtpm,swtpm-tools,tpm2-tools,bpftool,"
            "nginx-light,redis-server,redis-tools,postgresql,nodejs,gdb,util-linux,binutils,mount,"
            "default-jre-headless,libh2-java," + debian.OURS)
PROGRAMS = ["assayd", "assay-verifierd", "assay", "attack_victim", "attack_attacker"]
PAYLOADS = ["attack_payload.so", "attack_payload_changed.so"]
# What the root, which has no modules, would load when it is needed.
MODULES = ["virtio_pci", "virtio_blk", "ext4", "overlay", "inet_diag", "tcp_diag", "udp_diag",
           "raw_diag", "unix_diag", "netlink_diag", "af_packet_diag", "netconsole"]
GIVEN = "dummy"  # a module for an attack to load: rows.py
LIMIT = 3 * 3600  # seconds
PATIENCE = 10  # how much slower than a machine the emulated one may be
MEMORY = 3072
SCENE = 8  # applications at once: to start many takes an emulated machine long


def root(directory, work, build, kernel, arguments):
    """The disk's image; directory is the caller's to remove."""
    tree = debian.Tree(os.path.join(directory, "root"), work, PACKAGES)
    for name in PROGRAMS:
        tree.program(os.path.join(build, "bin", name), f"/opt/assay/build/bin/{name}")
    for name in PAYLOADS:
        tree.add(os.path.join(build, "lib", name), f"/opt/assay/build/lib/{name}")
    for folder in ("attacks", "support", "lab"):
        shutil.copytree(os.path.join(SOURCE, "tests", folder), tree.path(f"/opt/assay/tests/{folder}"))
    tree.add(kernel.modules([GIVEN])[-1], f"/opt/assay/{GIVEN}.ko")
    tree.write("/opt/assay/arguments", " ".join(arguments) + "\n")
    tree.write("/etc/hosts", "127.0.0.1 localhost machine\n")
    subprocess.run(["/usr/sbin/ldconfig", "-r", tree.root], check=True)
    return tree.disk(os.path.join(directory, "root.img"), spare_mib=2048)


def boot(kernel, work, build, rows=(), limit=LIMIT, patience=PATIENCE):
    """One run: its Machine."""
    arguments = ["--protect", "--patience", str(patience), "--scene", str(SCENE), *rows]
    with tempfile.TemporaryDirectory(prefix="assay-machine-", dir=work) as directory:
        disk = root(directory, work, build, kernel, arguments)
        with Initramfs(init="attacks-init") as image:
            image.modules(kernel, MODULES)
            packed = image.pack(directory)
            return Machine(kernel.image, packed, limit=limit, memory=MEMORY, disks=[disk])
