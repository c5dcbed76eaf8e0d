# SPDX-License-Identifier: Apache-2.0
"""The catalogue, a row an attack: what is attacked, how, and by which names it must be found.

An attack is a function (application, decisive): with decisive it attacks in full; without, it
goes the same way but for the one step that counts, and nothing must be reported."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lab import Failure, disk_directory, free_port, run, until
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
        self.etc = more.pop("etc", False)        # changes /etc, which is the run's own
        self.hooks = more.pop("hooks", "default")  # of assayd's configuration
        # The kernel does not let it happen: what the attack says then. Nothing is to be reported.
        self.prevented = more.pop("prevented", None)
        # (path, why not where there is none): what the kernel or the machine must have.
        self.needs = more.pop("needs", None)
        self.must_say = more.pop("must_say", None)  # of the driver: that this row fails, saying so
        if more:
            raise TypeError(f"{identity}: {more}")

    @property
    def missing(self):
        """Why the row cannot run here; "" if it can."""
        if self.target.missing():
            return f"not installed: {', '.join(self.target.missing())}"
        return self.needs[1] if self.needs and not os.path.exists(self.needs[0]) else ""

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
    ("dynamic.descriptors.foreign_traces", r"{pid}"))
row("M17", "hardware breakpoint", Postgres, outside("breakpoint"),
    ("dynamic.kernel.foreign_access", r"perf"), hooks="full")
row("M18", "code in the unused end of a text page", Redis, outside("cave"), CODE_MODIFIED)
row("M20", "text written through io_uring", Nginx, outside("text-uring"), CODE_MODIFIED)
row("M21", "text patched through 32-bit system calls", Target, inside("patch-compat"),
    CODE_MODIFIED)

row("M25", "library taken out of the loader's list", Target, inside("hide"),
    ("dynamic.code.loader_list", r"libc\.so"))

# The driver itself: it must fail where nothing was done, where the name is another one, and where
# the control is an attack already.

row("driver-nothing", "an attack that is none", Target,
    lambda app, decisive: inside("patch")(app, False), CODE_MODIFIED,
    must_say="not found: stage 3's secret was released")
row("driver-name", "an attack by another name", Target, inside("patch"), ("dynamic.listen", r"."),
    must_say="refused, but not as")
row("driver-control", "a control that attacks", Target,
    lambda app, decisive: inside("patch")(app, True), CODE_MODIFIED,
    must_say="the control was reported")

# 1.2 Loader and libraries.


def preload(app, decisive):
    library = copy(os.path.join(app.lab.payloads, "attack_payload.so"), var("extra.so")(app))
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
    app.plugin = copy(os.path.join(app.lab.payloads, "attack_payload.so"),
                      os.path.join(app.target.dir, "plugin.so"), 0o666)
    app.target.files.append(app.plugin)


def load_plugin(app):
    app.told(f"load attack {app.plugin}")


def changed(app):
    """The other build of the plugin."""
    with open(os.path.join(app.lab.payloads, "attack_payload_changed.so"), "rb") as f:
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


def overwrite_and_date_back(app, decisive):
    """Its size is the same, and its time of change is as before."""
    st = os.stat(app.plugin)
    overwrite(app, decisive)
    if decisive:
        os.truncate(app.plugin, st.st_size)
        os.utime(app.plugin, ns=(st.st_atime_ns, st.st_mtime_ns))


row("L14", "library overwritten, its times set back", Target, overwrite_and_date_back, PLUGIN,
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
    return copy(os.path.join(app.lab.payloads, "attack_payload.so"), var("injected.so")(app))


row("L08", "dlopen through a debugger", Redis,
    gdb(lambda app: f'call (void *)dlopen("{injected(app)}", 2)'),
    ("dynamic.code.files", r"injected\.so"), FOREIGN)


def other_loader(app, decisive):
    """A program with another loader in its PT_INTERP; the control has the usual one."""
    # Its path must fit where the usual one stands.
    place = tempfile.mkdtemp(prefix="l", dir=disk_directory())
    app.undo.append(lambda: shutil.rmtree(place))
    os.chmod(place, 0o755)
    loader = copy("/lib64/ld-linux-x86-64.so.2", f"{place}/l")
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


def in_memory(app):
    return f"/dev/shm/{os.path.basename(app.lab.dir)}"


row("X03", "program executed from /dev/shm", Target, inside("drop", in_memory),
    (EXECUTED, r"/dev/shm/"), ("dynamic.code.files", r"/dev/shm/"),
    setup=lambda app: app.leave.append(in_memory(app)))
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
            app.leave = [f"/tmp/.java_pid{app.pid}"]
            os.kill(app.pid, signal.SIGQUIT)
            until("the JVM's attach socket", lambda: os.path.exists(f"/tmp/.java_pid{app.pid}"),
                  30)
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
def waiting_java(app):
    """A JVM that waits for a script that never comes, and listens nowhere."""
    script = os.path.join(app.target.var, "script")
    if not os.path.exists(script):
        os.mkfifo(script)
        os.chmod(script, 0o644)
    own = app.target.argv
    return (*own[:own.index("org.h2.tools.Server")], "org.h2.tools.RunScript", "-url", "jdbc:h2:mem:",
            "-script", script)


row("A07", "JAVA_TOOL_OPTIONS", Jvm, environment_of("JAVA_TOOL_OPTIONS=-Dx=1", waiting_java),
    ("dynamic.environment.deny", r"JAVA_TOOL_OPTIONS"))


def sql_session(text, control):
    """A session that stays after the statement, so that its backend is there to be measured."""
    def attack(app, decisive):
        library = copy(os.path.join(app.lab.payloads, "attack_payload.so"), var("module.so")(app))
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
row("T03", "descriptor taken by pidfd_getfd", Redis, outside("descriptor"), FOREIGN)
row("T04", "killed with a core dump", Nginx, outside("abort"),
    ("dynamic.kernel.signals", r"SIGABRT"), policy={"kernel": {"signals": "deny"}})


def read_environment(app, decisive):
    """As much as a monitoring tool reads of any process is the control."""
    with open(f"/proc/{app.pid}/{'environ' if decisive else 'stat'}", "rb") as f:
        f.read()


row("T05", "environment read", Redis, read_environment,
    ("dynamic.kernel.foreign_read", r"read environ"),
    policy={"kernel": {"foreign_read": "deny"}})
row("T07", "sampled by perf with its stack", Redis, outside("sampling"),
    ("dynamic.descriptors.foreign_traces", r"{pid}"))
row("T07", "sampled by perf with its stack", Node, outside("sampling"),
    ("dynamic.kernel.foreign_access", r"perf"), hooks="full")
row("T11", "checkpoint", Redis, outside("checkpoint"), FOREIGN)
def open_kernel_memory(app, decisive):
    with open(KERNEL_MEMORY if decisive else "/proc/version", "rb") as f:
        f.read(64)
        held = os.dup(f.fileno())
    app.undo.append(lambda: os.close(held))


KERNEL_MEMORY = "/proc/kcore"
row("T13", "kernel memory read", Redis, open_kernel_memory,
    ("dynamic.descriptors.foreign_memory", r"/proc/kcore"), alone=True,
    needs=(KERNEL_MEMORY, "this kernel has neither /dev/mem nor /proc/kcore"))
row("T12", "packets of the machine captured", Redis, outside("packets"),
    ("dynamic.descriptors.foreign_packets", r"attack_attacker"), alone=True)
row("T15", "memory read by a process of the same user", Redis, outside("memory", uid=65534),
    FOREIGN, hooks="full")


row("T15", "text written by a process of the same user", Redis,
    outside("text-write", uid=65534), CODE_MODIFIED, FOREIGN, hooks="full")
row("T15", "memory copied by a process of the same user", Redis, outside("copy", uid=65534),
    FOREIGN, hooks="full")
row("T15", "ptrace by a process of the same user", Node, outside("peek", uid=65534), FOREIGN,
    hooks="full")


def gcore(app, decisive):
    if decisive:
        done = run("gcore", "-o", os.path.join(app.lab.dir, "core"), app.pid, check=False)
        if not os.path.exists(os.path.join(app.lab.dir, f"core.{app.pid}")):
            raise Failure(f"gcore: {done.stdout[-300:]}{done.stderr[-300:]}")
    else:
        run("gcore", check=False)


row("T03", "gcore", Redis, gcore, FOREIGN)

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
    app.target.cli(*(("replicaof", "127.0.0.1", port) if decisive else ("role",)))
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


def append_to(path, line):
    """/etc is a copy of its own for this run, see run.py."""
    def attack(app, decisive):
        with open(path if decisive else var(os.path.basename(path))(app), "a") as f:
            f.write(line)
    return attack


def with_file(path):
    return lambda app: app.target.files.append(path)


row("N08", "/etc/hosts changed", Target, append_to("/etc/hosts", "127.0.0.1 license.example\n"),
    ("dynamic.static_files.unchanged", r"/etc/hosts"), files=with_file("/etc/hosts"), etc=True)
row("L11", "/etc/nsswitch.conf changed", Target, append_to("/etc/nsswitch.conf", "aliases: files\n"),
    ("dynamic.static_files.unchanged", r"/etc/nsswitch\.conf"),
    files=with_file("/etc/nsswitch.conf"), etc=True)


LAYERED = "/etc/assay-layered"


def layered(app):
    """A file in the upper layer of /etc, which is an overlay of this run's own."""
    write_file(LAYERED, "one\n")
    app.target.files.append(LAYERED)


