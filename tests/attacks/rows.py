# SPDX-License-Identifier: Apache-2.0
"""The catalogue, a row an attack: what is attacked, how, and by which names it must be found.

An attack is a function (application, decisive): with decisive it attacks in full; without, it
goes the same way but for the one step that counts, and nothing must be reported."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from lab import Failure, run, until
from scene import ATTACKER, copy
from targets import (Jvm, Nginx, Node, Postgres, Python, Redis, Target, children,
                     postgres_directory)

ROWS = []
# Techniques without a program here, and why.
NOT_COVERED = {}


class Row:
    def __init__(self, identity, title, target, attack, names, **more):
        self.id, self.title, self.target, self.attack = identity, title, target, attack
        self.names = names            # (rule, pattern of what was seen): all must be reported
        self.user = more.pop("user", "nobody")
        self.policy = more.pop("policy", None)
        self.setup = more.pop("setup", None)     # done before the first measurement
        self.files = more.pop("files", None)     # measured as well: paths of the application
        self.alone = more.pop("alone", False)    # changes the machine: no other row beside it
        self.hooks = more.pop("hooks", "default")  # of assayd's configuration
        if more:
            raise TypeError(f"{identity}: {more}")

    @property
    def name(self):
        return f"{self.id.lower()}-{self.target.__name__.lower()}"


def row(identity, title, target, attack, *names, **more):
    ROWS.append(Row(identity, title, target, attack, names, **more))


def inside(verb, argument=None):
    """The launcher, our C program, attacks itself; argument: a function of the application."""
    def attack(app, decisive):
        app.told(f"{verb} {'attack' if decisive else 'control'} "
                 f"{argument(app) if argument else ''}".rstrip())
    return attack


def outside(verb, uid=None, pid=None, address=None):
    """A process that is none of the application's attacks it, and holds on until it is judged."""
    def attack(app, decisive):
        target = pid(app) if pid else app.pid
        argv = [app.lab.path("bin", ATTACKER), *(["--as", str(uid)] if uid else []), verb,
                "attack" if decisive else "control", str(target),
                *([address(app)] if address else [])]
        done = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        app.held.append(done)
        said = done.stdout.readline()
        if said != "done\n":
            raise Failure(f"{verb}: {said.strip() or 'it died'}")
    return attack


def var(name):
    return lambda app: os.path.join(app.target.var, name)


CODE_MODIFIED = ("dynamic.code.modified_text", r"changed pages of .*{program}")
FOREIGN = ("dynamic.kernel.foreign_access", r"by process \d+ at process {pid}")

# 1.1 Code and control flow in memory.

row("M01", "text written through /proc/PID/mem", Nginx, outside("text-write"), CODE_MODIFIED)
row("M01", "text written through /proc/PID/mem, old bytes written back", Redis,
    outside("text-revert"), CODE_MODIFIED)
row("M01", "text written through /proc/PID/mem", Postgres, outside("text-write"), CODE_MODIFIED)
row("M01", "text written through /proc/PID/mem", Python, outside("text-write"), CODE_MODIFIED)
row("M02", "ptrace POKETEXT", Redis, outside("poke"), CODE_MODIFIED, FOREIGN)
row("M02", "ptrace POKETEXT", Node, outside("poke"), CODE_MODIFIED, FOREIGN)
row("M03", "ptrace SETREGS: made to call mmap", Target, outside("registers"), FOREIGN)
row("M04", "process_vm_writev into the heap", Redis, outside("data-write"), FOREIGN)
row("M05", "import slot points to another function", Target, inside("import"),
    ("dynamic.code.imports", r"getppid"))
row("M06", "read-only-after-relocation page written", Target,
    outside("relro", address=lambda app: app.told("where relro", "at ")),
    ("dynamic.code.relro", r"{program}"))
row("M07", "mprotect, patch, mprotect back", Target, inside("patch"), CODE_MODIFIED)
row("M09", "patched, run, the private page dropped", Target, inside("patch-and-drop"),
    ("dynamic.kernel.wx_memory", r"process {pid}"))
