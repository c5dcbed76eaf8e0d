# SPDX-License-Identifier: Apache-2.0
"""Applications under one assayd, one verifier and one TPM, each with stages that are begun by
order. tests/attacks/victim.c is the launcher of each."""
import json
import os
import select
import shutil
import time

import lab as lab_module
from lab import Failure, until

VICTIM, ATTACKER = "attack_victim", "attack_attacker"


class Application:
    """A target under its launcher: one application of assayd's configuration."""

    def __init__(self, lab, name, target, stages=3, user="nobody", policy=None):
        self.lab, self.name, self.stages, self.user = lab, name, stages, user
        self.target = target(lab, name)
        self.victim = lab.path("bin", VICTIM)
        if not os.path.exists(self.victim):
            lab.public(VICTIM)
        self.rules = policy or {}
        self.child = 0
        self.launcher = 0
        self.text = b""
        self.fifos = {}
        for what in ("orders", "answers"):
            path = os.path.join(self.target.dir, what)
            os.mkfifo(path)
            os.chmod(path, 0o666)
            self.fifos[what] = (path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
        for i in range(1, stages + 1):
            lab.secret(f"{name}-{i}", f"secret {i} of {name}")

    def close(self):
        if self.child:
            self.target.stop(self.child)
        for _, fd in self.fifos.values():
            os.close(fd)

    # What the two programs are told.

    def files(self):
        return [self.victim, *self.target.files]

    def rules_of(self):
        """All that the policy can ask of such a program; a row or a test may ask for less."""
        t = self.target
        code = {"files": "manifest", "modified_text": "deny", "anonymous": "deny",
                "deleted": "deny", "relro": "deny", "imports": "deny", "loader_list": "deny",
                "aliases": "deny", "memory_files": "deny", "remote_files": "deny"}
        kernel = {"lost": {"max": "0"}, "foreign_access": "deny", "file_changed": "deny",
                  "exec_memory": "deny", "io_uring": "deny",
                  "exec": {"allow": [self.victim, *t.argv[:1],
                                     *map(os.path.realpath, t.argv[:1]), *t.exec_allow]}}
        if t.jit:
            code["jit"] = {"max_bytes": t.jit[0], "max_regions": str(t.jit[1])}
        else:
            kernel.update({"wx_memory": "deny", "anonymous_code": "deny"})
        if t.allowed():
            code["allow"] = t.allowed()
        return {
            "code": code,
            "listen": {"allow": t.listen},
            "connections": {"allow": list(t.connects_to)},
            "environment": {"deny": ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "NODE_OPTIONS",
                                     "JAVA_TOOL_OPTIONS", "PYTHONSTARTUP", "PYTHONPATH"]},
            "start_time": {"unchanged": "true"},
            "static_files": {"unchanged": "true"},
            "processes": {"users": ["0" if self.user == "root" else "65534"],
                          "credentials": "unchanged", "namespaces": "unchanged",
                          "threads": "deny", "tracer": "deny", "replaced": "deny"},
            "descriptors": {key: "deny" for key in (
                "standard_sockets", "process_memory", "memory_files", "deleted_programs",
                "kernel_memory", "raw_sockets", "block_devices", "foreign_memory",
                "foreign_ports", "foreign_packets", "foreign_traces")},
            "kernel": kernel,
        }

    def policy(self):
        self.lab.measure(self.name, *self.files())
        rules = self.rules_of()
        for key, value in self.rules.items():  # None: not this rule
            rules[key] = {k: v for k, v in {**rules.get(key, {}), **value}.items()
                          if v is not None}
        if "machine" in rules:
            for part in rules["machine"].values():
                if isinstance(part, dict) and callable(part.get("tags")):
                    part["tags"] = part["tags"]() or ["00" * 8]
        # JSON is YAML.
        self.lab.policy(self.name, f"static: {{manifest: {self.name}.mtree}}\n"
                        f"dynamic: {json.dumps(rules)}\nstages:\n" + "".join(
                            f"  - {{stage: {i}, after: dynamic, release: [{self.name}-{i}]}}\n"
                            for i in range(1, self.stages + 1)))

    def configuration(self, nodes):
        nodes = nodes if "on: stage" in nodes else nodes.replace("]", ", {on: stage}]")
        return (f"  - name: {self.name}\n"
                f"    exec: [{self.victim}, --orders, {self.fifos['orders'][0]}, --answers, "
                f"{self.fifos['answers'][0]}, --socket, {self.lab.path('run', 'app.sock')}]\n"
                f"    user: {self.user}\n"
                f"    files: [{', '.join(self.files())}]\n"
                "    measure: {static: false, dynamic: true}\n"
                f"    time_nodes: {nodes}\n    stages: {self.stages}\n"
                "    deliver: {others: socket}\n")

    # Orders.

    def answer(self, seconds=60):
        end = time.monotonic() + seconds * lab_module.PATIENCE
        fd = self.fifos["answers"][1]
        while b"\n" not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Failure(f"{self.name}: no answer within {seconds} s")
            self.text += os.read(fd, 4096)
        line, self.text = self.text.split(b"\n", 1)
        return line.decode(errors="replace")

    def order(self, line):
        os.write(self.fifos["orders"][1], line.encode() + b"\n")
        return self.answer()

    def told(self, line, wanted="done"):
        said = self.order(line)
        if not said.startswith(wanted):
            raise Failure(f"{self.name}: {line.split(chr(9))[0]}: {said}")
        return said[len(wanted):].strip()

    def ready(self):
        """Whether the launcher takes orders."""
        if not select.select([self.fifos["answers"][1]], [], [], 0)[0]:
            return False
        said = self.answer()
        if not said.startswith("ready "):
            raise Failure(f"{self.name}: {said}")
        self.launcher = int(said.split()[1])
        return True

    def run(self, argv, environment=()):
        return int(self.told("run " + "\t".join([*environment, *map(str, argv)]), "pid "))

    def start(self):
        """Starts the real application, if it is one, and waits until it serves."""
        if self.target.argv:
            self.child = self.run(self.target.argv, self.target.environment)
            until(f"{self.name} serving", self.target.serves, 60)

    @property
    def pid(self):
        """The process that attacks aim at."""
        return self.target.pick(self.launcher, self.child)

    def stage(self, number):
        """Begins the stage: (whether its secret came, the reasons recorded if not)."""
        before = len(self.evidence())
        said = self.order(f"stage {number}")
        if said.startswith("accepted"):
            if said != f"accepted secret {number} of {self.name}":
                raise Failure(f"{self.name}: stage {number} gave {said}")
            return True, []
        if not said.startswith("refused"):
            raise Failure(f"{self.name}: stage {number}: {said}")
        judged = until(f"{self.name}: the record of the refusal",
                       lambda: self.evidence()[before:], 20)
        return False, [r for _, accepted, reasons in judged if not accepted for r in reasons]

    def evidence(self):
        """What the verifier recorded: (stage, accepted, reasons) of each measurement."""
        rows = self.lab.rows("select stage, accepted, reasons from evidence where application = "
                             f"'{self.name}' order by id")
        return [(stage, accepted, [(r["rule"], r["seen"]) for r in json.loads(reasons)
                                   if not r["warning"]]) for stage, accepted, reasons in rows]

    def released(self):
        return [n for n in self.lab.released() if n.startswith(f"{self.name}-")]


def start(lab, applications, extra="", nodes="[{on: stage}]"):
    """A verifier and an assayd for all of them; returns when each launcher takes orders."""
    lab.with_tpm()
    lab.pki()
    lab.public(ATTACKER)
    for a in applications:
        a.policy()
    lab.start_verifier()
    lab.start_assayd("".join(a.configuration(nodes) for a in applications), extra=extra)
    for a in applications:
        until(f"{a.name} started", lambda: lab.assayd.popen.poll() is not None or a.ready(), 120)
        if not a.launcher:
            raise Failure(f"assayd ended: {lab.assayd.text()[-2000:]}")


def copy(source, to, mode=0o755):
    shutil.copy(source, to)
    os.chmod(to, mode)
    return to
