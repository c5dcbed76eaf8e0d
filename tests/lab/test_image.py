# SPDX-License-Identifier: Apache-2.0
"""packaging/mkimage: same input, same bytes; small; and it says what is wrong."""
import hashlib
import os
import shutil
import subprocess
import time

from image import libraries, tool
from lab import Failure, run
from owner import MKIMAGE, MODULES
from measured import VERIFIER

LARGEST = 12 << 20  # bytes of assayd with its libraries, compressed
CONFIGURATION = f"""\
verifier: {{address: "{VERIFIER}", ca: /etc/assay/verifier-ca.pem}}
attester: tpm
initrd: {{modules_file: /etc/assay/modules}}
applications: [{{name: a, exec: [/usr/sbin/assayd]}}]
"""


def check(condition, what):
    if not condition:
        raise Failure(what)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def build(owner, name, *more, config=None):
    """Exit status and what was said, of one build."""
    config = config or owner.write("c.yaml", CONFIGURATION)
    argv = [MKIMAGE, "--output", owner.path(f"{name}.img"), "--config", config, "--root",
            owner.kernel.root, "--release", owner.kernel.release, "--assayd",
            owner.program("assayd"), "--level", "3"]
    for module in MODULES:
        argv += ["--module", module]
    done = subprocess.run([*argv, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=600)
    return done.returncode, done.stderr


def test_same_bytes(owner):
    """Built twice, later, from files whose times are others: the same initrd, the same UKI."""
    sums = []
    for name in ("one", "two"):
        uki = owner.path(f"{name}.efi")
        config = owner.write(f"{name}.yaml", CONFIGURATION)
        os.utime(config, (len(sums) * 1000, len(sums) * 1000))
        status, said = build(owner, name, "--uki", uki, "--kernel", owner.kernel.image,
                             "--cmdline", "console=ttyS0", config=config)
        check(status == 0, said)
        sums.append((sha256(owner.path(f"{name}.img")), sha256(uki)))
        time.sleep(1.1)  # a clock of seconds has another one
    check(sums[0] == sums[1], f"two builds: {sums}")
    status, said = build(owner, "three", config=owner.write("three.yaml", CONFIGURATION + "\n"))
    check(status == 0 and sha256(owner.path("three.img")) != sums[0][0],
          "another configuration gives the same image")
    return f"initrd sha256 {sums[0][0][:16]}…, UKI {sums[0][1][:16]}…"


def test_size_of_assayd(owner):
    """assayd, the libraries that it loads and nothing else, as compressed as an image is."""
    folder = owner.path("only")
    os.makedirs(folder)
    assayd = owner.program("assayd")
    for path in {assayd, *libraries(assayd)}:
        shutil.copy(os.path.realpath(path), folder)
    archive = owner.path("only.tar")
    run(tool("tar"), "-c", "-f", archive, "-C", folder, ".")
    run(tool("zstd"), "-q", "-19", "--single-thread", archive, "-o", archive + ".zst",
        timeout=1200)
    size = os.path.getsize(archive + ".zst")
    check(size < LARGEST, f"{size} bytes, more than {LARGEST}")
    return f"assayd with its libraries: {size / (1 << 20):.1f} MiB compressed"


def test_what_is_missing_is_named(owner):
    for more, wanted in ((("--module", "no_such_module"), "no_such_module"),
                         (("--file", "/no/such/file:/etc/x"), "/no/such/file"),
                         (("--file", "/etc/hostname:/etc/../x"), "without . and .."),
                         (("--stub", "/no/stub", "--uki", owner.path("x.efi"), "--cmdline", "x"),
                          "/no/stub")):
        status, said = build(owner, "bad", *more)
        check(status == 3 and wanted in said, f"{more}: {status}, {said}")
        check(not os.path.exists(owner.path("x.efi")), "an image all the same")
    status, said = build(owner, "bad", "--uki", owner.path("x.efi"))
    check(status == 2 and "--cmdline" in said, f"--uki without --cmdline: {status}, {said}")


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]
