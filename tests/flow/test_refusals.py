# SPDX-License-Identifier: Apache-2.0
"""Each way to be refused; after each, no secret byte that the refusal guards left the verifier."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from lab import Failure, Tpm, run, until
from programs import Nginx, Worker, pid_of


def check(condition, what):
    if not condition:
        raise Failure(what)


def machine(lab):
    lab.with_tpm()
    lab.pki()


def reasons(lab, application):
    """Rules that refused, over all evidence of the application."""
    rows = lab.rows("select reasons from evidence where application = "
                    f"'{application}' and accepted = 0")
    return " ".join(row[0] for row in rows)


def expect_static_refusal(lab, web, rule):
    assayd = lab.assayd
    assayd.wait_for(f"web: refused by the verifier: .*{re.escape(rule)}", 40)
    check(lab.released() == [], f"released {lab.released()}")
    check(web.get() is None, "nginx runs")
    lab.in_state("web", "refused")
    check(rule in reasons(lab, "web"), reasons(lab, "web"))


def test_file_changed_before_start(lab):
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    with open(f"{web.dir}/html/index.html", "a") as f:
        f.write("one line more\n")
    lab.start_verifier()
    lab.start_assayd(web.application())
    expect_static_refusal(lab, web, "static.manifest")
    check("index.html" in reasons(lab, "web"), "the file is not named")


def test_wrong_boot_pcr(lab):
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    # The same software up to here, then something else that the boot measured.
    digest = "ab" * 32
    lab.tpm.extend(9, digest)
    lab.write("boot.log", lab.boot_log.bytes)
    lab.start_verifier()
    lab.start_assayd(web.application())
    assayd = lab.assayd
    assayd.wait_for("web: refused by the verifier", 40)
    check(lab.released() == [], f"released {lab.released()}")
    check(re.search(r"pcrs\.9|event_log", reasons(lab, "web")), reasons(lab, "web"))


def test_wrong_boot_pcr_with_a_log_that_says_so(lab):
    """The event log replays, but what was booted is not what the policy wants."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.boot_log.measure(9, b"another initrd", b"another initrd")
    lab.tpm.extend(9, lab.boot_log.extends[-1][1].hex())
    lab.write("boot.log", lab.boot_log.bytes)
    lab.start_verifier()
    lab.start_assayd(web.application())
    expect_static_refusal(lab, web, "platforms.tpm.pcrs.9")


def test_unknown_chip(lab):
    """A TPM whose EK certificate comes from a CA that the owner does not know."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    os.makedirs(lab.path("other"))
    other = Tpm(lab.path("other"))
    try:
        lab.write("ek-roots.pem", other.ek_roots())
        lab.start_verifier()
        assayd = lab.start_assayd(web.application())
        assayd.wait_for("enrolment refused by the verifier|refused the session", 40)
        time.sleep(1)
        check(lab.released() == [], f"released {lab.released()}")
        check(lab.rows("select count(*) from evidence where accepted = 1")[0][0] == 0,
              "evidence of an unknown chip was accepted")
        check(web.get() is None, "nginx runs")
    finally:
        other.stop()


def test_text_patched(lab):
    """The issue's main refusal: stage 3 stays closed for a program patched after stage 2."""
    machine(lab)
    worker = Worker(lab, pause_ms=2000)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 2: block 2", 60)
    worker.patch(until("pid", lambda: pid_of(lab, "worker")))
    assayd.wait_for("refused by the verifier: .*dynamic.code", 60)
    assayd.wait_for("worker: ended with status 1", 30)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))
    check("modified" in reasons(lab, "worker"), reasons(lab, "worker"))


