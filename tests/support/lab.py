# SPDX-License-Identifier: Apache-2.0
"""Real parts for flow tests and the quickstart: a TPM (swtpm), a verifier, an assayd, all in one
temporary directory, on loopback, ended and removed with it."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from boot_log import BootLog

# Waits are longer by this factor, on a machine that is emulated for example.
PATIENCE = 1

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Failure(Exception):
    """Something did not happen as a test says it must."""


def run(*argv, check=True, timeout=120, **kwargs):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout * PATIENCE, **kwargs)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stderr}")
    return done


ports_given = set()


def free_port():
    """One that nobody listens on, that was not given before, and that the kernel gives to no
    connection: it may be some time until it is used."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        first = int(f.read().split()[0])
    for _ in range(1000):
        port = random.randrange(min(10000, first // 2), first)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port not in ports_given:
                ports_given.add(port)
                return port
    raise Failure("no free port")


def cgroup_mount():
    """Where a cgroup v2 hierarchy is mounted."""
    with open("/proc/self/mounts") as f:
        for line in f:
            if line.split()[2] == "cgroup2":
                return line.split()[1]
    raise Failure("no cgroup v2 hierarchy is mounted")


def until(what, condition, seconds=20):
    """Waits for condition() to be true; what says in words what was waited for."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Process:
    """A program of ours, its output kept in a file and, on a terminal, shown as it comes."""

    def __init__(self, argv, log, echo=None, env=None, notify=None):
        self.argv = [str(a) for a in argv]
        self.log = log
        self.echo = echo
        open(log, "ab").close()
        out = subprocess.PIPE if echo else open(log, "ab")
        self.popen = subprocess.Popen(self.argv, stdout=out, stderr=subprocess.STDOUT,
                                      stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        if echo:
            self.thread = threading.Thread(target=self._copy, daemon=True)
            self.thread.start()
        else:
            out.close()

    def _copy(self):
        with open(self.log, "ab") as log:
            for line in self.popen.stdout:
                log.write(line)
                log.flush()
                self.echo(line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_for(self, pattern, seconds=20, since=0):
        """Waits for a line that matches; returns the match."""
        def look():
            found = re.search(pattern, self.text()[since:])
            if not found and self.popen.poll() is not None:
                time.sleep(0.1)
                found = re.search(pattern, self.text()[since:])
                if not found:
                    raise Failure(f"{self.argv[0]} ended with {self.popen.returncode} before "
                                  f"/{pattern}/\n{self.text()[-3000:]}")
            return found
        try:
            return until(f"/{pattern}/ from {self.argv[0]}", look, seconds)
        except Failure as e:
            raise Failure(f"{e}\n{self.text()[-3000:]}") from None

    def never(self, pattern, seconds=0):
        time.sleep(seconds)
        found = re.search(pattern, self.text())
        if found:
            raise Failure(f"{self.argv[0]} said what it must not: {found.group(0)}")

    def kill(self):
        self.popen.kill()
        self.popen.wait(20)

    def stop(self, seconds=25):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(seconds * PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failure(f"{self.argv[0]} does not end when told to") from None
        if self.echo:
            self.thread.join(5)
        return self.popen.returncode


class Tpm:
    """A software TPM 2.0 with an EK certificate from a CA of its own."""

    def __init__(self, directory):
        self.dir = directory
        self.state = os.path.join(directory, "tpm")
        self.ca = os.path.join(directory, "tpm-ca")
        os.makedirs(self.state)
        os.makedirs(self.ca)
        with open(f"{directory}/localca.conf", "w") as f:
            f.write(f"statedir = {self.ca}\nsigningkey = {self.ca}/signkey.pem\n"
                    f"issuercert = {self.ca}/issuercert.pem\ncertserial = {self.ca}/certserial\n")
        with open(f"{directory}/localca.options", "w") as f:
            f.write("--platform-manufacturer Lab\n--platform-version 1\n--platform-model VM\n")
        with open(f"{directory}/setup.conf", "w") as f:
            f.write("create_certs_tool = /usr/bin/swtpm_localca\n"
                    f"create_certs_tool_config = {directory}/localca.conf\n"
                    f"create_certs_tool_options = {directory}/localca.options\n"
                    "active_pcr_banks = sha256\n")
        run("swtpm_setup", "--tpm2", "--tpm-state", self.state, "--config",
            f"{directory}/setup.conf", "--create-ek-cert", "--pcr-banks", "sha256",
            "--lock-nvram", "--logfile", f"{directory}/setup.log")
        self.socket = os.path.join(directory, "tpm.sock")
        self.tcti = f"swtpm:path={self.socket}"
        self.process = None
        self.start()

    def start(self):
        self.process = Process(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
             "--server", f"type=unixio,path={self.socket}",
             "--ctrl", f"type=unixio,path={self.socket}.ctrl",
             "--flags", "not-need-init,startup-clear"], f"{self.dir}/swtpm.log")
        until("the TPM's socket", lambda: os.path.exists(self.socket))

    def stop(self):
        self.process.stop()
        for path in (self.socket, self.socket + ".ctrl"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def reboot(self):
        self.stop()
        self.start()

    def tool(self, name, *args):
        return run(name, *args, env=dict(os.environ, TPM2TOOLS_TCTI=self.tcti))

    def boot(self, log):
        """Does what firmware does: extends what the log says."""
        for pcr, digest in log.extends:
            self.tool("tpm2_pcrextend", f"{pcr}:sha256={digest.hex()}")

    def extend(self, pcr, hex_digest):
        self.tool("tpm2_pcrextend", f"{pcr}:sha256={hex_digest}")

    def ek_roots(self):
        text = ""
        for name in ("swtpm-localca-rootca-cert.pem", "issuercert.pem"):
            with open(f"{self.ca}/{name}") as f:
                text += f.read()
        return text


def disk_directory():
    """A place for temporary files on a disk. Programs that are executed out of memory, as from a
    /tmp that is a tmpfs, are what policies here refuse."""
    for place in (tempfile.gettempdir(), "/var/tmp", os.path.join(SOURCE, "build")):
        kind = run("stat", "-f", "-c", "%T", place, check=False).stdout.strip()
        if kind and kind not in ("tmpfs", "ramfs"):
            return place
    raise Failure("no directory for temporary files is on a disk")


class Lab:
    """One verifier and one attester with what they need; a context manager."""

    def __init__(self, build, echo=None, keep=False):
        self.bin = os.path.join(build, "bin")
        self.echo = echo
        self.keep = keep
        self.dir = tempfile.mkdtemp(prefix="assay-lab-", dir=disk_directory())
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.tpm = None
        self.verifier = None
        self.assayd = None
        self.assayd_prefix = []  # what assayd is run by
        self.started = []
        self.boot_log = None
        self.policies = []
        # A hierarchy of its own, so that labs beside one another do not meet.
        self.cgroup = os.path.join(cgroup_mount(), os.path.basename(self.dir))
        os.makedirs(self.path("secrets"), mode=0o700)
        os.makedirs(self.path("run"), mode=0o755)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def program(self, name):
        return os.path.join(self.bin, name)

    def public(self, name):
        """A copy of the program that every user may execute, wherever the checkout is."""
        os.makedirs(self.path("bin"), mode=0o755, exist_ok=True)
        return shutil.copy(self.program(name), self.path("bin", name))

    # What a machine and an owner have.

    def with_tpm(self, boot=True):
        self.tpm = Tpm(self.dir)
        self.boot_log = BootLog()
        if boot:
            with open(self.program("assayd"), "rb") as f:
                assayd = f.read()
            self.boot_log.measure(4, os.uname().release.encode(), b"kernel")
            self.boot_log.measure(9, assayd, b"initrd with assayd")
            self.boot_log.separators()
            self.tpm.boot(self.boot_log)
        self.write("boot.log", self.boot_log.bytes)
        self.write("ek-roots.pem", self.tpm.ek_roots())

    def boot_again(self):
        """The machine reboots into the same software."""
        self.tpm.reboot()
        self.tpm.boot(self.boot_log)

    def pki(self, name="127.0.0.1"):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=Lab verifier CA", "-keyout", self.path("ca.key"),
            "-out", self.path("ca.pem"))
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=verifier", "-keyout", self.path("verifier.key"), "-out",
            self.path("verifier.csr"))
        self.write("ext", f"subjectAltName=IP:{name}\n")
        run("openssl", "x509", "-req", "-in", self.path("verifier.csr"), "-CA",
            self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "2",
            "-extfile", self.path("ext"), "-out", self.path("verifier.pem"))

    def secret(self, name, content):
        self.write(f"secrets/{name}", content, 0o600)
        return content

    def measure(self, name, *paths):
        """Static reference values: NAME.mtree."""
        run(self.program("assay"), "measure", *paths, "-o", self.path(f"{name}.mtree"))

    def policy(self, name, body):
        """NAME.yaml from the body, with the platform this lab has in front."""
        if self.tpm:
            pcrs = ", ".join(f"{i}: [{v}]" for i, v in sorted(self.boot_log.values().items())
                             if i in (4, 9))
            platform = f"  tpm: {{pcrs: {{{pcrs}}}, ek_ca: ek-roots.pem}}\n"
            if not pcrs:
                platform = "  tpm: {ek_ca: ek-roots.pem}\n"
        else:
            platform = "  soft: {}\n"
        self.write(f"{name}.yaml", f"application: {name}\nversion: 1\nplatforms:\n{platform}{body}")
        if f"{name}.yaml" not in self.policies:
            self.policies.append(f"{name}.yaml")

    # The programs.

    def start_verifier(self, extra="", listen=True):
        where = f"listen: 127.0.0.1:{self.port}\n" if listen else ""
        self.write("verifierd.yaml",
                   f"{where}"
                   "certificate: verifier.pem\nkey: verifier.key\nstore: verifier.db\n"
                   "secrets_directory: secrets\n"
                   f"policies: [{', '.join(self.policies)}]\n"
                   f"control_socket: {self.path('control.sock')}\nuser: nobody\n{extra}")
        self.verifier = Process([self.program("assay-verifierd"), "--config",
                                 self.path("verifierd.yaml")], self.path("verifierd.log"),
                                self.echo)
        self.started.append(self.verifier)
        if listen:
            self.verifier.wait_for("listening on")
        return self.verifier

    def start_assayd(self, applications, extra="", chip=None, verifier=None, name="assayd"):
        """applications: YAML text under `applications:`, indented by two."""
        if chip is None:
            chip = (f"attester: tpm\ntpm: {{tcti: \"{self.tpm.tcti}\", "
                    f"event_log: {self.path('boot.log')}}}\n" if self.tpm else
                    f"attester: soft\nsoft: {{key: {self.path('soft.key')}}}\n")
        where = verifier or f"{{address: 127.0.0.1:{self.port}, ca: {self.path('ca.pem')}}}"
        self.write(f"{name}.yaml",
                   f"verifier: {where}\n{chip}"
                   f"socket: {self.path('run', 'app.sock')}\n"
                   f"runtime_directory: {self.path('run')}\n"
                   f"state_directory: {self.path('state')}\n"
                   f"cgroup: {self.cgroup}\nnet_user: nobody\n{extra}applications:\n{applications}")
        self.assayd = Process([*self.assayd_prefix, self.program("assayd"), "--config",
                               self.path(f"{name}.yaml")],
                              self.path(f"{name}.log"), self.echo)
        self.started.append(self.assayd)
        return self.assayd

    def assay(self, *args, check=True):
        env = dict(os.environ, ASSAY_SOCKET=self.path("run", "app.sock"))
        return run(self.program("assay"), *args, check=check, env=env)

    def fleet(self, *args, check=True):
        return self.assay("fleet", "--socket", self.path("control.sock"), *args, check=check)

    def status(self, application):
        """One application's status as assayd tells it, or None while it does not answer."""
        done = self.assay("status", "--json", check=False)
        if done.returncode not in (0, 1):  # 1: an application is refused
            return None
        for one in json.loads(done.stdout)["applications"]:
            if one["application"] == application:
                return one
        return None

    def in_state(self, application, state, seconds=20):
        until(f"{application} {state}",
              lambda: (self.status(application) or {}).get("state") == state, seconds)

    def rows(self, query):
        """Rows of the verifier's store."""
        import sqlite3
        with contextlib.closing(sqlite3.connect(f"file:{self.path('verifier.db')}?mode=ro",
                                                uri=True)) as db:
            return db.execute(query).fetchall()

    def released(self):
        """Names of the secrets that left the verifier, in order."""
        return [row[0] for row in self.rows("select name from releases order by id")]

    def close(self):
        problems = []
        for process in reversed(self.started):
            running = process.popen.poll() is None
            try:
                status = process.stop()
            except Failure as e:
                problems.append(str(e))
                continue
            if running and status != 0:
                problems.append(f"{process.argv[0]} ended with {status}\n{process.text()[-3000:]}")
        if self.tpm:
            self.tpm.stop()
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
                if folder != self.cgroup:
                    problems.append(f"left behind: {folder}")
            except OSError as e:
                problems.append(f"left behind: {folder}: {e}")
        with contextlib.suppress(FileNotFoundError):
            for mount in open("/proc/self/mounts"):
                where = mount.split()[1]
                if where.startswith(self.dir + "/"):
                    problems.append(f"left mounted: {where}")
                    run("umount", "-l", where, check=False)
        if self.keep:
            print(f"kept: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if problems:
            raise Failure("\n".join(problems))
