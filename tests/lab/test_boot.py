# SPDX-License-Identifier: Apache-2.0
"""An image without a root file system: assayd is process 1, and starts an application that is in the
image itself. One boot that is accepted on values predicted from the image, and each way to be
refused."""
import hashlib
import os
import re
import shutil
import socket
import ssl
import struct

from image import tool
from lab import Failure, run, until
from owner import NETWORK, Owner, protobuf
from measured import SECURE, VERIFIER, GuestTpm
from reference import measure_in

TOKEN = "the token\n"
SHOW = """#!/usr/bin/busybox sh
cd $CREDENTIALS_DIRECTORY || exit
echo "the application has $(sha256sum <token | cut -c-64)," \
	"$(cut -d. -f1 /proc/uptime) s after the start" >/dev/console
sleep 1000000
"""


def configuration(extra=""):
    return f"""\
verifier: {{address: "{VERIFIER}", ca: /etc/assay/verifier-ca.pem}}
attester: tpm
{extra}initrd:
  modules_file: /etc/assay/modules
  network: {NETWORK}
applications:
  - name: show
    exec: [/usr/bin/show]
    measure: {{static: true, dynamic: false}}
    stages: 1
    deliver: {{stage_1: credential}}
"""


POLICY = """static: {manifest: show.mtree}
stages:
  - {stage: 1, after: static, release: [token]}
"""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Boot(Owner):
    """With an image that the policy expects."""

    def showing(self, name, config, files=(), **more):
        """An image with the application, a script, in it."""
        self.write("show", SHOW)
        os.chmod(self.path("show"), 0o755)
        return self.image(name, config, files=[(self.path("show"), "/usr/bin/show"), *files],
                          programs=[(tool("busybox"), "/usr/bin/busybox")], **more)

    def prepare(self, expect=None, **more):
        """expect: the image whose values the policy has, if not the one that this makes."""
        image = self.showing("image", more.pop("config", configuration()), **more)
        measure_in(image.tree, self.program("assay"), self.path("show.mtree"), "/usr/bin/show")
        self.pcrs = self.predict(expect or image)
        check(set(self.pcrs) >= {4, 9}, f"predicted were {self.pcrs}")
        self.secret("token", TOKEN)
        self.policy("show", POLICY)
        self.start_verifier()
        return image

    def boots(self, guest):
        """It is accepted, and the application has its secret."""
        said = guest.says(r"the application has ([0-9a-f]{64}), (\d+) s|show: refused by|"
                          r"nothing was handed over")
        check(said.group(1) == hashlib.sha256(TOKEN.encode()).hexdigest(), said.group(0))
        check(self.released() == ["token"], f"released: {self.released()}")
        return int(said.group(2))