def test_text_patched_and_reverted(lab):
    """The attacker writes the old bytes back before the next measurement: seen all the same."""
    machine(lab)
    worker = Worker(lab, pause_ms=2000)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 2: block 2", 60)
    pid = until("pid", lambda: pid_of(lab, "worker"))
    names = run("nm", worker.program).stdout
    offset = next(int(line.split()[0], 16) for line in names.splitlines()
                  if line.endswith(" process_chunk"))
    with open(worker.program, "rb") as f:
        data = f.read()
    # text is mapped at the same offset as in the file for this program's first segments
    with open(f"/proc/{pid}/maps") as f:
        base = next(int(line.split("-")[0], 16) for line in f
                    if line.rstrip().endswith(worker.program))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as mem:
        mem.seek(base + offset)
        old = mem.read(3)
        check(old in data, "the bytes are not the program's")
        mem.seek(base + offset)
        mem.write(b"\x31\xc0\xc3")
        mem.seek(base + offset)
        mem.write(old)
    assayd.wait_for("refused by the verifier: .*dynamic.code", 60)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))


def test_untouched_control(lab):
    """The same steps as text_patched without the patch: all four stages pass."""
    machine(lab)
    worker = Worker(lab, pause_ms=1000)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 2: block 2", 60)
    with open(f"/proc/{until('pid', lambda: pid_of(lab, 'worker'))}/maps") as f:
        f.read()
    assayd.wait_for("all stages done", 60)
    check(len(lab.released()) == 4, str(lab.released()))


def test_ld_preload(lab):
    machine(lab)
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    source = lab.write("extra.c", "int extra(void) { return 1; }\n")
    library = lab.path("extra.so")
    run("gcc", "-shared", "-fPIC", "-o", library, source)
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application(
        extra=f"    set_environment: {{LD_PRELOAD: {library}}}\n"))
    assayd.wait_for("refused by the verifier", 60)
    check(lab.released() == [], str(lab.released()))
    text = reasons(lab, "worker")
    check("dynamic.environment" in text and "LD_PRELOAD" in text, text)
    check("dynamic.code" in text and "extra.so" in text, text)


def test_new_listening_port(lab):
    machine(lab)
    script = lab.write("serve.py", """import socket, subprocess, sys, time
def stage(n):
    return subprocess.call([sys.argv[1], "stage", "begin", str(n), "--wait"])
if stage(1):
    sys.exit(1)
print("stage 1 passed", flush=True)
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(1)
print("stage 2:", stage(2), flush=True)
time.sleep(60)
""")
    python = os.path.realpath("/usr/bin/python3")
    assay = lab.public("assay")
    lab.secret("one", "1")
    lab.secret("two", "2")
    lab.measure("server", python, script, assay)
    lab.policy("server", """static: {manifest: server.mtree}
dynamic:
  listen: {allow: []}
  code: {files: any, modified_text: deny}
stages:
  - {stage: 1, after: dynamic, release: [one]}
  - {stage: 2, after: dynamic, release: [two]}
""")
    lab.start_verifier()
    assayd = lab.start_assayd(f"""  - name: server
    exec: [{python}, {script}, {assay}]
    user: nobody
    files: [{python}, {script}, {assay}]
    set_environment: {{ASSAY_SOCKET: {lab.path('run', 'app.sock')}}}
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{on: stage}}]
    stages: 2
    deliver: {{others: socket}}
""")
    assayd.wait_for("stage 1 passed", 60)
    assayd.wait_for(r"(?m)^stage 2: [1-9]", 60)
    check(lab.released() == ["one"], str(lab.released()))
    check("dynamic.listen" in reasons(lab, "server"), reasons(lab, "server"))


def test_foreign_caller_on_the_socket(lab):
    """root and others outside the application get nothing, and it is recorded."""
    machine(lab)
    worker = Worker(lab, pause_ms=3000)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 1: block 1", 60)
    done = lab.assay("secret", "get", "block-1-key", check=False)
    check(done.returncode != 0 and not done.stdout, f"got {done.stdout!r}")
    as_nobody = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups",
                                lab.public("assay"), "secret", "get", "--stage", "1"],
                               env=dict(os.environ, ASSAY_SOCKET=lab.path("run", "app.sock")),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    check(as_nobody.returncode != 0 and not as_nobody.stdout, f"got {as_nobody.stdout!r}")
    assayd.wait_for("belongs to no measured application", 5)
    until("the caller counted", lambda: lab.status("worker")["foreign_callers"] >= 2, 10)


