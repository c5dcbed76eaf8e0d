# SPDX-License-Identifier: Apache-2.0
"""Verdicts for other relying parties: signed results, and the keys that check them."""
import base64
import json
import urllib.error
import urllib.request

from lab import Failure, free_port, run, until
from programs import Worker
from test_refusals import pid_of
from test_rounds import check, machine


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def der_of(raw):
    """r and s side by side, as openssl's command line wants them."""
    def integer(b):
        b = b.lstrip(b"\0") or b"\0"
        b = b"\0" + b if b[0] & 0x80 else b
        return bytes([2, len(b)]) + b
    body = integer(raw[:32]) + integer(raw[32:])
    return bytes([0x30, len(body)]) + body


def holds(lab, token, jwk):
    """openssl's word on the signature, with the key of the set that was fetched."""
    point = b"\x04" + decoded(jwk["x"]) + decoded(jwk["y"])
    info = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
    signed, _, signature = token.rpartition(".")
    for name, content in (("k.der", info), ("s.der", der_of(decoded(signature))),
                          ("m", signed.encode())):
        with open(lab.path(name), "wb") as f:
            f.write(content)
    return run("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", lab.path("k.der"),
               "-signature", lab.path("s.der"), lab.path("m"), check=False).returncode == 0


def signing(lab, name):
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
        lab.path(name + ".pem"))
    run("openssl", "pkey", "-in", lab.path(name + ".pem"), "-pubout", "-out",
        lab.path(name + ".pub.pem"))


def test_results_are_signed_with_the_keys_that_are_served(lab):
    """A relying party with nothing but HTTP and a token learns the verdict, good and bad."""
    machine(lab)
    worker = Worker(lab, pause_ms=2000)
    worker.measure()
    worker.policy()
    port = free_port()
    signing(lab, "results")
    signing(lab, "older")
    lab.start_verifier(extra=f"""results:
  key: results.pem
  public_keys: [results.pub.pem, older.pub.pem]
  listen: 127.0.0.1:{port}
  valid: 5m
""")
    url = f"http://127.0.0.1:{port}/.well-known/jwks.json"
    with urllib.request.urlopen(url, timeout=10) as answer:
        check(answer.headers["Content-Type"] == "application/jwk-set+json", "another type")
        keys = {k["kid"]: k for k in json.load(answer)["keys"]}
    check(len(keys) == 2, f"{len(keys)} keys")
    for wrong in (urllib.request.Request(url, data=b"x", method="POST"),
                  f"http://127.0.0.1:{port}/store"):
        try:
            urllib.request.urlopen(wrong, timeout=10)
            raise Failure("served something else")
        except urllib.error.HTTPError:
            pass
    early = lab.fleet("result", "worker", check=False)
    check(early.returncode != 0 and "no machine has shown" in early.stderr, early.stderr)
    assayd = lab.start_assayd(worker.application())
    assayd.wait_for("stage 1: block 1", 60)
    token = lab.fleet("result", "worker", "--nonce", "from-a-party").stdout.strip()
    header, payload = (json.loads(decoded(p)) for p in token.split(".")[:2])
    check(header["alg"] == "ES256" and header["kid"] in keys, str(header))
    check(holds(lab, token, keys.pop(header["kid"])), "the signature does not hold")
    check(not holds(lab, token, keys.popitem()[1]), "another key's signature holds")
    sub = payload["submods"]["worker"]
    check(sub["ear_status"] == "affirming" and payload["eat_nonce"] == "from-a-party" and
          payload["exp"] - payload["iat"] == 300, str(payload))
    # Patched while it runs: the next result says so.
    worker.patch(until("pid", lambda: pid_of(lab, "worker")))
    assayd.wait_for("refused by the verifier: .*dynamic.code", 60)
    token = lab.fleet("result", "worker").stdout.strip()
    sub = json.loads(decoded(token.split(".")[1]))["submods"]["worker"]
    check(sub["ear_status"] == "contraindicated" and
          sub["ear_trustworthiness_vector"]["executables"] == 33, str(sub))
