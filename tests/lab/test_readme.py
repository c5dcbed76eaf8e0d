# SPDX-License-Identifier: Apache-2.0
"""The commands of the README's section "In a confidential VM", word for word."""
import os
import re
import signal
import subprocess
import time

from lab import SOURCE, Failure

LIMIT = 400  # seconds; about 80 on an idle machine
DONE = "stage 4 worker: released"


def commands():
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
        section = f.read().split("\n## In a confidential VM\n")[1].split("\n## ")[0]
    return re.search(r"^```sh\n(.*?)^```$", section, re.S | re.M).group(1)


def test_as_in_the_readme(owner):
    """Run in a folder that looks like a checkout that was built; ended once all is released."""
    checkout = owner.path("checkout")
    os.makedirs(os.path.join(checkout, "build", "release"))
    os.symlink(os.path.join(SOURCE, "packaging"), os.path.join(checkout, "packaging"))
    os.symlink(os.path.dirname(owner.program("assayd")),
               os.path.join(checkout, "build", "release", "bin"))
    said = owner.path("console")
    begin = time.monotonic()
    with open(said, "wb") as log:
        shell = subprocess.Popen(["bash", "-eu", "-c", commands()], cwd=checkout, stdout=log,
                                 stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            text = ""
            while DONE not in text:
                if shell.poll() is not None or time.monotonic() - begin > LIMIT:
                    raise Failure("not all was released: " + text[:3000] + "\n…\n" + text[-1500:])
                time.sleep(0.5)
                with open(said, encoding="utf-8", errors="replace") as f:
                    text = f.read()
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    for stage in range(1, 5):
        if f"stage {stage} worker: released" not in text:
            raise Failure(f"stage {stage} was not released")


TESTS = [test_as_in_the_readme]
