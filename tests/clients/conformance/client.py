#!/usr/bin/env python3
"""Runs the client's half of the MCP conformance suite against what the gateway sends to servers.

The suite plays the server of each scenario and runs `driver.py` as its client: a gateway, and before that a client of
either era. `client.json` says how many checks each scenario has, and what is left out and why. All must pass, and none
may warn but where the table has a reason; what is left out must fail, so that it is noticed when it no longer does.

    QM_BIN=target/debug/quaymaster QM_NODE=node tests/clients/conformance/client.py
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from run import HERE, SUITE, SUITE_LIMIT_S
from with_gateway import setting

SUMMARY = re.compile(r"^[✓✗] ([\w/.-]+): (\d+) passed, (\d+) failed(?:, (\d+) warnings)?$", re.MULTILINE)


def run_suite(run: dict, folder: pathlib.Path) -> tuple[dict[str, tuple[int, int, int]], str]:
    """For each scenario how many checks passed, failed and warned; and all that was said."""
    environment = {**os.environ, "QM_CLIENT_ERA": run["client"], "QM_SCRATCH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [setting("QM_NODE", "run this by scripts/test-clients.sh"), str(SUITE), "client"]
    command += ["--requirements", run["requirements"], "--command", f"{sys.executable} {HERE / 'driver.py'}"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SUITE_LIMIT_S)
    said = ended.stdout + ended.stderr
    counts = {name: (int(passed), int(failed), int(warned or 0)) for name, passed, failed, warned in SUMMARY.findall(said)}
    return counts, said


def judge(table: dict, counts: dict[str, tuple[int, int, int]]) -> list[str]:
    """What is wrong with the outcome of a run."""
    later = table.get("later", {}).get("prefix")
    wrong = [] if counts else ["the suite ran nothing"]
    for name, (passed, failed, warned) in counts.items():
        if later and name.startswith(later):
            wrong += [f"{name} is left out, and passes"] if not failed else []
            continue
        if name not in table["scenarios"]:
            wrong.append(f"{name} is in no table")
            continue
        scenario = table["scenarios"][name]
        if failed or (warned and "may_warn" not in scenario) or passed + warned != scenario["passed"]:
            wrong.append(f"{name}: {passed} checks passed, {failed} failed, {warned} warned")
    return wrong


def main() -> int:
    table = json.loads((HERE / "client.json").read_text())
    seen, all_wrong = set(), []
    for run in table["runs"]:
        with tempfile.TemporaryDirectory(prefix="quaymaster-conformance.") as scratch:
            folder = pathlib.Path(scratch)
            counts, said = run_suite(run, folder)
            wrong = judge(table, counts) + [trouble.read_text() for trouble in folder.rglob("trouble")]
        mine = set(counts) & set(table["scenarios"])
        seen |= mine
        passed = sum(counts[name][0] for name in mine)
        title = f"client requirements of {run['requirements']}, {run['client']} client"
        print(f"{'not ok' if wrong else 'ok'}: {title}: {passed} checks of {len(mine)} scenarios passed", flush=True)
        if wrong:
            print("\n".join(wrong if counts else [said[-4000:]]), flush=True)
        all_wrong += wrong
    never = sorted(set(table["scenarios"]) - seen)
    if never:
        print(f"not ok: no run has {', '.join(never)}")
    return 1 if all_wrong or never else 0


if __name__ == "__main__":
    sys.exit(main())
