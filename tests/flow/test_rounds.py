# SPDX-License-Identifier: Apache-2.0
"""Real applications, measured by a real TPM, given their secrets."""
import json
import os
import re

from lab import Failure, free_port, run, until
from programs import REDIS, Nginx, Worker


def check(condition, what):
    if not condition:
        raise Failure(what)


def machine(lab):
    lab.with_tpm()
    lab.pki()


def accepted(lab, application, kind):
    return lab.rows(f"select count(*) from evidence where application = '{application}' "
                    f"and kind = '{kind}' and accepted = 1")[0][0]


def none_refused(lab, application):
    """Every measurement of an application that nobody touched was accepted."""
    rows = lab.rows(f"select sequence, reasons from evidence where application = '{application}' "
                    "and accepted = 0")
    check(rows == [], f"{application} was refused: {rows}")


def test_nginx_static_then_dynamic(lab):
    """A1 to A8, then B1 to B8 while nginx serves with the released key."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(web.application())
    page = until("nginx serving HTTPS", web.get, 40)
    check("measured nginx" in page, f"another page: {page}")
    check(lab.released() == ["tls-key"], f"released {lab.released()}")
    until("three dynamic measurements accepted", lambda: accepted(lab, "web", "dynamic") >= 3, 30)
    none_refused(lab, "web")
    for step in ("A1", "A2", "A3", "A4", "A5", "A7", "A8", "B1", "B2", "B3", "B4", "B5", "B6",
                 "B8", "B11"):
        assayd.wait_for(rf"assayd: {step} +web:", 5)
    for step in ("A4", "A5", "A6", "A7", "B7", "B8", "B9"):
        lab.verifier.wait_for(rf"assay-verifierd: {step} +web:", 5)
    status = lab.status("web")
    check(status["state"] == "running" and status["verdict"] == "accepted", str(status))
    # The key itself is nowhere but where it was delivered: not in logs, not in the store.
    key = open(web.key).read().splitlines()[1]
    check(key not in assayd.text() and key not in lab.verifier.text(), "the key is in a log")
    check(key.encode() not in open(lab.path("verifier.db"), "rb").read(), "the key is in the store")
    until("one receipt", lambda: lab.rows("select count(*) from receipts")[0][0] == 1, 30)


def test_redis_dynamic_only(lab):
    """An application that is measured while it runs, with nothing that hangs on it."""
    machine(lab)
    port = free_port()
    lab.measure("cache", REDIS)
    lab.policy("cache", f"""static: {{manifest: cache.mtree}}
dynamic:
  code: {{files: manifest, modified_text: deny, anonymous: deny}}
  listen: {{allow: ["tcp/127.0.0.1:{port}"]}}
  start_time: {{unchanged: true}}
  cpu: {{share: {{max: 2.0}}}}
  traffic: {{sent_per_second: {{max: 10MiB}}}}
""")
    lab.start_verifier()
    lab.start_assayd(f"""  - name: cache
    exec: [{REDIS}, --port, "{port}", --bind, 127.0.0.1, --save, "", --dir, /tmp]
    user: nobody
    files: [{REDIS}]
    measure: {{static: false, dynamic: true}}
    time_nodes: [{{at: start}}, {{every: 500ms}}, {{on: demand}}]
""")
    until("redis answering", lambda: "PONG" in run("redis-cli", "-p", port, "ping",
                                                   check=False).stdout, 20)
    until("dynamic measurements accepted", lambda: accepted(lab, "cache", "dynamic") >= 4, 30)
    none_refused(lab, "cache")
    check(accepted(lab, "cache", "static") == 0, "there was a static measurement")


def test_four_stages_of_blocks(lab):
    """S_1 to S_4, each after its own measurement, each block opened with its key."""
    machine(lab)
    worker = Worker(lab)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("all stages done", 60)
    check(lab.released() == [f"block-{i}-key" for i in range(1, 5)], str(lab.released()))
    stages = [row[0] for row in lab.rows("select stage from evidence where application = 'worker' "
                                         "and stage > 0 order by id")]
    check(stages == [1, 2, 3, 4], f"measured stages {stages}")
    # Each stage's Claims have a nonce and a channel key of their own.
    keys = lab.rows("select count(distinct nonce) from evidence where stage > 0")[0][0]
    check(keys == 4, f"{keys} nonces for four stages")
    until("four receipts", lambda: len(lab.rows("select * from receipts")) == 4, 30)


def test_redis_in_four_stages(lab):
    """An unmodified redis under a script: a secret a stage through `assay secret get`."""
    machine(lab)
    port = free_port()
    for i in range(1, 5):
        lab.secret(f"part-{i}", f"value of part {i}\n")
    assay = lab.public("assay")
    socket = lab.path("run", "app.sock")
    script = lab.write("stages.sh", f"""#!/bin/dash
{REDIS} --port {port} --bind 127.0.0.1 --save '' --dir /tmp --daemonize no &
until redis-cli -p {port} ping >/dev/null 2>&1; do sleep 0.1; done
export ASSAY_SOCKET={socket}
for i in 1 2 3 4; do
	{assay} stage begin $i --wait || exit 1
	{assay} secret get part-$i | redis-cli -x -p {port} set part-$i || exit 1
