# SPDX-License-Identifier: Apache-2.0
"""What assayd noticed is in the chip's register before anybody can take it back."""
from lab import free_port, until
from programs import REDIS, Worker
from test_refusals import pid_of, reasons
from test_rounds import check, machine


def reach_into(pid):
    """One byte of the application's memory, read by another process."""
    with open(f"/proc/{pid}/maps") as f:
        start = int(f.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.seek(start)
        f.read(1)


def watched(lab, extra="  kernel: {foreign_access: deny}\n"):
    worker = Worker(lab, pause_ms=3000)
    worker.measure()
    worker.policy(extra=extra)
    return worker


def test_a_violation_outlives_assayd(lab):
    """assayd is killed before it can report: the register tells the verifier all the same."""
    machine(lab)
    worker = watched(lab)
    lab.start_verifier()
    # No time node but those of the stages: nothing else would carry it out.
    assayd = lab.start_assayd(worker.application(nodes="[{on: stage}]"))
    assayd.wait_for("stage 1: block 1", 60)
    reach_into(until("pid", lambda: pid_of(lab, "worker")))
    assayd.wait_for("violation is in the chip's runtime register: foreign_access", 30)
    assayd.kill()
    assayd = lab.start_assayd(worker.application(nodes="[{on: stage}]"))
    assayd.wait_for("refused by the verifier: .*runtime.violation", 60)
    check(lab.released() == ["block-1-key"], str(lab.released()))
    # Readmitted, it is a new run, and the register's past is known.
    lab.fleet("readmit", "worker")
    until("stage 2 of the next run", lambda: "block-2-key" in lab.released(), 60)


def test_a_violation_comes_with_another_applications_evidence(lab):
    """The verifier closes an application whose own evidence it has not seen."""
    machine(lab)
    worker = watched(lab)
    port = free_port()
    lab.measure("cache", REDIS)
    lab.policy("cache", "static: {manifest: cache.mtree}\ndynamic: {start_time: {unchanged: true}}\n")
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application(nodes="[{on: stage}]") + f"""  - name: cache
    exec: [{REDIS}, --port, "{port}", --bind, 127.0.0.1, --save, "", --dir, /tmp]
    user: nobody
    files: [{REDIS}]
    measure: {{static: false, dynamic: true}}
    time_nodes: [{{every: 500ms}}]
""")
    assayd.wait_for("stage 1: block 1", 60)
    reach_into(until("pid", lambda: pid_of(lab, "worker")))
    lab.verifier.wait_for("worker: refused: the chip's runtime register has a violation: "
                          "foreign_access", 60)
    # Whatever comes of it afterwards, nothing more is released to it.
    assayd.wait_for("worker: ended with status 1", 60)
    check(not {"block-3-key", "block-4-key"} & set(
        row[0] for row in lab.rows("select r.name from releases r join evidence e on "
                                   "e.id = r.evidence_id where e.application = 'worker'")),
          str(lab.released()))
    check(lab.rows("select application from latches") == [("worker",)], "the other is latched too")


def test_a_violation_that_the_policy_allows(lab):
    """The negative control: the same reach, under a policy that does not mind."""
    machine(lab)
    worker = watched(lab, extra="  kernel: {foreign_access: allow}\n")
    lab.start_verifier()
    assayd = lab.start_assayd(worker.application(nodes="[{on: stage}]"))
    assayd.wait_for("stage 1: block 1", 60)
    reach_into(until("pid", lambda: pid_of(lab, "worker")))
    assayd.wait_for("violation is in the chip's runtime register: foreign_access", 30)
    until("stage 3", lambda: "block-3-key" in lab.released(), 60)
    check("violation" not in reasons(lab, "worker"), reasons(lab, "worker"))


def test_readmission_forgives_what_was_refused(lab):
    """Its counters go on counting; what they had counted before it is not held against it again."""
    lab.pki()
    port = free_port()
    lab.measure("cache", REDIS)
    lab.policy("cache", "static: {manifest: cache.mtree}\ndynamic: {kernel: {foreign_access: deny}}\n")
    lab.start_verifier()
    lab.start_assayd(f"""  - name: cache
    exec: [{REDIS}, --port, "{port}", --bind, 127.0.0.1, --save, "", --dir, /tmp]
    user: nobody
    files: [{REDIS}]
    measure: {{static: false, dynamic: true}}
    time_nodes: [{{on: demand}}]
""")
    lab.in_state("cache", "running", 60)
    pid = pid_of(lab, "cache")

    def verdict(number, order):
        """The verdict on the measurement of that number, which the order asks for."""
        lab.fleet(order, "cache")
        return until(f"measurement {number}", lambda: lab.rows(
            f"select accepted, reasons from evidence where sequence = {number}"), 60)[0]

    check(verdict(1, "demand")[0] == 1, "refused before anybody reached into it")
    for number in (2, 4):
        reach_into(pid)
        accepted, reasons_text = verdict(number, "demand")
        check(not accepted and "dynamic.kernel.foreign_access" in reasons_text, reasons_text)
        accepted, reasons_text = verdict(number + 1, "readmit")
        check(accepted == 1, f"readmitted, and refused again: {reasons_text}")