def edit_below(app, decisive):
    with open("/proc/self/mountinfo") as f:
        upper = re.search(r" /etc .*\bupperdir=([^, \n]+)", f.read())[1]
    if decisive:
        write_file(os.path.join(upper, os.path.basename(LAYERED)), "two\n")


row("L07", "upper layer of an overlay edited", Target, edit_below,
    ("dynamic.static_files.unchanged", r"assay-layered"), files=layered, etc=True)


def global_preload(app, decisive):
    library = copy(os.path.join(app.lab.payloads, "attack_payload.so"), var("global.so")(app))
    try:
        if decisive:
            with open("/etc/ld.so.preload", "w") as f:
                f.write(library + "\n")
        app.run(("/usr/bin/sleep", "60"))
        until("the program running", lambda: any(
            "sleep" in os.readlink(f"/proc/{p}/exe") for p in children(app.launcher)), 20)
    finally:
        if decisive:
            until("the library loaded", lambda: any(
                "global.so" in open(f"/proc/{p}/maps").read()
                for p in children(app.launcher)), 20)
            os.unlink("/etc/ld.so.preload")


row("L02", "/etc/ld.so.preload", Target, global_preload, ("dynamic.code.files", r"global\.so"),
    files=SLEEP, etc=True, alone=True)

# 1.7 Kernel and monitor. These change the machine, or attack assayd: one by one, after the others.


