#!/usr/bin/env python3
"""Runs mcpcheck against the gateway, as each of the demo's roles. Failures fail; a warning needs its reason in accepted.json.

with_gateway.py --upstreams -- PYTHON check.py      PYTHON is the one that has mcpcheck
"""

import json
import os
import pathlib
import subprocess
import sys

ACCEPTED = json.loads((pathlib.Path(__file__).resolve().parent / "accepted.json").read_text())
LIMIT_S = 120


def findings(role: str) -> tuple[set[str], list[str]]:
    """The codes of all warnings, and what is wrong."""
    command = [sys.executable, "-m", "mcpcheck", "--json", "--legacy-probes", "--probe", "all", os.environ["QM_URL"]]
    environment = {**os.environ, "MCPCHECK_TOKEN": os.environ[f"QM_TOKEN_{role.upper()}"]}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    if run.returncode == 2:
        return set(), [f"it could not run: {run.stderr[-2000:]}"]
    warned, wrong = set(), []
    for check in json.loads(run.stdout)["checks"]:
        # What it finds inconclusive has no finding of its own.
        if check["status"] not in ("pass", "warn", "fail"):
            wrong.append(f"{check['name']} is {check['status']}: {check['summary']}")
        for found in check["failures"]:
            wrong.append(f"{found['code']}: {found['subject']}: {found['message']}")
        for found in check["warnings"]:
            warned.add(found["code"])
            if found["code"] not in ACCEPTED:
                wrong.append(f"{found['code']}: {found['subject']}: {found['message']}")
    return warned, wrong


def main() -> int:
    warned, good = set(), True
    for role in ("analyst", "support"):
        codes, wrong = findings(role)
        warned |= codes
        good = good and not wrong
        print("\n".join([f"{'not ok' if wrong else 'ok'}: mcpcheck as {role}, {len(codes)} kinds of warnings", *wrong]))
    for code in sorted(set(ACCEPTED) - warned):
        good = False
        print(f"not ok: {code} is accepted, and not found")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