done
echo all parts are in redis
wait
""", 0o755)
    tools = ["/usr/bin/redis-cli", "/bin/dash", "/usr/bin/sleep", assay, script, REDIS]
    lab.measure("parts", *tools)
    stages = "".join(f"  - {{stage: {i}, after: dynamic, release: [part-{i}]}}\n"
                     for i in range(1, 5))
    lab.policy("parts", f"""static: {{manifest: parts.mtree}}
dynamic:
  code: {{files: manifest, modified_text: deny, anonymous: deny}}
  listen: {{allow: ["tcp/127.0.0.1:{port}"]}}
stages:
{stages}""")
    lab.start_verifier()
    assayd = lab.start_assayd(f"""  - name: parts
    exec: [{script}]
    user: nobody
    files: [{", ".join(tools)}]
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{on: stage}}, {{every: 1s}}, {{on: demand}}]
    stages: 4
    deliver: {{others: socket}}
""")
    assayd.wait_for("all parts are in redis", 60)
    for i in range(1, 5):
        got = run("redis-cli", "-p", port, "get", f"part-{i}").stdout.strip()
        check(got.startswith(f"value of part {i}"), f"part {i}: {got}")
    check(lab.released() == [f"part-{i}" for i in range(1, 5)], str(lab.released()))


def test_several_applications_at_once(lab):
    machine(lab)
    web, worker = Nginx(lab), Worker(lab)
    for program in (web, worker):
        program.measure()
        program.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(web.application() + worker.application())
    assayd.wait_for("all stages done", 60)
    until("nginx serving HTTPS", web.get, 40)
    names = sorted(lab.released())
    check(names == ["block-1-key", "block-2-key", "block-3-key", "block-4-key", "tls-key"],
          str(names))


def test_one_report_covers_several(lab):
    """report: every 3: chained measurements under one signature, none of them missing."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    text = open(lab.path("web.yaml")).read()
    lab.write("web.yaml", text.replace("version: 1\n", "version: 1\nreport_every: {max: 3}\n"))
    lab.start_verifier()
    lab.start_assayd(web.application(nodes="[{every: 300ms, report: every 3}]"))
    until("nine measurements accepted", lambda: accepted(lab, "web", "dynamic") >= 9, 40)
    rows = lab.rows("select sequence from evidence where application = 'web' order by id")
    sequences = [row[0] for row in rows]
    check(sequences == list(range(1, len(sequences) + 1)), f"sequence {sequences}")
    # Three measurements, one signature: as many nonces as reports.
    signed = lab.rows("select count(*) from evidence where application = 'web' and kind = 'dynamic'"
                      " and length(nonce) > 0")[0][0]
    check(signed * 3 <= len(sequences) + 2, f"{signed} reports for {len(sequences)} measurements")


def test_raw_measurement(lab):
    """measurement: raw: M is the MI itself."""
    machine(lab)
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application(extra="    measurement: raw\n"))
    assayd.wait_for("all stages done", 60)
    check("M = MI" in assayd.text(), "M was a hash")
    check(lab.released() == ["block-1-key"], str(lab.released()))


def test_mi_on_a_second_connection(lab):
    machine(lab)
    worker = Worker(lab, blocks=2)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application(), extra="mi_channel: separate\n")
    assayd.wait_for("all stages done", 60)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))


def test_verifier_dials(lab):
    """listen mode: the verifier opens the connection, the attester is the TLS client all the same."""
    machine(lab)
    worker = Worker(lab, blocks=2)
    worker.measure()
    worker.policy()
    assayd = lab.start_assayd(
        worker.application(),
        verifier=f"{{listen: \"127.0.0.1:{lab.port}\", name: 127.0.0.1, ca: {lab.path('ca.pem')}}}")
    lab.start_verifier(f"dial: [\"127.0.0.1:{lab.port}\"]\n", listen=False)
    assayd.wait_for("all stages done", 60)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))