def changed(path, to, what):
    """A copy of a file with what(bytearray) done to it."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    what(data)
    with open(to, "wb") as f:
        f.write(data)
    shutil.copymode(path, to)
    return to


def test_predicted_boot_is_accepted(owner):
    """Initrd assayd, quote, PCR 4 and 9 as predicted, the application in the initrd has its secret."""
    image = owner.prepare()
    with owner.guest(image) as guest:
        seconds = owner.boots(guest)
        for step in ("A1", "A2", "A3", "A4", "A5", "A7", "A8", "B11"):
            guest.says(rf"{step}\W.*show:")
        for step in ("A4", "A5", "A6", "A7"):
            owner.verifier.wait_for(rf"{step} +show:", 5)
        claims = protobuf("decode", "Claims", owner.record()[0]).decode()
        check("in_initrd: true" in claims, "the Claims do not say that it is in the initrd")
    return f"the application has its secret {seconds} s after the kernel's start"


def signed(owner, uki):
    """The image signed by the key that the firmware of the test trusts (Debian's "snakeoil")."""
    key, to = owner.path("snakeoil.key"), owner.path("signed.efi")
    run(tool("openssl"), "rsa", "-in", "/usr/share/ovmf/PkKek-1-snakeoil.key", "-passin",
        "pass:snakeoil", "-out", key)
    run(tool("sbsign"), "--key", key, "--cert", "/usr/share/ovmf/PkKek-1-snakeoil.pem", "--output",
        to, uki)
    return to


def test_secure_boot_off_where_it_is_wanted(owner):
    """A signed image boots with Secure Boot as predicted, and PCR 7 of that is wanted from then on:
    without Secure Boot the same image is refused."""
    image = owner.prepare(uki=owner.path("image.efi"))
    image = image.but(uki=signed(owner, image.uki))
    owner.pcrs = owner.predict(image, secure_boot=True)
    check(set(owner.pcrs) == {4, 9, 11}, f"predicted were {owner.pcrs}")
    owner.verifier.stop()
    owner.policy("show", POLICY)
    owner.start_verifier()
    with owner.guest(image, **SECURE) as guest:
        owner.boots(guest)
    report = protobuf("decode", "ChipReport", owner.record()[2]).decode()
    pcr7 = re.search(r'index: 7\s+value: "((?:[^"\\]|\\.)*)"', report).group(1)
    owner.pcrs = {7: pcr7.encode().decode("unicode_escape").encode("latin-1").hex()}
    owner.verifier.stop()
    os.unlink(owner.path("verifier.db"))
    owner.policy("show", POLICY)
    owner.start_verifier()
    with owner.guest(image) as guest:
        owner.refused(guest, "show", "platforms.tpm.pcrs.7")


def test_one_byte_more_in_the_initrd(owner):
    image = owner.prepare()
    more = changed(image.initrd, owner.path("more.img"), lambda data: data.append(0))
    with owner.guest(image.but(initrd=more)) as guest:
        owner.refused(guest, "show", "platforms.tpm.pcrs.9")


def test_another_command_line(owner):
    image = owner.prepare()
    with owner.guest(image.but(cmdline=image.cmdline + " panic=1")) as guest:
        seen = owner.refused(guest, "show", "platforms.tpm.pcrs.9")
        check("platforms.tpm.pcrs.4" not in [rule for rule, _ in seen], str(seen))


def test_another_kernel(owner):
    """The same but for a letter of its version."""
    image = owner.prepare()

    def rename(data):
        at = struct.unpack_from("<H", data, 0x20e)[0] + 0x200  # boot protocol: kernel_version
        check(data[at:at + 2] == b"6.", f"no version at {at:#x}")
        data[data.index(b"\0", at) - 1] ^= 1

    other = changed(image.kernel, owner.path("vmlinuz"), rename)
    with owner.guest(image.but(kernel=other)) as guest:
        seen = owner.refused(guest, "show", "platforms.tpm.pcrs.4")
        check("platforms.tpm.pcrs.9" not in [rule for rule, _ in seen], str(seen))


def test_assayd_replaced(owner):
    expected = owner.prepare()
    other = changed(owner.program("assayd"), owner.path("assayd"), lambda data: data.append(0))
    image = owner.showing("other", configuration(), assayd=other)
    check(owner.predict(expected)[9] != owner.predict(image)[9], "the images do not differ")
    with owner.guest(image) as guest:
        owner.refused(guest, "show", "platforms.tpm.pcrs.9")


def test_verifiers_ca_changed(owner):
    """An image that takes another CA's verifier as well: the owner gives it nothing."""
    owner.prepare()
    with open(owner.path("ca.pem")) as f:
        both = f.read()
    owner.pki(VERIFIER.split(":")[0])
    with open(owner.path("ca.pem")) as f:
        both += f.read()
    path = owner.write("both.pem", both)
    image = owner.showing("other", configuration(), files=[(path, "/etc/assay/verifier-ca.pem")])
    with owner.guest(image) as guest:
        owner.refused(guest, "show", "platforms.tpm.pcrs.9")


def test_another_verifier(owner):
    """The machine does not talk to a verifier whose certificate is not of its image's CA."""
    image = owner.prepare()
    owner.verifier.stop()
    owner.pki(VERIFIER.split(":")[0])
    owner.start_verifier()
    with owner.guest(image) as guest:
        guest.says(r"certificate.*verif|verif.*certificate")
        check("the application has" not in guest.console, "the application runs")
        check(owner.released() == [], f"released: {owner.released()}")


def test_tpm_of_another_make(owner):
    """Everything as predicted, but the TPM has no certificate of a CA that the owner knows."""
    image = owner.prepare()
    os.makedirs(owner.path("other"))
    other = GuestTpm(owner.path("other"))
    with owner.guest(image, tpm=other) as guest:
        guest.says(r"enrolment refused by the verifier|refused the session")
        check(owner.rows("select count(*) from evidence where accepted = 1") == [(0,)],
              "evidence of it was accepted")
        check(owner.released() == [], f"released: {owner.released()}")


def test_event_log_edited(owner):
    """Registers as the policy wants them, and a log that tells of another boot."""
    image = owner.prepare()
    with owner.guest(image) as guest:
        owner.boots(guest)
    report = protobuf("decode", "ChipReport", owner.record()[2]).decode()
    log = re.search(r'^event_log: "((?:[^"\\]|\\.)*)"$', report, re.M).group(1)
    log = log.encode().decode("unicode_escape").encode("latin-1")
    check(len(log) > 1000, f"an event log of {len(log)} bytes")
    path = owner.write("boot.log", log)
    config = configuration("tpm: {event_log: /etc/assay/boot.log}\n")
    told = owner.showing("told", config, files=[(path, "/etc/assay/boot.log")])
    owner.verifier.stop()
    os.unlink(owner.path("verifier.db"))
    owner.pcrs = owner.predict(told)
    owner.policy("show", POLICY)
    owner.start_verifier()
    with owner.guest(told) as guest:
        seen = owner.refused(guest, "show", "evidence.event_log")
        check(not [rule for rule, _ in seen if rule.startswith("platforms.tpm.pcrs")], str(seen))


class Impostor:
    """Speaks to the verifier with messages that were recorded."""

    def __init__(self, owner):
        context = ssl.create_default_context(cafile=owner.path("ca.pem"))
        context.check_hostname = False
        context.load_cert_chain(*self.certificate(owner))
        self.owner = owner
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", owner.port), 20))

    @staticmethod
    def certificate(owner):
        paths = owner.path("impostor.pem"), owner.path("impostor.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=impostor", "-keyout", paths[1], "-out", paths[0])
        return paths

    def send(self, text):
        data = protobuf("encode", "ToVerifier", text.encode())
        self.socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self):
        def exactly(n):
            data = b""
            while len(data) < n:
                part = self.socket.recv(n - len(data))
                if not part:
                    raise Failure("the verifier closed the connection")
                data += part
            return data
        (size,) = struct.unpack(">I", exactly(4))
        return protobuf("decode", "ToAttester", exactly(size)).decode()

    def close(self):
        self.socket.close()


