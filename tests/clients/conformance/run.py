#!/usr/bin/env python3
"""Runs the MCP conformance suite through Quaymaster, with token, policy and audit on.

Behind the gateway is `tests/upstream/everything.mjs`, speaking one era or both. `pairs.json` says what
of the suite is run against which era and what cannot pass: for a pair of one era nothing, for a crossed
pair what the fixture has in the other era alone; and which of its checks only warn. More failures and
warnings than said, and fewer, fail.

    QM_BIN=target/debug/quaymaster QM_NODE=node tests/clients/conformance/run.py
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway import Gateway, connector
from with_gateway import Child, HERE as CLIENTS, Trouble, UPSTREAMS, free_port, setting

HERE = pathlib.Path(__file__).resolve().parent
SUITE = CLIENTS / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SUITE_LIMIT_S = 300
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
RESOURCES = ("test://static-*", "test://watched-resource", "test://template/{id}/data")


class Fixture:
    """The upstream in one era or both, and the names of what it has."""

    def __init__(self, era: str, folder: pathlib.Path):
        self.era, self.port, self.session = era, free_port(), None
        node = setting("QM_NODE", "run this by scripts/test-clients.sh")
        command = [node, str(UPSTREAMS / "everything.mjs")]
        self.child = Child(f"fixture-{era}", command, folder, {"PORT": str(self.port), "ERA": era})
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        try:
            self.child.listens(self.port)
        except BaseException:
            self.child.stop()
            raise

    def ask(self, era: str, method: str, params: dict) -> dict:
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if era == "modern":
            headers |= {"mcp-protocol-version": MODERN, "mcp-method": method}
            capabilities = {"extensions": {META + "tasks": {}}}
            params = {"_meta": {META + "protocolVersion": MODERN, META + "clientCapabilities": capabilities}, **params}
        elif self.session:
            headers["mcp-session-id"] = self.session
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=20) as response:
            self.session = response.headers.get("mcp-session-id") or self.session
            text = response.read().decode()
        data = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
        return json.loads(data[-1] if data else text)["result"]

    def names(self, era: str, member: str) -> list[str]:
        if era == "legacy" and not self.session:
            client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "run", "version": "1"}}
            self.ask(era, "initialize", client)
        return [item["name"] for item in self.ask(era, f"{member}/list", {})[member]]

    def connectors(self) -> list[tuple[str, str]]:
        """One connector; for both eras two, the second with what is in the legacy era alone."""
        era = "legacy" if self.era == "legacy" else "modern"
        tools, prompts = self.names(era, "tools"), self.names(era, "prompts")
        made = [connector("fixture", self.url, "auto" if self.era == "both" else era, tools=tools, prompts=prompts, resources=RESOURCES)]
        if self.era == "both":
            alone = [tool for tool in self.names("legacy", "tools") if tool not in tools]
            made.append(connector("fixture-legacy", self.url, "legacy", tools=alone))
        return made


@dataclass
class Outcome:
    """What the suite said of one pair."""

    status: int
    passed: int
    # The names of scenarios, and the ids of checks.
    failed: set[str]
    warned: set[str]
    said: str


def run_suite(gateway: Gateway, pair: dict, folder: pathlib.Path) -> Outcome:
    environment = {
        **os.environ,
        "QM_URL": gateway.url,
        "QM_TOKEN": gateway.token,
        "NODE_OPTIONS": f"--import {HERE / 'bearer.mjs'}",
    }
    results = pathlib.Path(tempfile.mkdtemp(prefix="results-", dir=folder))
    command = [setting("QM_NODE", ""), str(SUITE), "server", "--url", gateway.url, "--output-dir", str(results)]
    command += ["--requirements", pair["requirements"]] if "requirements" in pair else ["--suite", pair["suite"]]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SUITE_LIMIT_S)
    said = run.stdout + run.stderr
    total = re.search(r"^Total: (\d+) passed", said, re.MULTILINE)
    checks = [check for file in results.glob("*/checks.json") for check in json.loads(file.read_text())]
    return Outcome(
        status=run.returncode,
        passed=int(total.group(1)) if total else 0,
        failed=set(re.findall(r"^✗ ([\w-]+):", said, re.MULTILINE)),
        warned={check["id"] for check in checks if check["status"] == "WARNING"},
        said=said,
    )


def judge(pair: dict, outcome: Outcome) -> list[str]:
    """What is wrong with the outcome of a pair."""
    named = set(pair.get("impossible", {}))
    wrong = [f"{name} fails" for name in sorted(outcome.failed - named)]
    wrong += [f"{name} is said to be impossible, and passes" for name in sorted(named - outcome.failed)]
    if not named and outcome.status != 0:
        wrong.append(f"the suite ends with status {outcome.status}")
    known = set(pair.get("warnings", {}))
    wrong += [f"{check} warns" for check in sorted(outcome.warned - known)]
    wrong += [f"{check} is said to warn, and does not" for check in sorted(known - outcome.warned)]
    if outcome.passed < pair["passed"]:
        wrong.append(f"only {outcome.passed} checks passed, and not {pair['passed']}")
    return wrong and [*wrong, outcome.said[-4000:]]


def report(outcomes: list[tuple[dict, Outcome]]) -> bool:
    """Prints how each pair went; `False` if something is not as the table says."""
    all_wrong = []
    for pair, outcome in outcomes:
        wrong = judge(pair, outcome)
        what = f"requirements of {pair['requirements']}" if "requirements" in pair else f"suite {pair['suite']}"
        print("\n".join([f"{'not ok' if wrong else 'ok'}: {what}, {pair['upstream']} upstream: {outcome.passed} checks passed", *wrong]))
        all_wrong += wrong
    return not all_wrong


def main() -> int:
    table = json.loads((HERE / "pairs.json").read_text())
    pairs = table["straight"] + table["crossed"]
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="quaymaster-conformance.") as scratch:
        folder = pathlib.Path(scratch)
        try:
            gateways = {}
            for era in ("legacy", "modern", "both"):
                fixture = Fixture(era, folder)
                children.append(fixture.child)
                gateways[era] = Gateway(f"gateway-{era}", folder, fixture.connectors())
                children.append(gateways[era].child)
            # A suite mostly waits, so all run at once.
            with ThreadPoolExecutor(len(pairs)) as pool:
                outcomes = list(pool.map(lambda pair: run_suite(gateways[pair["upstream"]], pair, folder), pairs))
            for gateway in gateways.values():
                gateway.verify()
            return 0 if report(list(zip(pairs, outcomes))) else 1
        except Trouble as trouble:
            print(f"conformance: {trouble}", file=sys.stderr)
            return 2
        finally:
            for child in reversed(children):
                child.stop()


if __name__ == "__main__":
    sys.exit(main())
