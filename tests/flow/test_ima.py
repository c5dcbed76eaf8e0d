# SPDX-License-Identifier: Apache-2.0
"""IMA as a second witness: the kernel's list, proven by PCR 10, against what assayd measured. The
list and the register are made here, so that it works on kernels without IMA; a kernel's own is in
tests/lab."""
import re

from ima_list import ImaList, files_of
from lab import Failure, until
from programs import Worker
from test_platforms import Vtpm


def check(condition, what):
    if not condition:
        raise Failure(what)


ASKED = "log: require, violations: deny, boot_aggregate: require, witness: require"


class Scene:
    """A worker whose policy asks for IMA, and a kernel that has it."""

    def __init__(self, lab, ima=ASKED, pause_ms=500):
        self.lab = lab
        lab.with_tpm()
        lab.pki()
        self.worker = Worker(lab, pause_ms=pause_ms)
        self.worker.measure()
        self.worker.policy()
        policy = lab.path("worker.yaml")
        with open(policy) as f:
            text = f.read()
        check("tpm: {" in text, text)
        lab.write("worker.yaml", text.replace("tpm: {", f"tpm: {{ima: {{{ima}}}, ", 1))
        self.list = ImaList(lab.path("ima-list"), lab.tpm)
        self.files = files_of(lab.path("worker.mtree"))
        check(self.worker.program in self.files and len(self.files) > 2, str(self.files))

    def boots(self):
        self.list.boot(self.lab.boot_log)

    def saw(self, files):
        for path, digest in files.items():
            self.list.add(path, digest)

    def start(self, ima_log=None):
        lab = self.lab
        lab.start_verifier()
        where = ima_log or self.list.path
        return lab.start_assayd(
            self.worker.application(),
            chip=f"attester: tpm\ntpm: {{tcti: \"{lab.tpm.tcti}\", ima_log: {where}, "
                 f"event_log: {lab.path('boot.log')}}}\n")

    def reasons(self):
        return "\n".join(row[0] for row in self.lab.rows(
            "select reasons from evidence order by id"))

    def refused(self, rule, words, **how):
        assayd = self.start(**how)
        assayd.wait_for(f"worker: refused by the verifier: .*{re.escape(rule)}", 60)
        check(words in assayd.text(), f"{words} is not in\n{assayd.text()[-3000:]}")
        check(self.lab.released() == [], str(self.lab.released()))


def test_witnesses_agree(lab):
    """Four stages; between them the list grows, and only what is new goes with the evidence."""
    scene = Scene(lab)
    scene.boots()
    # So much that the part that is new can be told from the whole.
    for i in range(40):
        scene.list.add(f"/usr/lib/unrelated/number-{i}.so", f"{i:02x}" * 32)
    scene.saw(scene.files)
    assayd = scene.start()
    assayd.wait_for("stage 1: block 1", 60)
    scene.list.add("/usr/bin/something-else", "ab" * 32)
    # In the list, and not in the register yet: as between a quote and the reading of the list.
    scene.list.add("/usr/bin/not-extended-yet", "cd" * 32, extended=False)
    assayd.wait_for("all stages done", 90)
    check(len(lab.released()) == 4, str(lab.released()))
    check(lab.rows("select * from evidence where accepted = 0") == [], scene.reasons())
    check("platforms.tpm.ima" not in scene.reasons() and "evidence.ima" not in scene.reasons(),
          scene.reasons())
    sizes = [row[0] for row in lab.rows("select length(report) from evidence order by id")]
    check(len(sizes) >= 5, str(sizes))
    # The first brought all of the list, the last one only what is behind the proven part.
    check(sizes[0] - sizes[-1] > 40 * 60, f"reports of {sizes} bytes")


def test_after_the_verifier_came_back(lab):
    """A new session knows nothing of the list: it begins again, and all of it is replayed."""
    scene = Scene(lab, pause_ms=700)
    scene.boots()
    scene.saw(scene.files)
    assayd = scene.start()
    assayd.wait_for("stage 1: block 1", 60)
    lab.verifier.stop()
    lab.started.remove(lab.verifier)
    scene.list.add("/usr/bin/while-it-was-away", "ab" * 32)
    lab.start_verifier()
    assayd.wait_for("all stages done", 120)
    check(len(lab.released()) == 4, str(lab.released()))
    check("evidence.ima" not in scene.reasons(), scene.reasons())


def test_after_assayd_came_back(lab):
    """assayd reads the list from its beginning when it starts again."""
    scene = Scene(lab, pause_ms=700)
    scene.boots()
    scene.saw(scene.files)
    assayd = scene.start()
    assayd.wait_for("stage 1: block 1", 60)
    assayd.stop()
    lab.started.remove(assayd)
    scene.list.add("/usr/bin/while-it-was-away", "ab" * 32)
    again = lab.start_assayd(
        scene.worker.application(), name="again",
        chip=f"attester: tpm\ntpm: {{tcti: \"{lab.tpm.tcti}\", ima_log: {scene.list.path}, "
             f"event_log: {lab.path('boot.log')}}}\n")
    again.wait_for("all stages done", 120)
    check("evidence.ima" not in scene.reasons(), scene.reasons())