def known_programs():
    """Tags of the BPF programs that are there before; another assayd's, for example."""
    listed = json.loads(run("bpftool", "prog", "list", "-j").stdout or "[]")
    return sorted({p["tag"] for p in listed if "tag" in p})


BPF = {"machine": {"bpf": {"foreign": "deny", "tags": known_programs}}}
row("T08", "BPF program of another reads user memory", Redis, outside("bpf-program"),
    ("dynamic.machine.bpf", r"sniff"), policy=BPF, alone=True)
row("K03", "BPF program of another stays in the kernel", Target, outside("bpf-given"),
    ("dynamic.machine.bpf", r"sniff"), ("dynamic.kernel.bpf", r"."),
    policy={**BPF, "kernel": {"bpf": "deny"}}, hooks="full", alone=True)


def sysctl(path, value):
    def attack(app, decisive):
        with open(path) as f:
            old = f.read()
        app.undo.append(lambda: write_file(path, old))
        write_file(path, value if decisive else old)
    return attack


def write_file(path, text):
    with open(path, "w") as f:
        f.write(text)


row("K06", "fs.suid_dumpable raised", Target, sysctl("/proc/sys/fs/suid_dumpable", "2"),
    ("dynamic.machine.sysctl.fs.suid_dumpable", r"2"),
    policy={"machine": {"sysctl": {"fs.suid_dumpable": {"max": "0"}}}}, alone=True)
row("K06", "address space no longer at random", Target,
    sysctl("/proc/sys/kernel/randomize_va_space", "0"),
    ("dynamic.machine.sysctl.kernel.randomize_va_space", r"0"),
    policy={"machine": {"sysctl": {"kernel.randomize_va_space": {"min": "2"}}}}, alone=True)


# A module that nothing needs; tests/lab puts it into its machine.
MODULE = "/opt/assay/dummy.ko"


def load_module(app, decisive):
    if decisive:
        run("insmod", MODULE)
        app.undo.append(lambda: run("rmmod", "dummy"))


PROBES = "/sys/kernel/tracing/kprobe_events"


