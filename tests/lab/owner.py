# SPDX-License-Identifier: Apache-2.0
"""What the owner of the data has: a verifier on loopback, values predicted for an image, and the
machine that boots it."""
import json
import os
import shutil
import subprocess
import time

from image import tool
from lab import SOURCE, Failure, Lab, run
from measured import VERIFIER, Guest, GuestTpm

MKIMAGE = os.path.join(SOURCE, "packaging", "mkimage")
# A busy host is too slow for the kernel's test of its timer, which then panics.
COMMAND_LINE = "console=ttyS0 panic=-1 no_timer_check quiet"
MEMORY = 1024
NETWORK = "{interface: eth0, address: 10.0.2.15/24, gateway: 10.0.2.2}"
# virtio_pci and what hangs on it: the network, the disk.
MODULES = ["virtio_pci", "virtio_net", "virtio_blk"]


class Image:
    """What is booted: a kernel with its initrd, or both in one file."""

    def __init__(self, kernel, initrd, cmdline=COMMAND_LINE, uki=None, tree=None):
        self.kernel, self.initrd, self.cmdline, self.uki = kernel, initrd, cmdline, uki
        self.tree = tree

    def but(self, **changed):
        return Image(**{**self.__dict__, **changed})

    def arguments(self):
        if self.uki:
            return {"uki": self.uki}
        return {"kernel": self.kernel, "initrd": self.initrd, "cmdline": self.cmdline}


class Owner(Lab):
    """A context manager as Lab is; keys: a folder with the CA, kept from one to the next, so that
    one image can be booted for all of them."""

    def __init__(self, build, kernel, keys, echo=None, keep=False):
        super().__init__(build, echo, keep)
        self.kernel, self.keys, self.pcrs = kernel, keys, {}
        self.limit = None
        if not os.path.exists(os.path.join(keys, "ca.pem")):
            os.makedirs(keys, exist_ok=True)
            self.pki(VERIFIER.split(":")[0])
            for name in ("ca.pem", "ca.key", "verifier.pem", "verifier.key"):
                shutil.copy2(self.path(name), keys)
        for name in ("ca.pem", "verifier.pem", "verifier.key"):
            shutil.copy2(os.path.join(keys, name), self.path(name))
        self.tpm = GuestTpm(self.dir)
        self.write("ek-roots.pem", self.tpm.ek_roots())

    # Images.

    def image(self, name, config, files=(), programs=(), modules=(), uki=None, cmdline=COMMAND_LINE,
              assayd=None, more=()):
        """Builds NAME.img with packaging/mkimage; files and programs: (source, name in it)."""
        self.write(f"{name}.assayd.yaml", config)
        tree = self.path(f"{name}.tree")
        argv = [MKIMAGE, "--level", "6", "--output", self.path(f"{name}.img"), "--config",
                self.path(f"{name}.assayd.yaml"), "--root", self.kernel.root, "--release",
                self.kernel.release, "--assayd", assayd or self.program("assayd"), "--tree", tree,
                "--file", f"{os.path.join(self.keys, 'ca.pem')}:/etc/assay/verifier-ca.pem", *more]
        for module in [*MODULES, *modules]:
            argv += ["--module", module]
        for source, at in files:
            argv += ["--file", f"{source}:{at}"]
        for source, at in programs:
            argv += ["--program", f"{source}:{at}"]
        if uki:
            argv += ["--uki", uki, "--kernel", self.kernel.image, "--cmdline", cmdline]
        run(*argv, timeout=600)
        return Image(self.kernel.image, self.path(f"{name}.img"), cmdline, uki, tree)

    def predict(self, image, memory=MEMORY, secure_boot=False):
        """PCR values of a boot of the image, from its files alone: {index: hex}."""
        argv = [self.program("assay"), "measure", "boot", "--json"]
        argv += ["--secure-boot"] if secure_boot else []
        if image.uki:
            argv += ["--uki", image.uki]
        else:
            argv += ["--kernel", image.kernel, "--initrd", image.initrd, "--cmdline",
                     image.cmdline, "--memory", memory]
        said = json.loads(run(*argv).stdout)["banks"]["sha256"]["pcrs"]
        return {int(index): value for index, value in said.items() if int(index) in (4, 9, 11)}

    # The owner's side.

    def policy(self, name, body):
        pcrs = ", ".join(f"{i}: [{v}]" for i, v in sorted(self.pcrs.items()))
        self.write(f"{name}.yaml",
                   f"application: {name}\nversion: 1\nplatforms:\n"
                   f"  tpm: {{pcrs: {{{pcrs}}}, ek_ca: ek-roots.pem}}\n{body}")
        if f"{name}.yaml" not in self.policies:
            self.policies.append(f"{name}.yaml")

    def reasons(self, application):
        """(rule, what was seen) of every refusal so far."""
        return [(reason["rule"], reason["seen"])
                for (text,) in self.rows("select reasons from evidence where application = "
                                         f"'{application}' and accepted = 0")
                for reason in json.loads(text) if not reason["warning"]]

    def accepted(self, application, kind):
        return self.rows(f"select count(*) from evidence where application = '{application}' "
                         f"and kind = '{kind}' and accepted = 1")[0][0]

    def refused(self, guest, application, rule, seconds=600):
        """Waits until the verifier refused it, for this rule among the reasons."""
        guest.says(rf"{application}: refused by the verifier")
        end = time.monotonic() + seconds
        while not self.reasons(application):  # the record follows the verdict
            if time.monotonic() > end:
                raise Failure(f"{application}: no refusal recorded")
            time.sleep(0.1)
        rules = [r for r, _ in self.reasons(application)]
        if rule not in rules:
            raise Failure(f"{application}: refused, but for {rules}, not {rule}")
        if self.released():
            raise Failure(f"released all the same: {self.released()}")
        return self.reasons(application)

    # The machine.

    def guest(self, image, **more):
        if self.limit:
            more.setdefault("limit", self.limit)
        return Guest(self.dir, more.pop("tpm", self.tpm), memory=more.pop("memory", MEMORY),
                     port=self.port, **image.arguments(), **more)

    def record(self):
        """(claims, mi, chip report) of the first accepted evidence, as the verifier keeps them."""
        return self.rows("select claims, mi, report from evidence where accepted = 1 order by id "
                         "limit 1")[0]


def protobuf(direction, message, data):
    """protoc as a translator: 'decode' bytes to its text, 'encode' the other way round."""
    done = subprocess.run([tool("protoc"), f"--{direction}=assay.{message}", "-I",
                           os.path.join(SOURCE, "proto"),
                           os.path.join(SOURCE, "proto", "session.proto")],
                          input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure(f"protoc: {done.stderr.decode()[-300:]}")
    return done.stdout