row("M10", "anonymous memory over text", Target, inside("replace"),
    ("dynamic.code.anonymous", r"4096 bytes|r-xp"))
row("M12", "code in a memory file", Target, inside("memory-file"),
    ("dynamic.code.files", r"memfd:code"))
row("M14", "writable and executable memory", Target, inside("anonymous"),
    ("dynamic.code.anonymous", r"rwxp"))
row("M15", "vDSO written", Redis, outside("vdso"), ("dynamic.code.modified_text", r"process {pid}: a vDSO that is not the kernel's"))
row("M16", "uprobe on the program", Nginx, outside("uprobe"),
    ("dynamic.code.modified_text|dynamic.code.uprobes", r"."))
row("M17", "hardware breakpoint", Redis, outside("breakpoint"),
    ("dynamic.kernel.foreign_access", r"perf"), hooks="full")
row("M18", "code in the unused end of a text page", Redis, outside("cave"), CODE_MODIFIED)
row("M20", "text written through io_uring", Nginx, outside("text-uring"), CODE_MODIFIED)
row("M21", "text patched through 32-bit system calls", Target, inside("patch-compat"),
    CODE_MODIFIED)

# 1.2 Loader and libraries.


def preload(app, decisive):
    library = copy(os.path.join(app.lab.library, "attack_payload.so"), var("extra.so")(app))
    app.run(("/usr/bin/sleep", "60"), [f"LD_PRELOAD={library}" if decisive else "HARMLESS=1"])



def library_path(app, decisive):
    folder = os.path.join(app.target.dir, "lib")
    os.makedirs(folder, exist_ok=True)
    shutil.copy("/lib/x86_64-linux-gnu/libc.so.6", folder)
    # Another file under the name of the C library: one byte longer.
    with open(os.path.join(folder, "libc.so.6"), "ab") as f:
        f.write(b"\0")
    app.run(("/usr/bin/sleep", "60"), [f"LD_LIBRARY_PATH={folder}"] if decisive else ["A=1"])


SLEEP = ("/usr/bin/sleep",)
row("L01", "LD_PRELOAD", Target, preload, ("dynamic.environment.deny", r"LD_PRELOAD"),
    ("dynamic.code.files", r"extra\.so"), files=SLEEP)
row("L03", "LD_LIBRARY_PATH: another file of the same name", Target, library_path,
    ("dynamic.environment.deny", r"LD_LIBRARY_PATH"), ("dynamic.code.files", r"lib/libc\.so\.6"),
    files=SLEEP)


def plugin(app):
    """A library that is loaded and measured before the first stage."""
    app.plugin = copy(os.path.join(app.lab.library, "attack_payload.so"),
                      os.path.join(app.target.dir, "plugin.so"), 0o666)
    app.target.files.append(app.plugin)


def load_plugin(app):
    app.told(f"load attack {app.plugin}")


def changed(app):
    """The other build of the plugin."""
    with open(os.path.join(app.lab.library, "attack_payload_changed.so"), "rb") as f:
        return f.read()


def overwrite(app, decisive):
    path = app.plugin if decisive else app.plugin + ".other"
    with open(path, "r+b" if decisive else "wb") as f:
        f.write(changed(app))


def rename_over(app, decisive):
    with open(app.plugin + ".new", "wb") as f:
        f.write(changed(app))
    if decisive:
        os.rename(app.plugin + ".new", app.plugin)