def tell_probes(line):
    """Python's own "a" would look for the end, and "w" take others' away."""
    fd = os.open(PROBES, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def set_probe(app, decisive):
    tell_probes("\n")
    if decisive:
        tell_probes("p:assay_test/opened do_sys_openat2\n")
        app.undo.append(lambda: tell_probes("-:assay_test/opened\n"))


row("K01", "module loaded", Target, load_module, ("dynamic.machine.modules", r"before"),
    policy={"machine": {"modules": "unchanged"}}, alone=True,
    needs=(MODULE, "no module at hand that may be loaded here"))
row("K04", "kprobe set", Target, set_probe, ("dynamic.machine.probes", r"assay_test"),
    policy={"machine": {"probes": "deny"}}, alone=True,
    needs=(PROBES, "this kernel has no kprobes"))


def assayd(app):
    return app.lab.assayd.pid


row("K11", "assayd itself traced", Target, outside("peek", pid=assayd),
    ("dynamic.kernel.assayd_access", r"."), policy={"kernel": {"assayd_access": "deny"}},
    alone=True)
row("K11", "assayd's memory read", Target, outside("memory", pid=assayd),
    ("dynamic.kernel.assayd_access", r"."), policy={"kernel": {"assayd_access": "deny"}},
    hooks="full", alone=True)


def set_clock(app, decisive):
    """A little more than a second forward, and back again once that was judged."""
    if decisive:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + 1.2)
        app.undo.append(lambda: time.clock_settime(
            time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) - 1.2))


row("K13", "clock set", Target, set_clock, ("dynamic.machine.clock", r"set by 1[12]\d\d ms"),
    policy={"machine": {"clock": "unchanged"}}, alone=True)
row("K09", "assayd's counters set back", Target, outside("set-back-counts", pid=assayd),
    prevented="Operation not permitted", alone=True)
row("K09", "assayd's account of loss set back", Target, outside("set-back-ledger", pid=assayd),
    prevented="Operation not permitted", alone=True)
# The last of its assayd: no account of loss is whole after it.
row("K08", "assayd's hooks detached", Target, outside("detach", pid=assayd),
    ("dynamic.kernel.lost", r"."), alone=True)

NOT_COVERED.update({
    "A03": ("PEP 768 sys.remote_exec", "needs Python 3.14; Debian 12 has 3.11. It writes by "
            "process_vm_writev, which M04 and T15 attack"),
    "A12": ("evaluation of network data", "pure data: out of reach by definition"),
    "A13": ("write into a just-in-time compiler's pages", "a write from outside is M01; one from "
            "inside is what the compiler does"),
    "A15": ("hot patching", "the same steps as M01 and M07"),
    "K02": ("kexec", "the first kernel has none; in the second machine no attack program yet"),
    "K04 (2)": ("ftrace or livepatch hook", "the first kernel has neither; no attack program yet"),
    "K05": ("system call table", "not possible without reading kernel memory"),
    "K09 (2)": ("a process taken out of assayd's table of followed ones",
                "the table has to stay writable for assayd. Refused today, but only because rules on "
                "processes could then not be checked: the tampering has no name"),
    "K14": ("CPU hotplug", "the first machine's CPUs cannot be switched off; no attack program yet; "
            "rule machine.cpus"),
    "K16": ("attacked before assayd starts", "assayd starts the application; static reference "
            "values decide (tests/flow, file_changed_before_start)"),
    "L12": ("page cache written without a trace", "needs a kernel with CVE-2022-0847"),
    "L13": ("raw block device written", "would damage the file system that it runs on"),
    "L18": ("FUSE answers differ", "tests/bpf attacks code on FUSE"),
    "M24": ("code reuse, data only", "no new code, no foreign access: out of reach by definition"),
    "M26": ("handler tables", "best effort: no rule"),
    "M28": ("PR_SET_MM, exe_file", "the kernel refuses it while the old program is mapped; a process "
            "that unmaps itself first runs from memory, which is M14"),
    "N07": ("nft, tc, XDP redirect", "no attack program yet; programs are T08 and K03"),
    "N11": ("old data put back", "no property of a running program: needs counters outside"),
    "T09": ("swap read", "neither machine has swap; rule machine.swap"),
    "X06": ("binfmt_misc", "would change how the whole machine executes programs"),
    "X09": ("credentials by kernel exploit", "needs an exploit; the state compared is X08's"),
    "X13": ("PID used again", "a process is known by pidfd and start time, not by its number; "
            "tests/daemon has who may ask"),
    "X16": ("restarted with other arguments", "arguments are not measured; when the first process "
            "ends, so do the application and its secrets"),
})
