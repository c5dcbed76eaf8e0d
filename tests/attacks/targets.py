# SPDX-License-Identifier: Apache-2.0
"""The programs that are attacked, and loaded by the quiet test: how each is started, what it is
made of, and what it does when all is well."""
import contextlib
import functools
import glob
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import urllib.request

from lab import Failure, free_port, run, until

NGINX = "/usr/sbin/nginx"
REDIS = "/usr/bin/redis-server"
PYTHON = "/usr/bin/python3"
NODE = "/usr/bin/node"
H2 = "/usr/share/java/h2.jar"
USER = "nobody"


def postgres_directory():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else "/usr/lib/postgresql/none/bin"


def java_home():
    java = shutil.which("java")
    return os.path.dirname(os.path.dirname(os.path.realpath(java))) if java else "/nonexistent"


@functools.lru_cache(maxsize=None)
def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def get(port, path="/"):
    """What an HTTP server answers, or None while none does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False


class Target:
    """A program of ours alone: attack_victim itself, started by the subclasses as their launcher."""

    title = "C program"
    needs = ()      # files without which it cannot run here
    jit = None      # (bytes, regions) of anonymous code that it makes when all is well
    late = ()       # shell patterns of libraries that it may load at any time
    exec_allow = ()  # programs that it executes when all is well
    environment = ()
    argv = ()
    users = (USER,)

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.dir = lab.path(name)
        self.var = os.path.join(self.dir, "var")
        self.port = free_port()
        os.makedirs(self.var)
        os.chmod(self.dir, 0o755)
        shutil.chown(self.var, USER)
        self.files = []
        self.prepare()

    @classmethod
    def missing(cls):
        return [path for path in cls.needs if not os.path.exists(path)]

    def prepare(self):
        """Writes its configuration."""

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    connects_to = ()  # as a policy writes it

    @property
    def listen(self):
        return [f"tcp/127.0.0.1:{self.port}"] if self.argv else []

    def allowed(self):
        """Digests of the libraries of late."""
        paths = {os.path.realpath(p) for pattern in self.late for p in glob.glob(pattern)}
        return sorted(digest(p) for p in paths if os.path.isfile(p))

    def serves(self):
        """Whether it answers its users."""
        return True

    def pick(self, launcher, child):
        """The process to attack, of the launcher's child's tree."""
        return child or launcher

    def stop(self, child):
        """Ends it in its own way, where killing it would leave something behind."""


def state(pid):
    """The letter of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(") ")[2][0]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


class Nginx(Target):
    title = "nginx"
    needs = (NGINX,)

    def prepare(self):
        # PCRE's just-in-time compiler is off in the attacks; the quiet test has it on.
        self.html = os.path.join(self.dir, "html")
        os.makedirs(self.html)
        with open(f"{self.html}/index.html", "w") as f:
            f.write("<p>nginx</p>\n")
        self.certificate = self.write("cert.pem", "a certificate\n")
        self.conf = self.write("nginx.conf", self.text())
        self.argv = (NGINX, "-e", "stderr", "-c", self.conf, "-g", "daemon off;")
        self.files = [NGINX, self.conf, self.html, self.certificate]

    def text(self, top="", http="", server=""):
        return (f"{top}worker_processes 1;\npid {self.var}/nginx.pid;\nerror_log stderr crit;\n"
                "events { worker_connections 64; }\nhttp {\n  access_log off;\n" +
                "".join(f"  {kind}_temp_path {self.var}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) +
                f"{http}  server {{\n    listen 127.0.0.1:{self.port};\n    root {self.html};\n"
                f"{server}  }}\n}}\n")

    def serves(self):
        return "nginx" in (get(self.port) or "")

    def pick(self, launcher, child):
        return children(child)[0]  # its worker


class Redis(Target):
    title = "redis-server"
    needs = (REDIS, "/usr/bin/redis-cli")

    def prepare(self):
        self.argv = (REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                     "--dir", self.var)
        self.files = [REDIS]

    def cli(self, *args):
        return run("redis-cli", "-p", self.port, *args, check=False).stdout

    def serves(self):
        return "PONG" in self.cli("ping")


class Postgres(Target):
    title = "PostgreSQL"
    bin = postgres_directory()
    needs = (f"{bin}/postgres", f"{bin}/psql")
    options = ("jit=off",)
    late = (f"{os.path.dirname(bin)}/lib/*.so", "/lib/x86_64-linux-gnu/libnss_*.so*",
            "/usr/lib/x86_64-linux-gnu/libLLVM-*.so*", "/usr/lib/x86_64-linux-gnu/libedit.so*",
            "/usr/lib/x86_64-linux-gnu/libbsd.so*", "/usr/lib/x86_64-linux-gnu/libmd.so*",
            "/usr/lib/x86_64-linux-gnu/libtinfo.so*", "/usr/lib/x86_64-linux-gnu/libz3.so*",
            "/usr/lib/x86_64-linux-gnu/libffi.so*")

    def prepare(self):
        template = self.lab.path("postgres-template")
        self.data = os.path.join(self.dir, "data")
        if not os.path.exists(template):
            os.makedirs(template)
            shutil.chown(template, USER)
            self.as_user(f"{self.bin}/initdb", "-D", template, "-U", "postgres", "-A", "trust",
                         "--no-sync", "-E", "UTF8", "--locale", "C")
        shutil.copytree(template, self.data, copy_function=shutil.copy2)
        for folder, _, files in os.walk(self.data):
            shutil.chown(folder, USER, "nogroup")
            for name in files:
                shutil.chown(os.path.join(folder, name), USER, "nogroup")
        os.chmod(self.data, 0o700)
        self.argv = (f"{self.bin}/postgres", "-D", self.data, "-p", str(self.port), "-h",
                     "127.0.0.1", "-k", "", "-c", "fsync=off", "-c", "shared_buffers=16MB",
                     "-c", "dynamic_shared_memory_type=mmap",
                     *(part for option in self.options for part in ("-c", option)))
        self.files = [f"{self.bin}/postgres"]

    @staticmethod
    def as_user(*argv):
        done = subprocess.run(argv, user=USER, group="nogroup", extra_groups=[], cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120)
        if done.returncode != 0:
            raise Failure(f"{argv[0]}: {done.stdout}")

    def stop(self, child):
        """A killed server leaves its System V shared memory to the machine."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(child, signal.SIGINT)
            until("PostgreSQL's end", lambda: state(child) in "ZX", 20)

    def sql(self, text, check=True):
        return run(f"{self.bin}/psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-X",
                   "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", text, "postgres",
                   check=check).stdout

    def session(self):
        """A connection that stays: its backend is a process of its own. Ends with its stdin."""
        return subprocess.Popen(
            [f"{self.bin}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-X",
             "-q", "-t", "-A", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def serves(self):
        return self.sql("select 1", check=False).strip() == "1"


PYTHON_SERVICE = """import http.server
import os
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/run?"):  # the hole that an attacker uses
            os.popen(self.path[5:].replace("+", " ")).close()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"python")

    def log_message(self, *args):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Python(Target):
    title = "Python service"
    needs = (PYTHON,)
    late = ("/usr/lib/python3*/lib-dynload/*.so", "/lib/x86_64-linux-gnu/libnss_*.so*",
            "/usr/lib/x86_64-linux-gnu/lib*.so.*")

    def prepare(self):
        self.script = self.write("service.py", PYTHON_SERVICE)
        self.argv = (PYTHON, "-B", self.script, str(self.port))
        self.files = [PYTHON, self.script]

    def serves(self):
        return "python" in (get(self.port) or "")