def test_measured_while_the_verifier_is_away(lab):
    """Measurements go on, are queued, sent later, judged, and release nothing."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(web.application(nodes="[{every: 300ms}]"))
    until("a dynamic measurement", lambda: accepted(lab, "web", "dynamic") >= 1, 40)
    lab.verifier.stop()
    until("evidence queued", lambda: (lab.status("web") or {}).get("queued", 0) >= 3, 20)
    before = accepted(lab, "web", "dynamic")
    lab.start_verifier()
    until("the queue drained", lambda: lab.status("web")["queued"] == 0 and
          accepted(lab, "web", "dynamic") >= before + 3, 30)
    none_refused(lab, "web")
    check(lab.released() == ["tls-key"], str(lab.released()))
    offline = lab.rows("select count(*) from evidence where application = 'web' and "
                       "kind = 'dynamic' and length(nonce) = 0")[0][0]
    check(offline >= 3, f"{offline} measurements without a session")


def test_delivery_by_argument_and_environment(lab):
    """Programs that cannot be changed: secrets on the command line and in the environment."""
    machine(lab)
    lab.secret("api-token", "tok-123")
    lab.secret("db-pass", "pw-456")
    script = lab.write("show.sh", "#!/bin/dash\necho \"got $1 and $DB_PASS\"\nexec sleep 60\n",
                       0o755)
    tools = [script, "/bin/dash", "/usr/bin/sleep"]
    lab.measure("legacy", *tools)
    lab.policy("legacy", """static: {manifest: legacy.mtree}
stages:
  - {stage: 1, after: static, release: [db-pass]}
""")
    lab.policy("legacy2", """static: {manifest: legacy.mtree}
stages:
  - {stage: 1, after: static, release: [api-token]}
""")
    common = f"""    user: nobody
    files: [{", ".join(tools)}]
    measure: {{static: true, dynamic: false}}
    stages: 1
"""
    lab.start_verifier()
    assayd = lab.start_assayd(
        f"  - name: legacy\n    exec: [{script}, plain]\n{common}"
        "    deliver: {stage_1: environment}\n"
        f"  - name: legacy2\n    exec: [{script}, \"{{secret:api-token}}\"]\n{common}"
        "    deliver: {stage_1: argument}\n")
    assayd.wait_for("got plain and pw-456", 40)
    assayd.wait_for("got tok-123 and", 40)


def test_policy_check_agrees_with_the_verifier(lab):
    """`assay policy check` judges a recorded MI as the verifier did, and fails it when it is changed."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.start_verifier()
    lab.start_assayd(web.application())
    until("nginx serving HTTPS", web.get, 40)
    listening = accepted(lab, "web", "dynamic") + 2  # measured after it began to listen
    until("dynamic measurements", lambda: accepted(lab, "web", "dynamic") >= listening, 40)
    mi = lab.rows("select mi from evidence where application = 'web' and kind = 'dynamic' "
                  "and accepted = 1 order by id desc limit 1")[0][0]
    path = lab.write("web.mi", mi)
    good = lab.assay("policy", "check", lab.path("web.yaml"), "--mi", path, "--json", check=False)
    check(good.returncode == 0, good.stdout + good.stderr)
    text = open(lab.path("web.yaml")).read()
    lab.write("strict.yaml", re.sub(r"listen: .*", "listen: {allow: []}", text))
    bad = lab.assay("policy", "check", lab.path("strict.yaml"), "--mi", path, "--json", check=False)
    check(bad.returncode == 1 and "dynamic.listen" in bad.stdout, bad.stdout + bad.stderr)
    json.loads(bad.stdout)


def test_status_and_log(lab):
    machine(lab)
    worker = Worker(lab, blocks=1)
    worker.measure()
    worker.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("all stages done", 60)
    done = lab.assay("log", "verify", "--store", lab.path("verifier.db"), check=False)
    check(done.returncode == 0, done.stdout + done.stderr)
    done = lab.assay("log", "show", "--json", "--store", lab.path("verifier.db"), check=False)
    check(done.returncode == 0, done.stdout + done.stderr)
    json.loads(done.stdout)


