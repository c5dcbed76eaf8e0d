# SPDX-License-Identifier: Apache-2.0
"""Rounds on chips other than a TPM: assayd on a machine with a TEE, as far as it can see
(tests/support/stand_in.c), the verifier with that chip's root as its test root."""
import os
import signal

from lab import Failure, Skip, run, until
from programs import Worker


def check(condition, what):
    if not condition:
        raise Failure(what)


class Platform:
    """One verifier, one worker of two stages, and an assayd behind a made chip."""

    def __init__(self, lab, name, rules="", root=True):
        self.lab, self.name, self.machine, self.chip = lab, name, name, f"attester: {name}\n"
        if os.geteuid() != 0:
            raise Skip("mounts need root")
        if not os.path.exists(lab.program("stand-in")):
            raise Skip("stand-in is not built")
        lab.pki()
        self.folder = lab.path("chip")
        os.mkdir(self.folder)
        self.worker = Worker(lab, blocks=2)
        self.worker.measure()
        self.worker.policy()
        self.allow(f"  {name}: {{{rules}}}\n")
        self.root = root

    def allow(self, platforms):
        """What the policy says of platforms, in place of the lab's own."""
        with open(self.lab.path("worker.yaml")) as f:
            text = f.read()
        self.lab.write("worker.yaml", text.replace("  soft: {}\n", platforms))

    def endorse(self):
        run(self.lab.program("assay"), "endorsements", "import", self.folder, "--store",
            self.lab.path("endorsements"))

    def start(self, debug=False, device=False, endorsed=True):
        """assayd first: the chip's root is made with the chip."""
        lab = self.lab
        flags = (["--debug"] if debug else []) + (["--device"] if device else [])
        flags += ["--tpm", lab.tpm.tcti] if lab.tpm else []
        lab.assayd_prefix = [lab.program("stand-in"), *flags, "--folder", self.folder,
                             self.machine, "--"]
        assayd = lab.start_assayd(self.worker.application(), chip=self.chip)
        root = until("the chip's root", lambda: next(
            (f for f in os.listdir(self.folder) if f in ("root.pem", "root.cert")), None))
        assayd.wait_for("1 application, chip")
        if endorsed:
            self.endorse()
        else:
            os.mkdir(lab.path("endorsements"))
        extra = f"endorsements: {{directory: {lab.path('endorsements')}}}\n"
        if self.root:
            extra += f"test_roots: [{self.folder}/{root}]\nallow_test_roots: true\n"
        lab.start_verifier(extra)
        return assayd

    def passes(self, **how):
        self.is_done(self.start(**how))
        refused = self.lab.rows("select sequence, reasons from evidence where accepted = 0")
        check(refused == [], f"refused: {refused}")

    def is_done(self, assayd):
        assayd.wait_for("all stages done", 90)
        lab = self.lab
        check(lab.released() == ["block-1-key", "block-2-key"], str(lab.released()))
        kinds = [row[0] for row in lab.rows("select distinct kind from evidence order by kind")]
        check(kinds == ["dynamic", "static"], f"kinds {kinds}")
        check(lab.rows("select platform from attesters") == [(self.name,)], "another platform")
        # They follow the delivery, which the worker does not wait for.
        until("two receipts", lambda: len(lab.rows("select * from receipts")) == 2, 30)

    def refused(self, words, **how):
        self.start(**how)
        self.lab.verifier.wait_for(words, 60)
        check(self.lab.released() == [], str(self.lab.released()))
        check(self.lab.rows("select * from attesters") == [], "it was enrolled")


class Vtpm(Platform):
    """A TPM in software made the vTPM of a machine with SEV-SNP or TDX: of Azure's paravisor, or an
    SVSM's; the policy names the chip and the registers."""

    def __init__(self, lab, machine, **how):
        self.below = "tdx" if machine == "vtpm-tdx" else "sev-snp"
        super().__init__(lab, "vtpm", **how)
        self.machine = machine
        if self.below == "tdx":  # the host's quote, for which Azure's guests ask a service of it
            self.chip += f"tee: {{endorsements: [{self.folder}/quote]}}\n"

    def allow(self, platforms):
        lab = self.lab
        lab.with_tpm()
        pcrs = ", ".join(f"{i}: [{v}]" for i, v in sorted(lab.boot_log.values().items())
                         if i in (4, 9))
        super().allow(f"  {self.below}: {{}}\n  vtpm: {{pcrs: {{{pcrs}}}, event_log: require}}\n")
        self.chip = (f"attester: vtpm\ntpm: {{tcti: \"{lab.tpm.tcti}\", "
                     f"event_log: {lab.path('boot.log')}}}\n")

    def register(self):
        return self.lab.rows("select register, entries from boots")


def test_sev_snp_round(lab):
    """Static, dynamic, two stages; reports through configfs-tsm."""
    Platform(lab, "sev-snp").passes()


def test_sev_snp_device_round(lab):
    """The same through /dev/sev-guest, with the certificates that the host gives."""
    Platform(lab, "sev-snp").passes(device=True)


def test_tdx_round(lab):
    """Every M is extended into RTMR3, and the log replays to the quote's."""
    Platform(lab, "tdx").passes()
    check(lab.rows("select count(*) from boots where register = 3 and entries > 2")[0][0] == 1,
          f"no runtime log: {lab.rows('select register, entries from boots')}")


def test_csv_round(lab):
    Platform(lab, "csv").passes()


def test_cca_round(lab):
    """The root of the test is the platform's key: nothing signs it."""
    Platform(lab, "cca").passes()