def library_of(files):
    """The C library as processes map it: it stands in the manifest by the loader's path, too."""
    found = max((path for path in files if "libc.so" in path), key=len, default=None)
    check(found, str(files))
    return found


def without(files, path):
    return {other: digest for other, digest in files.items() if digest != files[path]}


def test_did_not_see_a_library(lab):
    """assayd says that the worker executes the C library; the kernel has not measured it."""
    scene = Scene(lab)
    scene.boots()
    libc = library_of(scene.files)
    scene.saw(without(scene.files, libc))
    scene.refused("platforms.tpm.ima.witness.unseen_file", f"{libc} is executed")


def test_saw_another_program(lab):
    """The program was another one before it was measured: the kernel remembers."""
    scene = Scene(lab)
    scene.boots()
    scene.list.add(scene.worker.program, "ee" * 32)
    scene.saw(scene.files)
    scene.refused("platforms.tpm.ima.witness.other_digest",
                  f"IMA saw {scene.worker.program}")


def test_saw_another_program_while_it_ran(lab):
    """Swapped, executed and put back between two stages: assayd sees the old file again."""
    scene = Scene(lab, pause_ms=2000)
    scene.boots()
    scene.saw(scene.files)
    assayd = scene.start()
    assayd.wait_for("stage 2: block 2", 60)
    scene.list.add(scene.worker.program, "ee" * 32)
    assayd.wait_for("refused by the verifier: .*platforms.tpm.ima.witness.other_digest", 60)
    check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))


def test_list_without_an_entry(lab):
    """Somebody cut out of the list what the register was extended with."""
    scene = Scene(lab)
    scene.boots()
    scene.list.add("/usr/bin/intruder", "ee" * 32, listed=False)
    scene.saw(scene.files)
    scene.refused("evidence.ima", "as it was quoted")


def test_list_of_another_boot(lab):
    scene = Scene(lab)
    lab.boot_log.measure(9, b"another initrd")  # and the TPM was never extended with it
    scene.boots()
    scene.saw(scene.files)
    scene.refused("platforms.tpm.ima.boot_aggregate", "the digest of the quoted PCRs 0 to 9")


def test_is_asked_for_and_absent(lab):
    scene = Scene(lab, ima="log: require")
    scene.refused("platforms.tpm.ima.log", "assayd is told not to send it", ima_log="none")


def test_list_that_cannot_be_read(lab):
    """A file that is named must be there and be readable: assayd does not start without."""
    scene = Scene(lab)
    lab.start_verifier()
    assayd = scene.lab.start_assayd(
        scene.worker.application(),
        chip=f"attester: tpm\ntpm: {{tcti: \"{lab.tpm.tcti}\", ima_log: {lab.path('none')}}}\n")
    assayd.wait_for("IMA's list cannot be read: .*No such file", 40)
    until("assayd ends", lambda: assayd.popen.poll() is not None, 20)
    check(assayd.popen.returncode != 0, "it ended well")


class WitnessedVtpm(Vtpm):
    """The vTPM of Azure's paravisor, whose policy asks for IMA."""

    def __init__(self, lab, saw):
        self.saw = saw
        super().__init__(lab, "vtpm")

    def allow(self, platforms):
        super().allow(platforms)
        lab = self.lab
        with open(lab.path("worker.yaml")) as f:
            text = f.read()
        check("vtpm: {" in text, text)
        lab.write("worker.yaml", text.replace("vtpm: {", f"vtpm: {{ima: {{{ASKED}}}, ", 1))
        ima = ImaList(lab.path("ima-list"), lab.tpm)
        ima.boot(lab.boot_log)
        for path, digest in self.saw(files_of(lab.path("worker.mtree"))).items():
            ima.add(path, digest)
        self.chip = self.chip.replace("tcti:", f"ima_log: {ima.path}, tcti:")


def test_vtpm_round(lab):
    """Enrolled by the chip's report, which brings no list; then as with a TPM."""
    WitnessedVtpm(lab, lambda files: files).passes()


def test_vtpm_whose_kernel_did_not_see_the_program(lab):
    vtpm = WitnessedVtpm(lab, lambda files: without(files, lab.program("block_worker")))
    assayd = vtpm.start()
    assayd.wait_for(r"refused by the verifier: .*platforms\.vtpm\.ima\.witness\.unseen_file", 90)
    check(lab.released() == [], str(lab.released()))
