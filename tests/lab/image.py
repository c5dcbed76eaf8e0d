# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel, fetched and not installed, and an initramfs of programs of ours with their libraries."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Missing(Exception):
    """What a lab needs is not on this machine."""


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")
    if not path:
        raise Missing(f"no {name}: packaging/dependencies lab")
    return path


def output(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


class Kernel:
    """Unpacked below directory, once for each version; no boot loader, no /boot of the host."""

    def __init__(self, directory, metapackage="linux-image-amd64"):
        depends = output(tool("apt-cache"), "depends", metapackage)
        found = re.search(r"Depends: (linux-image-[0-9]\S+)", depends)
        if not found:
            raise Missing(f"apt knows no {metapackage}")
        package = found.group(1)
        policy = re.search(r"Candidate: (\S+)", output(tool("apt-cache"), "policy", package))
        self.release = package.removeprefix("linux-image-")
        self.root = os.path.join(directory, f"{package}_{policy.group(1)}".replace(":", "-"))
        if not os.path.exists(os.path.join(self.root, "ready")):
            self._fetch(package)
        self.image = os.path.join(self.root, "boot", f"vmlinuz-{self.release}")

    def _fetch(self, package):
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.root)
        got = subprocess.run([tool("apt-get"), "-q", "download", package], cwd=self.root,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if got.returncode != 0:
            raise Missing(f"apt-get download {package}: {got.stdout.strip()[-200:]}")
        (deb,) = glob.glob(os.path.join(self.root, "*.deb"))
        subprocess.run([tool("dpkg-deb"), "-x", deb, self.root], check=True)
        os.unlink(deb)
        subprocess.run([tool("depmod"), "-b", self.root, self.release], check=True)
        open(os.path.join(self.root, "ready"), "w").close()

    def modules(self, names):
        """Files of the modules with those they need, in the order to load them."""
        order = []
        for name in names:
            for line in output(tool("modprobe"), "-d", self.root, "-S", self.release,
                               "--show-depends", name).splitlines():
                word, _, rest = line.partition(" ")
                path = rest.split()[0] if rest.strip() else ""
                if word == "insmod" and path not in order:
                    order.append(path)
        return order


def libraries(program):
    """Shared libraries a program loads, its loader included."""
    found = subprocess.run([tool("ldd"), program], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True).stdout
    return re.findall(r"(/\S+) \(0x", found)


class Initramfs:
    """A tree that is put together, then packed; the same content makes the same bytes."""

    def __init__(self, init="init"):
        self._holder = tempfile.TemporaryDirectory(prefix="assay-machine-")
        self.root = self._holder.name
        self.add(tool("busybox"), "/bin/busybox")
        self.add(os.path.join(HERE, init), "/init")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._holder.cleanup()

    def add(self, source, at):
        to = self.root + at
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copyfile(source, to)
        os.chmod(to, 0o755)

    def write(self, at, text, mode=0o644):
        to = self.root + at
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with open(to, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(to, mode)

    def program(self, source, at):
        self.add(source, at)
        for library in libraries(source):
            if not os.path.exists(self.root + library):
                self.add(library, library)

    def modules(self, kernel, names):
        at = []
        for path in kernel.modules(names):
            at.append("/modules/" + os.path.basename(path))
            self.add(path, at[-1])
        self.write("/modules.list", "".join(name + "\n" for name in at))

    def pack(self, directory):
        """The image's path below directory, named by its content and kept from run to run."""
        names, digest = [], hashlib.sha256()
        for where, folders, files in sorted(os.walk(self.root)):
            for name in sorted(folders + files):
                path = os.path.join(where, name)
                os.utime(path, (0, 0))
                names.append(os.path.relpath(path, self.root))
                digest.update(f"{names[-1]} {os.stat(path).st_mode}\n".encode())
                if name in files:
                    with open(path, "rb") as f:
                        digest.update(hashlib.sha256(f.read()).digest())
        image = os.path.join(directory, f"initramfs-{digest.hexdigest()[:16]}.img")
        if os.path.exists(image):
            return image
        for old in glob.glob(os.path.join(directory, "initramfs-*.img")):
            os.unlink(old)
        with open(image + ".new", "wb") as f:
            subprocess.run([tool("cpio"), "--null", "-o", "-H", "newc", "--reproducible",
                            "--owner=+0:+0", "--quiet"], check=True, cwd=self.root, stdout=f,
                           input="\0".join(sorted(names)).encode() + b"\0")
        os.rename(image + ".new", image)
        return image