def test_stage_out_of_order_is_refused_by_assayd(lab):
    machine(lab)
    assay = lab.public("assay")
    script = lab.write("jump.sh", f"""#!/bin/dash
{assay} stage begin 2 --wait
echo "jump: $?"
sleep 60
""", 0o755)
    tools = [script, "/bin/dash", assay, "/usr/bin/sleep"]
    lab.secret("one", "1")
    lab.secret("two", "2")
    lab.measure("jump", *tools)
    lab.policy("jump", """static: {manifest: jump.mtree}
dynamic:
  listen: {allow: []}
stages:
  - {stage: 1, after: dynamic, release: [one]}
  - {stage: 2, after: dynamic, release: [two]}
""")
    lab.start_verifier()
    assayd = lab.start_assayd(f"""  - name: jump
    exec: [{script}]
    user: nobody
    files: [{", ".join(tools)}]
    set_environment: {{ASSAY_SOCKET: {lab.path('run', 'app.sock')}}}
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{on: stage}}]
    stages: 2
    deliver: {{others: socket}}
""")
    assayd.wait_for("jump: [1-9]", 60)
    check(lab.released() == [], str(lab.released()))


def test_latch_until_readmitted(lab):
    """After a refusal nothing is released, not to a fresh start either, until the owner says so."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    page = f"{web.dir}/html/index.html"
    good = open(page).read()
    open(page, "a").write("changed\n")
    lab.start_verifier()
    assayd = lab.start_assayd(web.application())
    assayd.wait_for("web: refused by the verifier", 40)
    open(page, "w").write(good)
    assayd.stop()
    assayd = lab.start_assayd(web.application())
    assayd.wait_for("web: refused by the verifier: .*release.latched", 40)
    check(lab.released() == [], str(lab.released()))
    lab.fleet("readmit", "web")
    until("nginx serving after readmission", web.get, 40)
    check(lab.released() == ["tls-key"], str(lab.released()))


def test_soft_is_refused_by_a_policy_that_does_not_name_it(lab):
    lab.with_tpm()  # the policy names the TPM; the attester comes with a key file
    lab.pki()
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    chip = f"attester: soft\nsoft: {{key: {lab.path('soft.key')}}}\n"
    assayd = lab.start_assayd(worker.application(), chip=chip)
    assayd.wait_for("INSECURE", 20)
    assayd.wait_for("refused by the verifier|refused the session|enrolment refused", 40)
    check(lab.released() == [], str(lab.released()))


def test_wrong_verifier_certificate(lab):
    machine(lab)
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=Somebody else", "-keyout", lab.path("other.key"), "-out",
        lab.path("other.pem"))
    assayd = lab.start_assayd(
        worker.application(),
        verifier=f"{{address: 127.0.0.1:{lab.port}, ca: {lab.path('other.pem')}}}")
    assayd.wait_for("certificate is not accepted", 20)
    check(lab.rows("select count(*) from evidence")[0][0] == 0, "evidence was sent")
    lab.in_state("worker", "waiting")


def test_assayd_killed(lab):
    """kill -9: no orphans unnoticed, a new run after restart, no secret twice for one nonce."""
    machine(lab)
    worker = Worker(lab, pause_ms=60000)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 1: block 1", 60)
    old = until("pid", lambda: pid_of(lab, "worker"))
    os.kill(assayd.pid, signal.SIGKILL)
    assayd.popen.wait(20)
    check(os.path.exists(f"/proc/{old}"), "the application went with assayd")
    worker.pause_ms = 0
    size = len(assayd.text())
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("left by an earlier assayd", 20, since=size)
    until("the old process ended", lambda: not os.path.exists(f"/proc/{old}"), 10)
    assayd.wait_for("all stages done", 60, since=size)
    twice = lab.rows("select count(*) from (select e.nonce, r.name from releases r join evidence e "
                     "on r.evidence_id = e.id group by 1, 2 having count(*) > 1)")
    check(twice[0][0] == 0, "a secret was released twice for one nonce")
    runs = lab.rows("select count(distinct run_id) from evidence")[0][0]
    check(runs == 2, f"{runs} runs")


def test_verifier_killed_between_stages(lab):
    machine(lab)
    worker = Worker(lab, pause_ms=3000, blocks=3)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 1: block 1", 60)
    lab.verifier.kill()
    lab.start_verifier()
    assayd.wait_for("all stages done", 90)
    check(lab.released() == ["block-1-key", "block-2-key", "block-3-key"], str(lab.released()))
    done = lab.assay("log", "verify", "--store", lab.path("verifier.db"), check=False)
    check(done.returncode == 0, done.stdout + done.stderr)


def test_garbage_on_the_port(lab):
    """Somebody sends the verifier rubbish; it lives on and serves the next."""
    machine(lab)
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    verifier = lab.start_verifier()
    for data in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\xff\xff" + bytes(70000)):
        with socket.create_connection(("127.0.0.1", lab.port), 5) as s:
            s.sendall(data)
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("all stages done", 60)
    check(verifier.popen.poll() is None, "the verifier is gone")


def test_bad_configuration(lab):
    """file, line and what was expected; exit status 2; nothing started."""
    lab.pki()
    good = f"""verifier: {{address: "127.0.0.1:1", ca: {lab.path('ca.pem')}}}