NODE_SERVICE = """const http = require('http');
const {execSync} = require('child_process');
function work(n) { let x = 0; for (let i = 0; i < n; i++) x = (x * 31 + i) % 1000003; return x; }
http.createServer((request, answer) => {
  answer.end('node ' + work(20000));
}).listen(Number(process.argv[2]), '127.0.0.1');
"""


class Node(Target):
    title = "node"
    needs = (NODE,)
    jit = ("128MiB", 64)

    def prepare(self):
        self.script = self.write("service.js", NODE_SERVICE)
        self.argv = (NODE, self.script, str(self.port))
        self.files = [NODE, self.script]

    def serves(self):
        return "node" in (get(self.port) or "")


class Jvm(Target):
    """The H2 database in a JVM of its own, spoken to as to a PostgreSQL server."""
    title = "JVM program (H2)"
    home = java_home()
    needs = (f"{home}/bin/java", H2, f"{postgres_directory()}/psql")
    jit = ("300MiB", 64)
    late = (f"{home}/lib/*.so", f"{home}/lib/server/*.so", "/usr/lib/x86_64-linux-gnu/libnss_*.so*",
            "/usr/lib/x86_64-linux-gnu/libstdc++.so*", "/usr/lib/x86_64-linux-gnu/libgcc_s.so*",
            "/lib/x86_64-linux-gnu/libgcc_s.so*", "/usr/lib/x86_64-linux-gnu/libm.so*",
            "/usr/lib/x86_64-linux-gnu/librt.so*", "/usr/lib/x86_64-linux-gnu/libresolv.so*")

    def prepare(self):
        self.argv = (f"{self.home}/bin/java", "-Xmx128m", "-XX:-UsePerfData", "-XX:+UseSerialGC",
                     f"-Djava.io.tmpdir={self.var}", f"-Duser.home={self.var}",
                     # Else it looks up the name of the machine, which need not be known.
                     "-Dh2.bindAddress=127.0.0.1", "-cp", H2,
                     "org.h2.tools.Server", "-pg", "-pgPort", str(self.port), "-baseDir", self.var,
                     "-ifNotExists")
        self.files = [f"{self.home}/bin/java", H2]

    @property
    def connects_to(self):  # H2 looks whether it answers, once it listens
        return [f"127.0.0.1:{self.port}"]

    @property
    def listen(self):
        return [f"tcp/*:{self.port}"]

    def sql(self, text, check=True):
        env = dict(os.environ, PGPASSWORD="sa")
        return run(f"{postgres_directory()}/psql", "-h", "127.0.0.1", "-p", self.port, "-U", "sa",
                   "-X", "-q", "-t", "-A", "-c", text, "db", check=check, env=env).stdout

    def serves(self):
        return connects(self.port)
