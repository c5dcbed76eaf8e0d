# SPDX-License-Identifier: Apache-2.0
"""Applications that systemd starts (`unit:`). Here a small stand-in does what systemd does: a cgroup
of the unit's name in a slice, and in it a process that loads the credential before it executes
the unit's program. The real one is in the lab."""
import os
import re
import shutil
import subprocess
import sys

from lab import Failure, cgroup_mount, free_port, run, until
from programs import REDIS

LONG = 180  # seconds; a busy machine takes its time
# Where systemd looks, and assayd: one that is there, so that none has to be made.
UNITS = next((d for d in ("/etc/systemd/system", "/usr/lib/systemd/system") if os.path.isdir(d)),
             "/usr/local/lib/systemd/system")

# What becomes the unit's process: into the cgroup, credential, then the program.
STARTER = """
import os, socket, sys
cgroup, unit, server, secret, program = sys.argv[1:6]
if cgroup != "-":
    with open(cgroup + "/cgroup.procs", "w") as f:
        f.write("0")
if server != "-":
    s = socket.socket(socket.AF_UNIX)
    s.bind("\\0" + os.urandom(8).hex() + "/unit/" + unit + "/tls-key")
    s.connect(server)
    s.shutdown(socket.SHUT_WR)
    data = b""
    while part := s.recv(65536):
        data += part
    if not data:
        sys.exit(243)  # systemd's EXIT_CREDENTIALS
    with open(secret, "wb") as f:
        f.write(data)
os.execv(program, [program] + sys.argv[6:])
"""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Unit:
    """One service, its file where systemd looks, its cgroup in a slice; removed with the lab."""

    def __init__(self, lab):
        self.lab = lab
        self.base = os.path.basename(lab.dir)  # a name of its own
        self.name = f"{self.base}.service"
        self.slice = os.path.join(cgroup_mount(), f"{self.base}.slice")
        self.cgroup = os.path.join(self.slice, self.name)
        self.secret = lab.path("loaded")
        self.port = free_port()
        self.processes, self.made = [], []
        at = UNITS
        while not os.path.isdir(at):
            self.made.append(at)
            at = os.path.dirname(at)
        os.makedirs(UNITS, exist_ok=True)
        self.path = os.path.join(UNITS, self.name)
        self.program = self.lab.path("served")
        shutil.copy(REDIS, self.program)
        with open(self.path, "w") as f:
            f.write(f"[Service]\nExecStart={self.program}\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        until("the unit's cgroup is empty", lambda: self.empty() or self.kill(), LONG)
        for path in (self.cgroup, self.slice):
            if os.path.isdir(path):
                os.rmdir(path)
        shutil.rmtree(self.path + ".d", ignore_errors=True)
        os.unlink(self.path)
        for path in self.made:
            os.rmdir(path)

    def empty(self):
        try:
            with open(self.cgroup + "/cgroup.events") as f:
                return "populated 0" in f.read()
        except FileNotFoundError:
            return True

    def kill(self):
        with open(self.cgroup + "/cgroup.kill", "w") as f:
            f.write("1")

    def start(self, waits=True, inside=True):
        os.makedirs(self.cgroup, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", STARTER, self.cgroup if inside else "-", self.name,
             self.lab.path("credential.sock") if waits else "-", self.secret, self.program, "--port",
             str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stop(self, process):
        process.terminate()
        process.wait(LONG)

    def answers(self):
        return "PONG" in run("redis-cli", "-p", self.port, "ping", check=False).stdout

    def machine(self, every="500ms", more=""):
        lab = self.lab
        lab.with_tpm()
        lab.pki()
        lab.secret("tls-key", "the key\n")
        lab.measure("served", self.program, self.path)
        lab.policy("served", f"""static: {{manifest: served.mtree}}
dynamic:
  code: {{files: manifest, modified_text: deny, anonymous: deny}}
  listen: {{allow: ["tcp/127.0.0.1:{self.port}"]}}
  start_time: {{unchanged: true}}
stages:
  - {{stage: 1, after: static, release: [tls-key]}}
""")
        lab.start_verifier()
        return lab.start_assayd(f"""  - name: served
    unit: {self.name}
    files: [{self.program}]
    stages: 1
    deliver: {{stage_1: systemd}}
    time_nodes: [{{at: start}}, {{every: {every}}}]
{more}""", extra=f"credential_socket: {lab.path('credential.sock')}\n")

    def loaded(self):
        try:
            with open(self.secret) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def accepted(self, kind):
        return self.lab.rows("select count(*) from evidence where application = 'served' and "
                             f"kind = '{kind}' and accepted = 1")[0][0]

    def refused(self):
        return self.lab.rows("select reasons from evidence where application = 'served' and "
                             "accepted = 0")


def test_a_unit_waits_for_its_measurement(lab):
    """systemd starts it before it was measured; its secret comes after, and then its program runs."""
    with Unit(lab) as unit:
        assayd = unit.machine(every="4s")
        assayd.wait_for("1 application, chip", LONG)  # its sockets are open
        service = unit.start()
        until("the unit's program answers", unit.answers, LONG)
        check(unit.loaded() == "the key\n", f"loaded {unit.loaded()!r}")
        assayd.wait_for(r"A8  served: started by systemd as .*, with its secrets", LONG)
        assayd.wait_for(rf"B2  served: runs as pid {service.pid},", LONG)
        until("two dynamic measurements accepted", lambda: unit.accepted("dynamic") >= 2, LONG)
        check(unit.refused() == [], str(unit.refused()))
        # It ends, is measured again at once, and starts again with its secret.
        os.unlink(unit.secret)
        unit.stop(service)
        assayd.wait_for(r"has ended", LONG)
        until("its second static measurement", lambda: unit.accepted("static") >= 2, LONG)
        service = unit.start()
        until("it answers again", unit.answers, LONG)
        check(unit.loaded() == "the key\n", "no secret for the second start")
        # It is systemd's: it outlives assayd.
        check(assayd.stop() == 0, "assayd did not end well")
        check(service.poll() is None and unit.answers(), "the unit was ended with assayd")


def test_a_changed_unit_gets_nothing(lab):
    """A file changes between the measurement and the start: measured again, and refused."""
    with Unit(lab) as unit:
        assayd = unit.machine()
        assayd.wait_for("may be started", LONG)
        with open(unit.program, "ab") as f:
            f.write(b"one more")
        service = unit.start()
        assayd.wait_for("changed between measurement and start", LONG)
        assayd.wait_for("refused by the verifier: static.manifest", LONG)
        check(service.wait(LONG) == 243, "it was started")
        check(unit.loaded() is None, "a secret for another program")


def test_a_drop_in_is_part_of_the_unit(lab):
    """What another file says about how it is started is measured as the unit's own file."""
    with Unit(lab) as unit:
        os.mkdir(unit.path + ".d")
        with open(unit.path + ".d/90-more.conf", "w") as f:
            f.write("[Service]\nEnvironment=LD_PRELOAD=/tmp/evil.so\n")
        assayd = unit.machine()
        assayd.wait_for(r"refused by the verifier: static.manifest: .*90-more.conf", LONG)
        service = unit.start()
        check(service.wait(LONG) == 243, "it was started")
        check(unit.loaded() is None, "a secret in spite of a drop-in")


def test_root_elsewhere_gets_nothing(lab):
    """Who says to be the unit, and is not in its cgroup."""
    with Unit(lab) as unit:
        assayd = unit.machine()
        assayd.wait_for("may be started", LONG)
        service = unit.start(inside=False)
        check(service.wait(LONG) == 243, "it was started")
        assayd.wait_for(r"LoadCredential of tls-key for \S+: refused", LONG)
        check(unit.loaded() is None, "a secret for a process outside")


def test_a_unit_that_does_not_wait(lab):
    """Without LoadCredential= nothing holds it: followed as soon as it is seen, and said so."""
    with Unit(lab) as unit:
        assayd = unit.machine()
        assayd.wait_for("may be started", LONG)
        service = unit.start(waits=False)
        assayd.wait_for("started it without waiting", LONG)
        assayd.wait_for(rf"runs as pid {service.pid},", LONG)
        until("dynamic measurements accepted", lambda: unit.accepted("dynamic") >= 2, LONG)
        check(re.search("served: .*without waiting", assayd.text()), "not said")
        check(unit.loaded() is None, "a secret for nobody")


def test_a_unit_that_ran_before_assayd(lab):
    """Nobody watched it: the verifier is told."""
    with Unit(lab) as unit:
        unit.start(waits=False)
        until("it answers", unit.answers, LONG)
        assayd = unit.machine()
        assayd.wait_for("it runs already, and nobody watched it", LONG)
        until("dynamic measurements", lambda: unit.accepted("dynamic") >= 1, LONG)


def test_a_refused_unit_is_ended(lab):
    """on_refusal: kill, for processes that systemd started."""
    with Unit(lab) as unit:
        assayd = unit.machine(more="    on_refusal: kill\n")
        assayd.wait_for("may be started", LONG)
        service = unit.start()
        until("the unit's program answers", unit.answers, LONG)
        assayd.wait_for(r"B2  served: runs as pid", LONG)
        run("redis-cli", "-p", unit.port, "config", "set", "port", str(free_port()))
        assayd.wait_for("refused by the verifier: dynamic.listen", LONG)
        check(service.wait(LONG) != 0, "it ended by itself")
        until("its cgroup is empty", unit.empty, LONG)
