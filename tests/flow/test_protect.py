# SPDX-License-Identifier: Apache-2.0
"""`protect` where the kernel may or may not ask BPF LSM: said in words, in MI and to the policy.
What is refused where it does is tested in a virtual machine (tests/run lab)."""
from lab import until
from programs import Worker
from test_refusals import reasons
from test_rounds import check, machine


def protects():
    with open("/proc/kallsyms") as f:
        known = any(" bpf_lsm_file_open" in line for line in f)
    try:
        with open("/sys/kernel/security/lsm") as f:
            return known and "bpf" in f.read().strip().split(",")
    except OSError:
        return False


def started(lab, extra, rules):
    machine(lab)
    worker = Worker(lab, pause_ms=1000)
    worker.measure()
    worker.policy(extra=rules)
    lab.start_verifier()
    return lab.start_assayd(worker.application(nodes="[{on: stage}]"), extra=extra)


def test_required_or_not_started(lab):
    assayd = started(lab, "protect: [self]\nprotect_required: true\n", "")
    if protects():
        assayd.wait_for("stage 1: block 1", 60)
        return
    until("assayd to give up", lambda: assayd.popen.poll() is not None, 60)
    check(assayd.popen.returncode == 3, f"ended with {assayd.popen.returncode}")
    check("protect_required: " in assayd.text() and "bpf in lsm=" in assayd.text(), assayd.text())


def test_a_policy_that_wants_it(lab):
    assayd = started(lab, "protect: [self, files, chip]\n", "  kernel: {guard: [self, chip]}\n")
    if protects():
        assayd.wait_for("stage 1: block 1", 60)
        return
    assayd.wait_for("nothing is protected: .*bpf in lsm=", 60)
    assayd.wait_for("refused by the verifier: .*dynamic.kernel.guard", 60)
    check("dynamic.kernel.guard" in reasons(lab, "worker"), reasons(lab, "worker"))
    check(lab.released() == [], str(lab.released()))


def test_a_policy_that_does_not_want_it(lab):
    assayd = started(lab, "protect: [self, files, chip]\n", "  kernel: {lost: {max: 0}}\n")
    assayd.wait_for("stage 1: block 1", 60)
