# SPDX-License-Identifier: Apache-2.0
"""The applications that the flow tests and the quickstart run: configuration, policy, files."""
import os
import shutil
import subprocess

from lab import free_port, run

NGINX = "/usr/sbin/nginx"
REDIS = "/usr/bin/redis-server"


class Nginx:
    """An unmodified nginx whose TLS key is a credential file, released as stage 1."""

    def __init__(self, lab, name="web", workers=2, user="www-data"):
        self.lab, self.name, self.user = lab, name, user
        self.port = free_port()
        self.dir = lab.path(name)
        os.makedirs(f"{self.dir}/html")
        os.makedirs(f"{self.dir}/var")
        os.chmod(self.dir, 0o755)
        shutil.chown(f"{self.dir}/var", user)
        with open(f"{self.dir}/html/index.html", "w") as f:
            f.write("<p>served by a measured nginx</p>\n")
        self.key = lab.path("secrets", "tls-key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", f"{self.dir}/cert.pem")
        os.chmod(self.key, 0o600)
        self.conf = f"{self.dir}/nginx.conf"
        credential = lab.path("run", "credentials", name, "tls-key")
        with open(self.conf, "w") as f:
            f.write(f"worker_processes {workers};\npid {self.dir}/var/nginx.pid;\n"
                    "error_log stderr;\nevents { worker_connections 64; }\nhttp {\n"
                    "  access_log off;\n" +
                    "".join(f"  {kind}_temp_path {self.dir}/var/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) +
                    f"  server {{\n    listen 127.0.0.1:{self.port} ssl;\n"
                    f"    ssl_certificate {self.dir}/cert.pem;\n"
                    f"    ssl_certificate_key {credential};\n"
                    f"    root {self.dir}/html;\n  }}\n}}\n")
        self.files = [self.conf, f"{self.dir}/html", f"{self.dir}/cert.pem"]

    def measure(self):
        self.lab.measure(self.name, NGINX, *self.files)

    def policy(self, extra="", stages="  - {stage: 1, after: static, release: [tls-key]}\n"):
        self.lab.policy(self.name, f"""static: {{manifest: {self.name}.mtree}}
dynamic:
  code: {{files: manifest, modified_text: deny, anonymous: deny}}
  listen: {{allow: ["tcp/127.0.0.1:{self.port}"]}}
  connections: {{allow: []}}
  memory: {{resident: {{max: 512MiB}}}}
  environment: {{deny: [LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH]}}
  start_time: {{unchanged: true}}
  static_files: {{unchanged: true}}
{extra}stages:
{stages}""")

    def application(self, nodes="[{at: start}, {every: 2s, jitter: 200ms}, {on: demand}]", extra=""):
        return f"""  - name: {self.name}
    exec: [{NGINX}, -e, stderr, -c, {self.conf}, -g, "daemon off;"]
    user: {self.user}
    files: [{", ".join(self.files)}]
    measure: {{static: true, dynamic: true}}
    time_nodes: {nodes}
    stages: 1
    deliver: {{stage_1: credential}}
{extra}"""

    def get(self):
        """The page over HTTPS, its certificate checked; None while nobody serves it."""
        done = run("curl", "--silent", "--max-time", "5", "--cacert", f"{self.dir}/cert.pem",
                   f"https://127.0.0.1:{self.port}/", check=False)
        return done.stdout if done.returncode == 0 else None


class Worker:
    """The example that works through encrypted blocks, a stage each."""

    def __init__(self, lab, name="worker", blocks=4, pause_ms=0, user="nobody", after="dynamic"):
        self.lab, self.name, self.blocks, self.user = lab, name, blocks, user
        self.dir = lab.path(name)
        self.program = lab.program("block_worker")
        self.pause_ms = pause_ms
        data = lab.path(f"{name}.data")
        with open(data, "w") as f:
            for i in range(40000):
                f.write(f"record {i}: the quick brown fox jumps over the lazy dog\n")
        lab.assay("data", "split", "--blocks", blocks, data, self.dir)
        os.chmod(self.dir, 0o755)
        for i in range(1, blocks + 1):
            os.chmod(f"{self.dir}/block-{i}.assay", 0o644)
            shutil.move(f"{self.dir}/secrets/block-{i}-key", lab.path("secrets"))
        self.data = data

    def measure(self):
        self.lab.measure(self.name, self.program)

    def key(self, i):
        with open(self.lab.path("secrets", f"block-{i}-key"), "rb") as f:
            return f.read()

    def policy(self, extra="", code="{files: manifest, modified_text: deny, anonymous: deny}"):
        stages = "".join(f"  - {{stage: {i}, after: dynamic, release: [block-{i}-key]}}\n"
                         for i in range(1, self.blocks + 1))
        self.lab.policy(self.name, f"""static: {{manifest: {self.name}.mtree}}
dynamic:
  code: {code}
  listen: {{allow: []}}
  connections: {{allow: []}}
  environment: {{deny: [LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH]}}
  start_time: {{unchanged: true}}
{extra}stages:
{stages}""")

    def application(self, nodes="[{on: stage}, {on: demand}]", extra="", static="true", argv=None):
        argv = argv or [self.program, "--blocks", f"\"{self.blocks}\"", "--dir", self.dir,
                        "--socket", self.lab.path("run", "app.sock"), "--pause",
                        f"\"{self.pause_ms}\""]
        return f"""  - name: {self.name}
    exec: [{", ".join(argv)}]
    user: {self.user}
    files: [{self.program}]
    measure: {{static: {static}, dynamic: true}}
    time_nodes: {nodes}
    stages: {self.blocks}
    deliver: {{others: socket}}
{extra}"""

    def patch(self, pid, symbol="process_chunk", code=b"\x31\xc0\xc3"):
        """Overwrites the beginning of a function of the running program (here: return 0)."""
        with open(f"/proc/{pid}/maps") as f:
            base = next(int(line.split("-")[0], 16) for line in f if line.rstrip().endswith(
                self.program))
        names = run("nm", self.program).stdout
        offset = next(int(line.split()[0], 16) for line in names.splitlines()
                      if line.split()[-1] == symbol)
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as mem:
            mem.seek(base + offset)
            mem.write(code)


def pid_of(lab, application):
    """The application's first process, as assayd's status says."""
    status = lab.status(application)
    return status["pid"] if status else 0


def have(*programs):
    return all(subprocess.call(["which", p], stdout=subprocess.DEVNULL) == 0 for p in programs)