def test_a_cca_key_that_nobody_named_is_refused(lab):
    """It was imported, and the policy does not name it."""
    Platform(lab, "cca", root=False).refused("evidence.platform_signature")


def test_a_debuggable_cca_platform_is_refused(lab):
    Platform(lab, "cca").refused(r"platforms\.cca\.lifecycle", debug=True)


def test_a_debuggable_guest_is_refused(lab):
    Platform(lab, "sev-snp").refused(r"platforms\.sev-snp\.debug", debug=True)


def test_a_debuggable_td_is_refused(lab):
    Platform(lab, "tdx").refused(r"platforms\.tdx\.debug", debug=True)


def test_a_debuggable_csv_guest_is_refused(lab):
    Platform(lab, "csv").refused(r"platforms\.csv\.debug", debug=True)


def test_a_root_that_nobody_pinned_is_refused(lab):
    """The production verifier: the maker's roots, and no others."""
    Platform(lab, "sev-snp", root=False).refused("evidence.chain")


def test_a_tdx_root_that_nobody_pinned_is_refused(lab):
    Platform(lab, "tdx", root=False).refused("evidence.pck_chain")


def test_firmware_that_is_too_old_is_refused(lab):
    Platform(lab, "sev-snp", rules="minimum_tcb: {microcode: 250}").refused(
        r"platforms\.sev-snp\.minimum_tcb")


def test_another_launch_than_the_policys_is_refused(lab):
    Platform(lab, "tdx", rules=f"mrtd: [{'ab' * 48}]").refused(r"platforms\.tdx\.mrtd")


def reload(lab):
    """Has the verifier read its endorsements again; where its log was before."""
    since = len(lab.verifier.text())
    lab.verifier.popen.send_signal(signal.SIGHUP)
    return since


def test_endorsements_are_read_again(lab):
    """A TD whose collateral is not there yet; it comes, a damaged file with it, and SIGHUP."""
    td = Platform(lab, "tdx")
    assayd = td.start(endorsed=False)
    lab.verifier.wait_for(r"refused: session\.enrolment: evidence\.pck_chain", 60)
    check(lab.released() == [], str(lab.released()))
    td.endorse()
    with open(lab.path("endorsements", "tdx", "0" * 64 + ".json"), "w") as f:
        f.write("{}")
    since = reload(lab)
    lab.verifier.wait_for(r"0{64}\.json: .*continuing without", 60, since)
    lab.verifier.wait_for(r"endorsements were read again: [1-9]", 60, since)
    td.is_done(assayd)


def test_endorsements_that_are_gone_stay_as_they_were(lab):
    """What cannot be read again is not forgotten; a bundle that is no tar file is none."""
    td = Platform(lab, "tdx")
    assayd = td.start()
    assayd.wait_for("all stages done", 90)
    store = lab.path("endorsements")
    os.rename(store, store + ".away")
    lab.verifier.wait_for("continuing with the endorsements read before", 60, reload(lab))
    lab.write("endorsements", "this is not a tar file" * 100)
    lab.verifier.wait_for("not a tar file; continuing with those read before", 60, reload(lab))
    os.unlink(store)
    run("tar", "-C", store + ".away", "-cf", store, ".")
    count = len([f for _, _, files in os.walk(store + ".away") for f in files])
    lab.verifier.wait_for(f"endorsements were read again: {count}$", 60, reload(lab))
    sessions = lab.rows("select count(*) from evidence where accepted = 1")[0][0]
    lab.fleet("demand", "worker")
    until("evidence judged by them", lambda: lab.rows(
        "select count(*) from evidence where accepted = 1")[0][0] > sessions, 60)


def test_azures_vtpm_round(lab):
    """The chip vouches for the vTPM's key, the vTPM for registers, Claims and every M."""
    vtpm = Vtpm(lab, "vtpm")
    vtpm.passes()
    check(len(vtpm.register()) == 1 and vtpm.register()[0][1] > 2, str(vtpm.register()))
    check(lab.rows("select length(ak_public), length(ek_public) from attesters") == [(0, 0)],
          "keys were enrolled")


def test_azures_vtpm_round_on_tdx(lab):
    """The same, the chip's word being the host's quote over the TD that runs the paravisor."""
    vtpm = Vtpm(lab, "vtpm-tdx")
    vtpm.passes()
    check(len(vtpm.register()) == 1 and vtpm.register()[0][1] > 2, str(vtpm.register()))


def test_an_svsms_vtpm_round(lab):
    """The chip vouches for the EK, and a credential sealed to that shows where the AK is."""
    vtpm = Vtpm(lab, "svsm")
    vtpm.passes()
    check(len(vtpm.register()) == 1 and vtpm.register()[0][1] > 2, str(vtpm.register()))
    keys = lab.rows("select length(ak_public) > 0, length(ek_public) > 0 from attesters")
    check(keys == [(1, 1)], f"keys {keys}")


def test_the_vtpm_of_a_debuggable_guest_is_refused(lab):
    Vtpm(lab, "vtpm").refused(r"platforms\.sev-snp\.debug", debug=True)


def test_the_vtpm_of_a_debuggable_td_is_refused(lab):
    Vtpm(lab, "vtpm-tdx").refused(r"platforms\.tdx\.debug", debug=True)


def test_the_svsm_of_a_debuggable_guest_is_refused(lab):
    Vtpm(lab, "svsm").refused(r"platforms\.sev-snp\.debug", debug=True)