def quoted(data):
    return '"' + "".join(f"\\{byte:03o}" for byte in data) + '"'


def test_quote_replayed_after_reboot(owner):
    """What was accepted is sent again by somebody else, after the machine was started anew."""
    image = owner.prepare()
    with owner.guest(image) as guest:
        owner.boots(guest)
    claims, mi, report = owner.record()
    chip = protobuf("decode", "ChipReport", report).decode()
    ((key_name,),) = owner.rows("select key_name from attesters")
    with owner.guest(image) as guest:  # the second boot is a good one
        guest.says(r"the application has")
    until("its secret released again", lambda: owner.released() == ["token"] * 2, 20)
    impostor = Impostor(owner)
    try:
        impostor.send(f"""hello {{ version: 1 platform: "tpm" applications: "show"
            boot_id: {quoted(bytes(16))} attester_epoch: {quoted(bytes(range(16)))}
            key_name: {quoted(key_name)} software: "assayd" }}""")
        impostor.send(f"""evidence {{ chip {{ {chip} }}
            measurements {{ claims: {quoted(claims)} mi: {quoted(mi)} }} }}""")
        said = ""
        while "verdict" not in said and "refusal" not in said:
            said = impostor.receive()
    finally:
        impostor.close()
    check("evidence.replayed" in said and "secrets" not in said and "accepted: true" not in said,
          f"the verifier said {said[:600]}")
    check(owner.released() == ["token"] * 2, f"released: {owner.released()}")


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]
