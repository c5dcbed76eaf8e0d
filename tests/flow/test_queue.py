# SPDX-License-Identifier: Apache-2.0
"""What was measured while the verifier was away, and more of it than the queue holds."""
from lab import Failure, until
from programs import Nginx


def check(condition, what):
    if not condition:
        raise Failure(what)


def count(lab, where):
    return lab.rows(f"select count(*) from evidence where application = 'web' and {where}")[0][0]


def test_overflow_is_explained_by_the_next_session(lab):
    """What was dropped leaves a gap in the queue; the chain goes on, and nothing latches."""
    lab.with_tpm()
    lab.pki()
    web = Nginx(lab)
    web.measure()
    web.policy()
    lab.start_verifier()
    assayd = lab.start_assayd(web.application(nodes="[{every: 300ms}]"), extra="queue: 3\n")
    until("a dynamic measurement", lambda: count(lab, "accepted = 1 and kind = 'dynamic'") >= 1, 40)
    lab.verifier.stop()
    assayd.wait_for("measurements dropped", 30)
    last = lab.rows("select max(id) from evidence")[0][0]
    lab.start_verifier()
    until("a measurement of the new session",
          lambda: count(lab, f"accepted = 1 and length(nonce) > 0 and id > {last}") >= 2, 30)
    check(count(lab, f"length(nonce) = 0 and id > {last}") >= 3, "the queue did not come")
    check(count(lab, "accepted = 0") == 0, "evidence was refused")
    missing, dropped = lab.rows("select missing, dropped from runs")[0]
    check(0 < missing <= dropped, f"{missing} missing, {dropped} dropped")
    check(lab.rows("select count(*) from latches")[0][0] == 0, "latched")
    check(lab.fleet("list", check=False).returncode == 0, "assay fleet list is not well")
