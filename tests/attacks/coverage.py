# SPDX-License-Identifier: Apache-2.0
"""docs/coverage.md, from a run; with a second column, from a run on another kernel."""
import os
import time


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def outcome(r):
    """What a row of the table says of a result."""
    if r.state == "skipped":
        return f"not run: {r.why}"
    if r.state != "found":
        return f"**{r.state}**: {r.why[:200]}"
    if r.denied:
        return f"denied by the guard: {r.denied.lower()}"
    if r.row.prevented:
        return f"prevented by the kernel: {r.row.prevented.lower()}"
    names = ", ".join(f"`{n.split('|')[0]}`" for n in r.found)
    full = " (with `hooks: full`)" if r.row.hooks == "full" else ""
    return f"found as {names}; refused{full}"


def sort_of(r):
    if r.state != "found":
        return r.state
    return "denied" if r.denied else "prevented" if r.row.prevented else "found"


def column(results):
    """The results of a run as plain data, for a file or for write()."""
    return {"kernel": os.uname().release, "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "rows": [{"id": r.row.id, "title": r.row.title, "target": r.row.target.title,
                      "sort": sort_of(r), "outcome": outcome(r)} for r in results]}


def key(row):
    return row["id"], row["title"], row["target"]


def counted(one):
    """A sentence about one column."""
    rows = one["rows"]
    count = {sort: sum(row["sort"] == sort for row in rows)
             for sort in ("found", "denied", "prevented", "skipped", "failed")}
    words = [("found", "found"), ("denied", "denied by the guard"),
             ("prevented", "prevented by the kernel"), ("skipped", "not run"),
             ("failed", "**failed**")]
    said = ", ".join(f"{count[sort]} {text}" for sort, text in words if count[sort])
    return (f"Run on {one['date']}, kernel `{one['kernel']}`: of {len(rows)} attacks (of "
            f"{len({row['id'] for row in rows})} techniques) {said}.")


def write(path, columns, not_covered):
    """columns: of column(); the first one's rows make the table."""
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
    ]
    if len(columns) > 1:
        lines += ["The second column is a virtual machine with Debian's kernel, self-protection on",
                  "(`protect: [self, files, chip]`): `tests/run lab`. *denied*: the guard's BPF LSM",
                  "program let the system call fail, and the next stage opened.", ""]
    for one in columns:
        lines += [counted(one), ""]
    lines += ["| id | attack | target | " +
              " | ".join(cell(one["kernel"]) for one in columns) + " |",
              "|---|---|---|" + "---|" * len(columns)]
    others = [{key(row): row for row in one["rows"]} for one in columns[1:]]
    for row in sorted(columns[0]["rows"], key=key):
        cells = [row["outcome"]] + [other[key(row)]["outcome"] if key(row) in other else "not run"
                                    for other in others]
        lines.append(f"| {row['id']} | {cell(row['title'])} | {row['target']} | " +
                     " | ".join(cell(text) for text in cells) + " |")
    lines += ["", "## Not covered", "",
              "What the catalogue has and no row above attacks, and why.", "",
              "| id | technique | reason |", "|---|---|---|"]
    for identity, (title, why) in sorted(not_covered.items()):
        lines.append(f"| {identity} | {cell(title)} | {cell(why)} |")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