attester: soft
soft: {{key: {lab.path('k')}}}
applications:
  - name: a
    exec: [/bin/true]
"""
    for text, line, word in (
            (good.replace("attester", "atester"), 2, "atester"),
            (good.replace("[/bin/true]", "[bin/true]"), 6, "exec"),
            (good + "    time_nodes: [{every: soon}]\n", 7, "every"),
            (good + "    stages: many\n", 7, "stages")):
        path = lab.write("bad.yaml", text)
        done = run(lab.program("assayd"), "--config", path, check=False)
        check(done.returncode == 2, f"exit {done.returncode}: {text}\n{done.stderr}")
        check(f"bad.yaml:{line}:" in done.stderr and word in done.stderr,
              f"expected line {line} and {word}: {done.stderr}")
    done = run(lab.program("assayd"), "--config", lab.write("good.yaml", good), "--check",
               check=False)
    check(done.returncode == 0, done.stderr)


def test_missing_things_are_clear_errors(lab):
    lab.pki()
    app = "applications:\n  - name: a\n    exec: [/nonexistent/program]\n    user: nobody\n"
    no_tpm = (f"verifier: {{address: \"127.0.0.1:1\", ca: {lab.path('ca.pem')}}}\nattester: tpm\n"
              f"tpm: {{tcti: \"swtpm:path={lab.path('none.sock')}\"}}\nnet_user: nobody\n"
              f"runtime_directory: {lab.path('run')}\nstate_directory: {lab.path('state')}\n"
              f"socket: {lab.path('run', 'app.sock')}\n{app}")
    done = run(lab.program("assayd"), "--config", lab.write("a.yaml", no_tpm), check=False)
    check(done.returncode == 3 and "tpm" in done.stderr.lower(), done.stderr)


def test_missing_program(lab):
    machine(lab)
    lab.policy("gone", "static: {manifest: gone.mtree}\n")
    lab.measure("gone", "/bin/true")
    lab.start_verifier()
    assayd = lab.start_assayd("  - name: gone\n    exec: [/nonexistent/program]\n    user: nobody\n"
                              "    measure: {static: true, dynamic: false}\n")
    assayd.wait_for("/nonexistent/program.*No such file", 20)
    check(assayd.popen.poll() is None, "assayd ended")


def test_program_that_comes_late(lab):
    """What is missing may come back: it is tried again, measured and started then."""
    machine(lab)
    program = lab.path("late")
    shutil.copy("/bin/sleep", program)
    lab.measure("late", program)
    lab.policy("late", "static: {manifest: late.mtree}\n")
    os.rename(program, program + ".away")
    lab.start_verifier()
    assayd = lab.start_assayd(f"  - name: late\n    exec: [{program}, \"60\"]\n    user: nobody\n"
                              "    measure: {static: true, dynamic: false}\n")
    assayd.wait_for(f"{program}: cannot be measured: No such file", 20)
    lab.in_state("late", "failed")
    os.rename(program + ".away", program)
    lab.in_state("late", "running", 30)