def test_queue_overflows_while_the_verifier_is_away(lab):
    """The oldest are dropped, the next Claims say so, and nothing is refused for it."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(web.application(nodes="[{every: 200ms}]"), extra="queue: 4\n")
    until("a dynamic measurement", lambda: accepted(lab, "web", "dynamic") >= 1, 40)
    lab.verifier.stop()
    assayd.wait_for("measurements dropped", 30)
    lab.start_verifier()
    before = accepted(lab, "web", "dynamic")
    until("measurements in the new session", lambda: lab.rows(
        "select count(*) from evidence where application = 'web' and accepted = 1 and "
        "length(nonce) > 0")[0][0] >= 4 and accepted(lab, "web", "dynamic") > before + 4, 30)
    none_refused(lab, "web")
    sequences = [row[0] for row in lab.rows("select sequence from evidence order by id")]
    check(sequences != list(range(1, len(sequences) + 1)), "nothing was dropped")


def test_last_measurements_of_a_run_are_reported(lab):
    """report: every N: an unfinished batch gets its chip report when the application ends."""
    machine(lab)
    lab.measure("short", "/bin/sleep")
    lab.policy("short", """report_every: {max: 1000}
static: {manifest: short.mtree}
dynamic:
  start_time: {unchanged: true}
""")
    lab.start_verifier()
    assayd = lab.start_assayd("""  - name: short
    exec: [/bin/sleep, "2"]
    user: nobody
    measure: {static: false, dynamic: true}
    time_nodes: [{every: 200ms, report: every 1000}]
""")
    assayd.wait_for("short: ended with status 0", 20)
    nodes = int(re.findall(r"time node (\d+)", assayd.text())[-1])
    until("all measurements recorded", lambda: accepted(lab, "short", "dynamic") == nodes, 20)
    check(nodes >= 5, f"{nodes} nodes")


def test_frozen_until_readmitted(lab):
    """on_refusal: freeze; the owner mends the policy's cause and readmits."""
    machine(lab)
    web = Nginx(lab)
    web.measure()
    web.policy(extra="  disk: {used: {max: 1MiB}}\n")
    big = f"{web.dir}/var/big"
    lab.start_verifier()
    assayd = lab.start_assayd(web.application(
        nodes="[{every: 500ms}, {on: demand}]",
        extra=f"    on_refusal: freeze\n    storage: [{web.dir}/var]\n"))
    until("nginx serving", web.get, 40)
    with open(big, "wb") as f:
        f.write(bytes(2 << 20))
    assayd.wait_for("refused by the verifier: .*dynamic.disk", 30)
    until("nginx frozen", lambda: web.get() is None, 10)
    os.unlink(big)
    lab.fleet("readmit", "web")
    until("nginx serving again", web.get, 20)


def test_soft_for_development(lab):
    """A key file in place of a chip: the whole way, marked insecure in every output."""
    lab.pki()
    worker = Worker(lab, blocks=2)
    worker.measure()
    worker.policy()
    verifier = lab.start_verifier()
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("all stages done", 60)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))
    check(assayd.text().count("INSECURE") >= 4, "assayd does not say that it proves nothing")
    check("INSECURE" in verifier.text() or "insecure" in verifier.text(), "the verifier does not")
    check(lab.status("worker") is None or lab.status("worker")["insecure"], "the status does not")
    listed = lab.fleet("list", "--json").stdout
    check("insecure" in listed, listed)


def test_applications_measured_while_the_verifier_is_away(lab):
    """Their reports are made in one order and come in another: none is refused for that."""
    machine(lab)
    ports = {f"cache{i}": free_port() for i in range(4)}
    applications = ""
    for name, port in ports.items():
        lab.measure(name, REDIS)
        lab.policy(name, f"static: {{manifest: {name}.mtree}}\n"
                         "dynamic: {start_time: {unchanged: true}}\n")
        applications += f"""  - name: {name}
    exec: [{REDIS}, --port, "{port}", --bind, 127.0.0.1, --save, "", --dir, /tmp]
    user: nobody
    files: [{REDIS}]
    measure: {{static: false, dynamic: true}}
    time_nodes: [{{every: 300ms, jitter: 100ms}}]
"""
    assayd = lab.start_assayd(applications)
    for name in ports:
        assayd.wait_for(f"B4 +{name}: ", 60)
        assayd.wait_for(f"time node 3: .*|B3 +{name}: .*time node 3", 60)
    lab.start_verifier()
    for name in ports:
        until(f"{name} accepted", lambda: accepted(lab, name, "dynamic") >= 6, 60)
        none_refused(lab, name)
