# SPDX-License-Identifier: Apache-2.0
"""What the benches of a whole assayd share: a measured nginx under a TPM (swtpm) and a verifier,
and the machine in words."""
import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

from lab import Failure, Lab, until  # noqa: E402
from programs import Nginx, have  # noqa: E402

# Rules of a kind that every build of nginx passes: this is about cost, not about verdicts.
POLICY = """static: {manifest: web.mtree}
dynamic:
  code: {files: manifest, modified_text: deny, anonymous: deny}
  memory: {resident: {max: 512MiB}}
  start_time: {unchanged: true}
stages:
  - {stage: 1, after: static, release: [tls-key]}
"""


@contextlib.contextmanager
def measured_nginx(build, nodes):
    """A lab in which nginx (a master, two workers) runs and is measured at nodes."""
    if os.geteuid() != 0:
        raise Failure("needs root")
    if not have("nginx", "swtpm", "swtpm_setup", "openssl", "curl"):
        raise Failure("needs nginx, swtpm, swtpm_setup, openssl and curl")
    with Lab(build) as lab:
        lab.with_tpm()
        lab.pki()
        web = Nginx(lab)
        web.measure()
        lab.policy("web", POLICY)
        lab.start_verifier()
        lab.start_assayd(web.application(nodes))
        until("nginx serving HTTPS", web.get, 60)
        until("a dynamic measurement judged good", lambda: accepted(lab) > 0, 30)
        yield lab


def accepted(lab):
    """Dynamic measurements so far that were judged good."""
    return lab.rows("select count(*) from evidence where kind = 'dynamic' and accepted = 1")[0][0]


def monitor_and_net(lab):
    """The pids of assayd's two processes."""
    monitor = lab.assayd.pid
    with open(f"/proc/{monitor}/task/{monitor}/children") as f:
        children = [int(pid) for pid in f.read().split()]
    for pid in children:
        with open(f"/proc/{pid}/comm") as f:
            if f.read().strip() == "assayd-net":
                return monitor, pid
    raise Failure("assayd has no net process")


def machine():
    """What a figure depends on."""
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"kernel": os.uname().release, "cpu": f"{os.cpu_count()} x {model}",
            "date": time.strftime("%Y-%m-%d"),
            "load_average": [round(x, 2) for x in os.getloadavg()]}


def machine_text(m):
    return (f"{m['date']}, kernel {m['kernel']}, {m['cpu']}, load average "
            + " ".join(map(str, m["load_average"])))