def store(app, decisive):
    """One byte through a shared mapping: no write() at all."""
    import mmap
    with open(app.plugin, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        if decisive:
            m[len(m) - 1] ^= 1
            m.flush()


def truncate(app, decisive):
    if decisive:
        os.truncate(app.plugin, os.path.getsize(app.plugin) - 1)


PLUGIN = ("dynamic.static_files.unchanged", r"plugin\.so")
for identity, title, attack in (("L04", "library overwritten in place", overwrite),
                                ("L05", "library replaced by rename", rename_over),
                                ("L16", "library written through MAP_SHARED", store),
                                ("L19", "library truncated", truncate)):
    row(identity, title, Target, attack, PLUGIN,
        ("dynamic.code.deleted", r"plugin\.so") if identity == "L05" else
        ("dynamic.code.files", r"plugin\.so"), ("dynamic.kernel.file_changed", r"plugin\.so"),
        files=plugin, setup=load_plugin)


def gdb(*commands, pid=None):
    def attack(app, decisive):
        said = run("gdb", "-nx", "-batch", "-p", str(pid(app) if pid else app.pid),
                   *(part for c in commands for part in ("-ex", c(app))), check=False) \
            if decisive else run("gdb", "-nx", "-batch", "-ex", "info target", check=False)
        if decisive and re.search(r"No symbol|Cannot|ptrace: ", said.stdout + said.stderr):
            raise Failure(f"gdb: {said.stdout[-500:]}{said.stderr[-500:]}")
    return attack


def injected(app):
    return copy(os.path.join(app.lab.library, "attack_payload.so"), var("injected.so")(app))


row("L08", "dlopen through a debugger", Redis,
    gdb(lambda app: f'call (void *)dlopen("{injected(app)}", 2)'),
    ("dynamic.code.files", r"injected\.so"), FOREIGN)


def other_loader(app, decisive):
    """A program with another loader in its PT_INTERP; the control has the usual one."""
    loader = copy("/lib64/ld-linux-x86-64.so.2", f"{app.lab.dir}/l")
    with open(loader, "ab") as f:
        f.write(b"\0")
    old = b"/lib64/ld-linux-x86-64.so.2"
    if len(loader) > len(old):
        raise Failure(f"{loader} is too long for the place of {old.decode()}")
    with open("/usr/bin/sleep", "rb") as f:
        text = f.read()
    if old + b"\0" not in text:
        raise Failure("sleep has another loader")
    changed_program = app.target.write("sleep", text.replace(
        old, loader.encode().ljust(len(old), b"\0"), 1), 0o755)
    app.run((changed_program if decisive else "/usr/bin/sleep", "60"))


row("L10", "another loader (PT_INTERP)", Target, other_loader,
    ("dynamic.code.files", r"/l, which|/l with"), ("dynamic.kernel.exec", r"/sleep"), files=SLEEP)

# 1.3 Execution and identity.

EXECUTED = "dynamic.kernel.exec"
row("X01", "dropped program executed", Target, inside("drop", var("dropped")),
    (EXECUTED, r"var/dropped"), ("dynamic.code.files", r"var/dropped"))
row("X02", "program executed from memory", Target, inside("execute-memory"),
    ("dynamic.code.files", r"memfd:program"), ("dynamic.kernel.exec_memory", r"."))
row("X03", "program executed from /dev/shm", Target,
    inside("drop", lambda app: f"/dev/shm/{os.path.basename(app.lab.dir)}"),
    (EXECUTED, r"/dev/shm/"), ("dynamic.code.files", r"/dev/shm/"))
row("X04", "shell", Target, inside("shell"), (EXECUTED, r"/bin/(sh|dash)"))


def through_http(command):
    def attack(app, decisive):
        path = f"/run?{command}" if decisive else "/ran?nothing"
        with socket.create_connection(("127.0.0.1", app.target.port), 5) as s:
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            while s.recv(4096):
                pass
    return attack


row("X04", "shell from a web service", Python, through_http("true"), (EXECUTED, r"/bin/(sh|dash)"))


def wrapper(app):
    app.wrapper = app.target.write("wrapper.sh", "#!/bin/dash\nread x </dev/zero\n", 0o755)
    app.target.files += [app.wrapper, "/bin/dash"]
    app.target.exec_allow = (app.wrapper, "/bin/dash")


def swapped(app, decisive):
    other = app.target.write("wrapper.new", "#!/bin/dash\nexport X=1\nread x </dev/zero\n", 0o755)
    if decisive:
        os.rename(other, app.wrapper)
    app.told(f"script attack {app.wrapper}")


row("X05", "wrapper script swapped", Target, swapped,
    ("dynamic.static_files.unchanged", r"wrapper\.sh"), files=wrapper)
row("X08", "setresuid", Target, inside("become"),
    ("dynamic.processes.credentials", r"process {pid}"),
    user="root")
row("X10", "capability raised", Target, inside("capability"),
    ("dynamic.processes.credentials", r"process {pid}"),
    user="root")
row("X11", "unshare", Target, inside("namespaces"),
    ("dynamic.processes.namespaces", r"process {pid}"))
row("X14", "dropped program under another name", Target, inside("masquerade", var("nginx")),
    (EXECUTED, r"var/nginx"), ("dynamic.code.files", r"var/nginx"))

# 1.4 Interpreters, plugins, debuggers.


def append(name):
    def attack(app, decisive):
        path = os.path.join(app.target.dir, name)
        with open(path if decisive else path + ".bak", "a") as f:
            f.write("# \n" if name.endswith("py") else "// \n")
    return attack


row("A01", ".py edited", Python, append("service.py"),
    ("dynamic.static_files.unchanged", r"service\.py"))
row("A01", ".js edited", Node, append("service.js"),
    ("dynamic.static_files.unchanged", r"service\.js"))
row("A04", "Python code run through a debugger", Python,
    gdb(lambda app: "call (int)PyGILState_Ensure()",
        lambda app: 'call (int)PyRun_SimpleString("x = 1")',
        lambda app: "call (void)PyGILState_Release($1)"), FOREIGN)


def jvm_attach(app, decisive):
    """What jcmd does: the file, the signal, then a command over the socket."""
    cwd = f"/proc/{app.pid}/cwd/.attach_pid{app.pid}"
    tmp = f"/tmp/.attach_pid{app.pid}"
    try:
        for path in (cwd, tmp):
            try:
                with open(path, "w"):
                    os.chown(path, 65534, 65534)
            except OSError:
                pass
        if decisive:
            os.kill(app.pid, signal.SIGQUIT)
            until("the JVM's attach socket", lambda: os.path.exists(f"/tmp/.java_pid{app.pid}"),
                  30)
            app.leave = [f"/tmp/.java_pid{app.pid}"]
    finally:
        for path in (cwd, tmp):
            if os.path.exists(path):
                os.unlink(path)


row("A06", "JVM attach", Jvm, jvm_attach, ("dynamic.listen", r"unix.*java_pid"))


def environment_of(variable, argv):
    def attack(app, decisive):
        app.run(argv(app), [variable if decisive else "HARMLESS=1"])
    return attack


row("A07", "NODE_OPTIONS", Node,
    environment_of("NODE_OPTIONS=--no-warnings", lambda app: (
        app.target.argv[0], "-e", "setTimeout(() => 0, 60000)")),
    ("dynamic.environment.deny", r"NODE_OPTIONS"))
row("A07", "JAVA_TOOL_OPTIONS", Jvm,
    environment_of("JAVA_TOOL_OPTIONS=-Dx=1", lambda app: (
        *app.target.argv[:app.target.argv.index("-pgPort")], "-pgPort", "0", "-baseDir",
        app.target.var, "-ifNotExists")),
    ("dynamic.environment.deny", r"JAVA_TOOL_OPTIONS"))


def sql_session(text, control):
    """A session that stays after the statement, so that its backend is there to be measured."""
    def attack(app, decisive):
        library = copy(os.path.join(app.lab.library, "attack_payload.so"), var("module.so")(app))
        session = app.target.session()
        app.held.append(session)
        session.stdin.write((text if decisive else control).format(library=library) +
                            ";\nselect 'did it';\n")
        session.stdin.flush()
        said = ""
        while "did it" not in said:
            line = session.stdout.readline()
            if not line or "ERROR" in line:
                raise Failure(f"psql: {said}{line}")
            said += line
    return attack


row("A08", "LOAD of a library", Postgres, sql_session("load '{library}'", "select 1"),
    ("dynamic.code.files", r"module\.so"))
row("A09", "COPY FROM PROGRAM", Postgres,
    sql_session("create temp table t (x text); copy t from program 'echo 1'",
                "create temp table t (x text); insert into t values ('1')"),
    (EXECUTED, r"/bin/(sh|dash)"))


def new_configuration(app, decisive):
    """A configuration with one location more, and a reload."""
    text = app.target.text(server="    location /all { alias /; }\n")
    with open(app.target.conf if decisive else app.target.conf + ".other", "w") as f:
        f.write(text)
    before = children(app.child)
    os.kill(app.child, signal.SIGHUP)
    until("a new worker", lambda: children(app.child) and children(app.child) != before, 20)
    until("the old worker gone", lambda: len(children(app.child)) == 1, 20)


row("A11", "configuration changed, reload", Nginx, new_configuration,
    ("dynamic.static_files.unchanged", r"nginx\.conf"))

# 1.5 Theft of secrets.

row("T01", "memory read through /proc/PID/mem", Redis, outside("memory"), FOREIGN)
row("T03", "ptrace PEEKDATA", Postgres, outside("peek"), FOREIGN)
row("T03", "process_vm_readv", Node, outside("copy"), FOREIGN)
row("T03", "gcore", Redis, lambda app, decisive: gcore(app, decisive), FOREIGN)
row("T03", "descriptor taken by pidfd_getfd", Redis, outside("descriptor"), FOREIGN)
row("T04", "killed with a core dump", Nginx, outside("abort"),
    ("dynamic.kernel.signals", r"signal.*6"), policy={"kernel": {"signals": "deny"}})


def read_environment(app, decisive):
    """As much as a monitoring tool reads of any process is the control."""
    with open(f"/proc/{app.pid}/{'environ' if decisive else 'stat'}", "rb") as f:
        f.read()


row("T05", "environment read", Redis, read_environment,
    ("dynamic.kernel.foreign_read", r"read environ"),
    policy={"kernel": {"foreign_read": "deny"}})
row("T07", "sampled by perf with its stack", Redis, outside("sampling"),
    ("dynamic.kernel.foreign_access", r"perf"), hooks="full")
row("T11", "checkpoint", Redis, outside("checkpoint"), FOREIGN)
row("T15", "memory read by a process of the same user", Redis, outside("memory", uid=65534),
    FOREIGN, hooks="full")


def gcore(app, decisive):
    if decisive:
        done = run("gcore", "-o", os.path.join(app.lab.dir, "core"), app.pid, check=False)
        if not os.path.exists(os.path.join(app.lab.dir, f"core.{app.pid}")):
            raise Failure(f"gcore: {done.stdout[-300:]}{done.stderr[-300:]}")
    else:
        run("gcore", check=False)


# 1.6 Network and files around it.


def sink(app):
    """Somebody on loopback who takes what is sent: the port."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(4)
    app.held_sockets.append(s)
    return str(s.getsockname()[1])


def replicate(app, decisive):
    port = sink(app)
    app.target.cli("replicaof", "127.0.0.1", port) if decisive else app.target.cli("role")
    if decisive:
        def connected():
            app.held_sockets[-1].setblocking(False)
            try:
                app.held_sockets.append(app.held_sockets[-1].accept()[0])
                return True
            except BlockingIOError:
                return False
        until("redis connecting to its new master", connected, 20)


def move_port(app, decisive):
    from lab import free_port
    app.target.cli("config", "set", *(("port", str(free_port())) if decisive else
                                      ("maxclients", "100")))


CONNECTION = ("dynamic.connections", r"127\.0\.0\.1:\d+")
row("N01", "unexpected connection", Target, inside("out", sink), CONNECTION)
row("N01", "replication to elsewhere", Redis, replicate, CONNECTION)
row("N02", "another listener", Target, inside("listener"), ("dynamic.listen", r"127\.0\.0\.1:\d+"))
row("N02", "listener moved by CONFIG SET", Redis, move_port,
    ("dynamic.listen", r"127\.0\.0\.1:\d+|\*:\d+"))
row("N04", "connection made by io_uring", Target, inside("out-uring", sink), CONNECTION,
    ("dynamic.kernel.io_uring", r"process {pid}"))


def swap_certificate(app, decisive):
    new = app.target.write("cert.new", "another certificate\n")
    if decisive:
        os.rename(new, app.target.certificate)


row("N09", "certificate swapped", Nginx, swap_certificate,
    ("dynamic.static_files.unchanged", r"cert\.pem"))
