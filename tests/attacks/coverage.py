# SPDX-License-Identifier: Apache-2.0
"""docs/coverage.md, from a run."""
import os
import time


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def write(path, results, not_covered):
    kernel, date = os.uname().release, time.strftime("%Y-%m-%d", time.gmtime())
    good = [r for r in results if r.state == "found"]
    found = [r for r in good if not r.row.prevented]
    identities = sorted({r.row.id for r in results})
    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "# Coverage",
        "",
        "Written by `tests/run attacks --table`; not edited by hand. Each row is a program of",
        "`tests/attacks` that attacks a live target under a real assayd, TPM (swtpm) and verifier.",
        "*found*: the first measurement after the attack was refused under the names shown, and the",
        "next stage's secret stayed with the verifier; the same steps without the decisive one",
        "were not reported, and the secret before it was released. The applications run under a user",
        "of their own; what an attacker of the same user does is T15.",
        "",
        f"Run on {date}, kernel `{kernel}`: of {len(results)} attacks (of {len(identities)} "
        f"techniques) {len(found)} found, {len(good) - len(found)} prevented by the kernel.",
        "",
        f"| id | attack | target | {cell(kernel)} |",
        "|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (r.row.id, r.row.title, r.row.target.title)):
        names = ", ".join(f"`{n.split('|')[0]}`" for n in r.found) if r.state == "found" else ""
        if r.state != "found":
            outcome = f"**{r.state}**: {r.why[:200]}"
        elif r.row.prevented:
            outcome = f"prevented by the kernel: {r.row.prevented.lower()}"
        else:
            full = " (with `hooks: full`)" if r.row.hooks == "full" else ""
            outcome = f"found as {names}; refused{full}"
        lines.append(f"| {r.row.id} | {cell(r.row.title)} | {r.row.target.title} | "
                     f"{cell(outcome)} |")
    lines += ["", "## Not covered", "",
              "What the catalogue has and no row above attacks, and why.", "",
              "| id | technique | reason |", "|---|---|---|"]
    for identity, (title, why) in sorted(not_covered.items()):
        lines.append(f"| {identity} | {cell(title)} | {cell(why)} |")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
