#!/usr/bin/env python3
"""Counts the tokens that a client spends on the tools of a large catalogue, with and without a search.

    measure.py CATALOGUE.json FOLDER

Writes a configuration below FOLDER in which the catalogue's systems are MCP servers of their own, asks
a real gateway (QM_BIN) over stdio as a client would, and prints a table. Tokens are counted by
count.mjs (QM_NODE, QM_TOKENIZER: the folder with the tokenizer's `node_modules`).
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LISTING_LIMIT_S = 120

# What is searched for, and a call of what is found.
QUERIES = [
    "report a bug",
    "give money back to a customer",
    "who is on call",
    "ask for vacation",
    "renew a TLS certificate",
    "list unpaid invoices",
    "reserve a desk in the office",
    "vulnerabilities found by the scanner",
]
CALL = ("tracker_get_issue", {"issue_id": "ISS-4711"})


def write_configuration(folder: pathlib.Path, catalogue: pathlib.Path, search: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "connectors").mkdir(parents=True)
    (folder / "policies").mkdir()
    settings = {
        "apiVersion": "quaymaster/v1",
        "workspaces": {"bench": {"catalogue": {"search": search}}},
        "defaultWorkspace": "bench",
        "roles": {"worker": {"clearance": "internal"}, "boss": {"clearance": "internal"}},
        "localUser": {"roles": ["worker"]},
    }
    # JSON is YAML.
    (folder / "quaymaster.yaml").write_text(json.dumps(settings))
    tools = json.loads(catalogue.read_text())
    for system in sorted({tool["connector"] for tool in tools}):
        connector = {
            "apiVersion": "connector/v1",
            "kind": "Connector",
            "metadata": {
                "name": system,
                "version": "1.0.0",
                "owner": {"team": "bench", "contact": "bench@example.test"},
                "workspaces": ["bench"],
            },
            "spec": {
                "engine": "mcp",
                "prefix": system,
                "server": {
                    "transport": "stdio",
                    "command": sys.executable,
                    "args": [str(HERE / "server.py"), str(catalogue), system],
                },
                "limits": {"timeout": "10s"},
                "classification": {"default": "internal"},
                "tools": [configured(tool) for tool in tools if tool["connector"] == system],
            },
        }
        (folder / "connectors" / f"{system}.yaml").write_text(json.dumps(connector))


def configured(tool: dict) -> dict:
    entry = {"name": tool["name"], "effect": tool["effect"], "access": {"roles": ["worker"]}}
    if tool["effect"] != "read":
        first = next(iter(tool["inputSchema"]["properties"]))
        entry["idempotency"] = {"from": [first], "argument": "idempotency_key"}
    if tool["effect"] == "destructive":
        entry["approval"] = {"by": {"roles": ["boss"]}}
    return entry


class Client:
    """A client of 2025-11-25 over stdio."""

    def __init__(self, folder: pathlib.Path):
        log = (folder / "gateway.log").open("wb")
        command = [os.environ["QM_BIN"], "stdio", "--config", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.id = 0
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tokens", "version": "1"}}
        self.ask("initialize", hello)
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict) -> None:
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict) -> dict:
        self.id += 1
        self.send({"id": self.id, "method": method, "params": params})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.id:
                return answer["result"]
        sys.exit(f"the gateway ended: see gateway.log ({method})")

    def tools(self) -> list[dict]:
        tools, page = [], {}
        while True:
            answer = self.ask("tools/list", page)
            tools += answer["tools"]
            if "nextCursor" not in answer:
                return tools
            page = {"cursor": answer["nextCursor"]}

    def tools_once_there(self, count: int) -> list[dict]:
        """The list, as soon as the gateway has it from all servers."""
        deadline = time.monotonic() + LISTING_LIMIT_S
        while len(tools := self.tools()) != count:
            if time.monotonic() > deadline:
                sys.exit(f"the gateway lists {len(tools)} tools instead of {count}")
            time.sleep(0.2)
        return tools

    def call(self, name: str, arguments: dict) -> dict:
        return self.ask("tools/call", {"name": name, "arguments": arguments})

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def compact(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def for_the_model(tools: list[dict]) -> str:
    """What clients give the model of each tool."""
    return compact([{name: tool[name] for name in ("name", "description", "inputSchema")} for tool in tools])


def count(texts: dict[str, str]) -> dict[str, int]:
    command = [os.environ["QM_NODE"], str(HERE / "count.mjs"), os.environ["QM_TOKENIZER"]]
    done = subprocess.run(command, input=json.dumps(list(texts.values())), capture_output=True, text=True, check=True)
    return dict(zip(texts, json.loads(done.stdout), strict=True))


def main() -> None:
    catalogue, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    all_tools = json.loads(catalogue.read_text())
    texts = {}

    write_configuration(folder / "list", catalogue, "never")
    client = Client(folder / "list")
    listed = client.tools_once_there(len(all_tools))
    client.close()
    texts["whole list, as it is sent"] = compact(listed)
    texts["whole list, as models get it"] = for_the_model(listed)

    write_configuration(folder / "search", catalogue, "always")
    client = Client(folder / "search")
    client.tools_once_there(2)
    deadline = time.monotonic() + LISTING_LIMIT_S
    while True:
        # The servers may still be on their way: as many tools as were listed must be there to search.
        answers = {query: client.call("find_tools", {"query": query}) for query in QUERIES}
        found = client.call("find_tools", {"query": "list get create update delete adds removes reads changes lists"})
        if found["structuredContent"]["total"] == len(all_tools):
            break
        if time.monotonic() > deadline:
            sys.exit(f"only {found['structuredContent']['total']} tools can be found")
        time.sleep(0.2)
    short = client.tools()
    name, arguments = CALL
    called = client.call("call_tool", {"name": name, "arguments": arguments})
    if called.get("isError") or "get_issue was called" not in compact(called["content"]):
        sys.exit(f"the found tool could not be called: {called}")
    client.close()
    texts["short list, as it is sent"] = compact(short)
    texts["short list, as models get it"] = for_the_model(short)
    for query, answer in answers.items():
        texts[f"find {query}"] = compact(answer["structuredContent"])
    texts["call directly"] = compact({"name": name, "arguments": arguments})
    texts["call by call_tool"] = compact({"name": "call_tool", "arguments": {"name": name, "arguments": arguments}})

    tokens = count(texts)
    finds = [tokens[f"find {query}"] for query in QUERIES]
    found = round(statistics.median(finds))
    more = tokens["call by call_tool"] - tokens["call directly"]
    whole, begin = tokens["whole list, as models get it"], tokens["short list, as models get it"]
    three = begin + 3 * (found + more)
    print(f"| {len(all_tools)} tools, o200k_base | tokens |\n|---|---|")
    print(f"| whole list, as it is sent | {tokens['whole list, as it is sent']:,} |")
    print(f"| whole list, as models get it (name, description, input schema) | {whole:,} |")
    print(f"| short list, as it is sent | {tokens['short list, as it is sent']:,} |")
    print(f"| short list, as models get it | {begin:,} |")
    print(f"| an answer of `find_tools` with five tools, median of {len(finds)} | {found:,} |")
    print(f"| the same, smallest and largest | {min(finds):,} to {max(finds):,} |")
    print(f"| a call by `call_tool` instead of directly, more | {more:,} |")
    print(f"| three searches and calls, short list included | {three:,} |")
    print(f"| the same against the whole list | {100 * three / whole:.1f} % |")


if __name__ == "__main__":
    main()
