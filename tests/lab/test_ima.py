# SPDX-License-Identifier: Apache-2.0
"""IMA of Debian's kernel as a second witness: its own list, its own PCR 10, a boot that firmware
measured, and a program that is swapped for the time of one execution."""
import glob
import os
import re
import shutil

from image import Initramfs, tool
from lab import Failure, run
from measured import VERIFIER
from owner import COMMAND_LINE, MODULES, Image, Owner
from reference import measure_in

HERE = os.path.dirname(os.path.abspath(__file__))
ASKED = "log: require, violations: allow, boot_aggregate: require, witness: require"
IMA = f"{COMMAND_LINE} ima_policy=tcb ima_hash=sha256"

CONFIGURATION = f"""\
verifier: {{address: "{VERIFIER}", ca: /etc/assay/verifier-ca.pem}}
attester: tpm
net_user: nobody
applications:
  - name: show
    exec: [/usr/bin/sleep, infinity]
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{at: start}}, {{every: 4s}}]
    stages: 1
    deliver: {{stage_1: credential}}
"""

POLICY = """static: {manifest: show.mtree}
dynamic:
  code: {files: manifest}
  start_time: {unchanged: true}
stages:
  - {stage: 1, after: static, release: [token]}
"""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Ima(Owner):
    """A machine whose root file system is on a disk: IMA's policies leave the initrd's out."""

    def disk(self, *marks):
        with Initramfs() as tree:
            tree.add(os.path.join(HERE, "ima-init"), "/sbin/lab")
            tree.program(self.program("assayd"), "/usr/sbin/assayd")
            tree.program(tool("sleep"), "/usr/bin/sleep")
            # Loaded by its name, so that no program lists it.
            for transport in glob.glob("/usr/lib/*/libtss2-tcti-device.so.0"):
                tree.program(os.path.realpath(transport), transport)
            for at in ("/proc/x", "/sys/x", "/dev/x", "/run/x", "/tmp/x", "/var/lib/assay/x"):
                tree.write(at, "")
            tree.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
            tree.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
            tree.write("/etc/assay/assayd.yaml", CONFIGURATION)
            shutil.copy(os.path.join(self.keys, "ca.pem"), tree.root + "/etc/assay/verifier-ca.pem")
            for mark in marks:
                tree.write(mark, "")
            run(tree.root + "/bin/busybox", "--install", "-s", tree.root + "/bin")
            for link in os.listdir(tree.root + "/bin"):
                path = os.path.join(tree.root, "bin", link)
                if os.path.islink(path):
                    os.unlink(path)
                    os.symlink("/bin/busybox", path)
            measure_in(tree.root, self.program("assay"), self.path("show.mtree"), "/usr/bin/sleep")
            image = self.path("root.img")
            with open(image, "wb") as f:
                f.truncate(192 << 20)
            run(tool("mkfs.ext4"), "-q", "-d", tree.root, "-E",
                "lazy_itable_init=0,lazy_journal_init=0", image)
        return (image, ["cache=unsafe"], [])

    def initrd(self):
        with Initramfs() as tree:
            tree.add(os.path.join(HERE, "ima-init"), "/init")
            tree.modules(self.kernel, [*MODULES, "crc32c_generic", "ext4"])
            return shutil.copy(tree.pack(self.dir), self.path("initrd.img"))

    def prepare(self, cmdline=IMA, ima=ASKED):
        image = Image(self.kernel.image, self.initrd(), cmdline)
        self.pcrs = self.predict(image)
        check(set(self.pcrs) >= {4, 9}, f"predicted were {self.pcrs}")
        self.secret("token", "the token\n")
        self.policy("show", POLICY)
        with open(self.path("show.yaml"), encoding="utf-8") as f:
            text = f.read()
        self.write("show.yaml", text.replace("tpm: {", f"tpm: {{ima: {{{ima}}}, ", 1))
        self.start_verifier()
        return image


def test_the_kernels_list_agrees_until_a_program_is_swapped(owner):
    """Static and dynamic measurements agree with what the kernel saw; then /usr/bin/sleep is another
    program for one execution, and is back before assayd looks again."""
    disk = owner.disk("/etc/swap")
    image = owner.prepare()
    with owner.guest(image, disks=[disk]) as guest:
        guest.says(r"show: accepted by the verifier")
        guest.says(r"swapped and put back")
        guest.says(r"show: refused by the verifier")
        console = guest.off()
    rules = {rule for rule, _ in owner.reasons("show")}
    check(rules == {"platforms.tpm.ima.witness.other_digest"}, str(owner.reasons("show")))
    seen = owner.reasons("show")[0][1]
    check("IMA saw /usr/bin/sleep" in seen, seen)
    good = owner.rows("select kind, reasons from evidence where accepted = 1 order by id")
    check(len(good) >= 4 and {kind for kind, _ in good} == {"static", "dynamic"}, str(good))
    check(not any("ima" in reasons for _, reasons in good), str(good))
    check(owner.released() == ["token"], f"released: {owner.released()}")
    entries, size = re.search(r"IMA: (\d+) entries, (\d+) bytes", console).groups()
    return f"a list of {entries} entries, {size} bytes"


def test_a_kernel_that_measures_nothing(owner):
    """Without a policy of IMA's its list has boot_aggregate alone: nothing is witnessed."""
    disk = owner.disk()
    image = owner.prepare(cmdline=COMMAND_LINE)
    with owner.guest(image, disks=[disk]) as guest:
        guest.says(r"show: refused by the verifier")
        console = guest.off()
    check("IMA: 1 entries, 0 violations" in console, console[-2000:])
    rules = {rule for rule, _ in owner.reasons("show")}
    check(rules == {"platforms.tpm.ima.witness.unseen_file"}, str(owner.reasons("show")))


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]
