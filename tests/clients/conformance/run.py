#!/usr/bin/env python3
"""Runs the MCP conformance suite through Quaymaster, with token, policy and audit on.

Behind the gateway is `tests/upstream/everything.mjs`, speaking one era. `pairs.json` says which
requirements are run against which era and what cannot pass: for a pair of one era nothing, for a
crossed pair what the fixture has in the other era alone. More failures than said, and fewer, fail.

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

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from with_gateway import Child, Trouble, UPSTREAMS, free_port, setting  # noqa: E402

SUITE = HERE.parent / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SUITE_LIMIT_S = 300
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"

SETTINGS = """apiVersion: quaymaster/v1
listen: {{ address: "127.0.0.1:{port}" }}
dataFolder: ./data
workspaces:
  suite: {{ title: Suite, catalogue: {{ search: never }} }}
defaultWorkspace: suite
roles:
  suite: {{ clearance: internal }}
"""

CONNECTOR = """apiVersion: connector/v1
kind: Connector
metadata: {{ name: fixture, version: 1.0.0, owner: {{ team: t, contact: t@example.test }}, workspaces: [suite] }}
spec:
  engine: mcp
  prefix: ""
  server: {{ transport: http, url: "http://127.0.0.1:{port}/mcp" }}
  limits: {{ timeout: 30s, bytes: 4MiB }}
  classification: {{ default: internal }}
  tools:
{tools}
  prompts:
{prompts}
  resources:
    - {{ name: static, uri: "test://static-*", access: {{ roles: [suite] }} }}
    - {{ name: watched, uri: "test://watched-resource", access: {{ roles: [suite] }} }}
    - {{ name: templated, uri: "test://template/{{id}}/data", access: {{ roles: [suite] }} }}
"""


class Fixture:
    """The upstream in one era, and the names of what it has."""

    def __init__(self, era: str, folder: pathlib.Path):
        self.era, self.port, self.session = era, free_port(), None
        node = setting("QM_NODE", "run this by scripts/test-clients.sh")
        command = [node, str(UPSTREAMS / "everything.mjs")]
        self.child = Child(f"fixture-{era}", command, folder, {"PORT": str(self.port), "ERA": era})
        self.child.listens(self.port)
        if era == "legacy":
            client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "run", "version": "1"}}
            self.ask("initialize", client)

    def ask(self, method: str, params: dict) -> dict:
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if self.era == "modern":
            headers |= {"mcp-protocol-version": MODERN, "mcp-method": method}
            capabilities = {"extensions": {META + "tasks": {}}}
            params = {"_meta": {META + "protocolVersion": MODERN, META + "clientCapabilities": capabilities}, **params}
        if self.session:
            headers["mcp-session-id"] = self.session
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/mcp", body, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            self.session = response.headers.get("mcp-session-id") or self.session
            text = response.read().decode()
        data = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
        return json.loads(data[-1] if data else text)["result"]

    def names(self, member: str) -> list[str]:
        return [item["name"] for item in self.ask(f"{member}/list", {})[member]]


class Gateway:
    """Quaymaster in front of a fixture."""

    def __init__(self, fixture: Fixture, folder: pathlib.Path):
        self.binary = setting("QM_BIN", "run this by scripts/test-clients.sh")
        self.folder = folder / f"gateway-{fixture.era}"
        (self.folder / "connectors").mkdir(parents=True)
        tool = "    - {{ name: {}, effect: read, access: {{ roles: [suite] }} }}"
        prompt = "    - {{ name: {}, access: {{ roles: [suite] }} }}"
        connector = CONNECTOR.format(
            port=fixture.port,
            tools="\n".join(tool.format(name) for name in fixture.names("tools")),
            prompts="\n".join(prompt.format(name) for name in fixture.names("prompts")),
        )
        (self.folder / "quaymaster.yaml").write_text(SETTINGS.format(port=free_port()))
        (self.folder / "connectors" / "fixture.yaml").write_text(connector)
        config = ["--config", str(self.folder)]
        made = [*config, "--actor", "suite", "--role", "suite", "--workspace", "suite", "--expires", "1d"]
        self.token = subprocess.check_output([self.binary, "token", "create", *made], text=True).strip()
        self.child = Child(f"gateway-{fixture.era}", [self.binary, "serve", *config, "--json"], folder)
        self.url = self.child.json_line()["mcp_url"]

    def verify(self) -> None:
        subprocess.run([self.binary, "audit", "verify", "--config", str(self.folder)], check=True, stdout=subprocess.DEVNULL)


def run_suite(gateway: Gateway, requirements: str, folder: pathlib.Path) -> tuple[int, int, set[str], str]:
    """The suite's status, how many checks passed, the scenarios with failures, and all it said."""
    environment = {
        **os.environ,
        "QM_URL": gateway.url,
        "QM_TOKEN": gateway.token,
        "NODE_OPTIONS": f"--import {HERE / 'bearer.mjs'}",
    }
    command = [setting("QM_NODE", ""), str(SUITE), "server", "--url", gateway.url, "--requirements", requirements]
    command += ["--output-dir", str(folder / "results")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SUITE_LIMIT_S)
    said = run.stdout + run.stderr
    total = re.search(r"^Total: (\d+) passed", said, re.MULTILINE)
    failed = set(re.findall(r"^✗ ([\w-]+):", said, re.MULTILINE))
    return run.returncode, int(total.group(1)) if total else 0, failed, said


def judge(pair: dict, outcome: tuple[int, int, set[str], str]) -> list[str]:
    """What is wrong with the outcome of a pair."""
    status, passed, failed, said = outcome
    unscored, impossible = set(pair.get("unscored", [])), set(pair.get("impossible", {}))
    wrong = [f"{name} fails" for name in sorted(failed - unscored - impossible)]
    wrong += [f"{name} is said to be impossible, and passes" for name in sorted((unscored | impossible) - failed)]
    if not impossible and status != 0:
        wrong.append(f"the suite ends with status {status}")
    if passed < pair.get("passed", 1):
        wrong.append(f"only {passed} checks passed")
    return wrong and [*wrong, said[-4000:]]


def main() -> int:
    pairs = json.loads((HERE / "pairs.json").read_text())
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="quaymaster-conformance.") as scratch:
        folder = pathlib.Path(scratch)
        try:
            gateways = {}
            for era in ("legacy", "modern"):
                fixture = Fixture(era, folder)
                children.append(fixture.child)
                gateways[era] = Gateway(fixture, folder)
                children.append(gateways[era].child)
            status = 0
            for pair in pairs["straight"] + pairs["crossed"]:
                outcome = run_suite(gateways[pair["upstream"]], pair["requirements"], folder)
                wrong = judge(pair, outcome)
                title = f"requirements of {pair['requirements']}, {pair['upstream']} upstream"
                print(f"{'not ok' if wrong else 'ok'}: {title}: {outcome[1]} checks passed", flush=True)
                if wrong:
                    print("\n".join(wrong), flush=True)
                    status = 1
            for gateway in gateways.values():
                gateway.verify()
            return status
        except Trouble as trouble:
            print(f"conformance: {trouble}", file=sys.stderr)
            return 2
        finally:
            for child in reversed(children):
                child.stop()


if __name__ == "__main__":
    sys.exit(main())
