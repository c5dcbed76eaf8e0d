# SPDX-License-Identifier: Apache-2.0
"""The initrds that Debian's makers build with what packaging/ gives them: the same method as in an
image of ours, judged by values predicted from the initrd's file."""
import os
import shutil

import debian
import test_method
from image import tool
from lab import Failure, run, until
from measured import LIMIT
from owner import COMMAND_LINE, MODULES, Image

PACKAGES = ("initramfs-tools-core,dracut-core,kmod,udev,dmsetup,cryptsetup-bin,cpio,zstd,"
            "libtss2-tcti-device0," + debian.OURS)
# Names of interfaces as the kernel gives them; the root is whatever /dev/mapper/root will be.
OPTIONS = f"{COMMAND_LINE} net.ifnames=0 root=/dev/mapper/root rw"
INITRD, UNPACKED = "/boot/initrd.img", "/unpacked"
MAKERS = {
    "initramfs-tools": "exec mkinitramfs -c zstd -o {initrd} {release}",
    "dracut": "exec dracut --quiet --force --reproducible --zstd --no-hostonly "
              "-m 'base kernel-modules rootfs-block udev-rules dm crypt assay' {initrd} {release}",
}
# In a namespace of its own, so that nothing stays mounted.
IN_TREE = """
mount -t proc proc "$0/proc"
mount -t sysfs -o ro sysfs "$0/sys"
mount --bind /dev "$0/dev"
exec chroot "$0" /bin/sh -c "$1"
"""


class Machine(test_method.Machine):
    """An owner's machine, its initrd built in a Debian where the maker is installed."""

    maker = None

    def image(self, name, config, modules=(), **_):
        tree = debian.Tree(self.path("maker"), self.work, PACKAGES)
        self.install(tree)
        self.write(f"{name}.assayd.yaml", config)
        tree.add(self.path(f"{name}.assayd.yaml"), "/etc/assay/initrd/assayd.yaml", 0o644)
        for at in ("/etc/assay/initrd/verifier-ca.pem", "/etc/assay/verifier-ca.pem"):
            tree.add(os.path.join(self.keys, "ca.pem"), at, 0o644)
        tree.write("/etc/assay/initrd/modules",
                   "".join(f"{m}\n" for m in [*MODULES, "ext4", "crc32c_intel", *modules]))
        tree.write("/etc/initramfs-tools/conf.d/list", "MODULES=list\n")
        command = MAKERS[self.maker].format(initrd=INITRD, release=self.kernel.release)
        self.inside(tree, command)
        # What lies where in it is the maker's choice: reference values are of the unpacked initrd.
        self.inside(tree, f"exec unmkinitramfs {INITRD} {UNPACKED}")
        return Image(self.kernel.image, tree.path(INITRD), OPTIONS, tree=tree.path(UNPACKED))

    @staticmethod
    def inside(tree, command):
        run("unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", IN_TREE, tree.root,
            command, timeout=1200, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                        "SOURCE_DATE_EPOCH": debian.EPOCH})

    def install(self, tree):
        """assay as `cmake --install` puts it below /usr, and the kernel."""
        build = os.path.dirname(os.path.dirname(self.program("assayd")))
        run(tool("cmake"), "--install", build, "--prefix", "/usr", timeout=300,
            env={**os.environ, "DESTDIR": tree.root})
        tree.program(self.program("assayd"), "/usr/sbin/assayd")
        shutil.copytree(os.path.join(self.kernel.root, "lib", "modules"),
                        tree.path("/usr/lib/modules"), symlinks=True, dirs_exist_ok=True)
        for name in (f"vmlinuz-{self.kernel.release}", f"config-{self.kernel.release}"):
            tree.add(os.path.join(self.kernel.root, "boot", name), f"/boot/{name}", 0o644)
        for at in ("/etc/passwd", "/etc/group"):
            with open(tree.path(at), encoding="utf-8") as f:
                listed = f.read()
            tree.write(at, listed + ("_assay-net:x:990:990::/:/usr/sbin/nologin\n"
                                     if at == "/etc/passwd" else "_assay-net:x:990:\n"))


def whole(owner, maker):
    """One boot: the disk opened by the verifier's word, the root that the distribution's script
    mounts, systemd, nginx with its key, a worker through all stages."""
    owner.maker = maker
    image = owner.prepare()
    size = os.path.getsize(image.initrd) / 1e6
    with owner.machine(image) as guest:
        up = guest.says(r"### multi-user at ([0-9.]+)").group(1)
        page = until("nginx serving HTTPS", lambda: owner.page() or guest.process.poll(),
                     owner.limit or LIMIT)
        if not page or "measured nginx" not in str(page):
            raise Failure(f"the page: {page}\n{guest.tail()}")
        guest.says(r"all stages done")
        for name in ("disk", "web", "worker"):
            if owner.reasons(name):
                raise Failure(f"{name}: {owner.reasons(name)}")
        expected = ["disk-passphrase", "tls-key"] + [f"block-{i}-key" for i in
                                                     range(1, test_method.BLOCKS + 1)]
        if sorted(owner.released()) != sorted(expected):
            raise Failure(f"released: {owner.released()}")
    # Another command line: what the initrd's script would mount stays closed, and the machine goes off.
    before = owner.released()
    with owner.machine(image.but(cmdline=image.cmdline + " single")) as guest:
        said = guest.off()
        if "disk: refused by the verifier" not in said or "### multi-user" in said:
            raise Failure("another command line was not refused\n" + guest.tail())
        if owner.released() != before:
            raise Failure(f"released all the same: {owner.released()}")
    return f"initrd of {size:.1f} MB; systemd is done {up} s after the kernel's start"


def test_initramfs_tools(owner):
    return whole(owner, "initramfs-tools")


def test_dracut(owner):
    return whole(owner, "dracut")


TESTS = [test_initramfs_tools, test_dracut]
