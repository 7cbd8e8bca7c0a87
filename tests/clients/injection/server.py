#!/usr/bin/env python3
"""An MCP server over standard streams for `test_flow.py`, with nothing but Python.

    server.py world CASES LOG   what strangers wrote, by case, and ways to send something out
    server.py vault CASES LOG   the company's own server: what is private

CASES is a file with `{case: {"injected": …, "private": …}}`. Each call of a tool that was carried out is one line of
JSON in LOG, so what reached a server is told by that server and not by the gateway.
"""

import json
import sys

TEXT = {"type": "string"}


def tool(name, *arguments):
    properties = {argument: TEXT for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": f"Does what {name} does, for a test.", "inputSchema": schema}


TOOLS = {
    "world": [
        tool("fetch_url", "url"),
        tool("search_docs", "query"),
        tool("read_file", "path"),
        tool("http_post", "url", "input", "key"),
        tool("send_email", "to", "body", "key"),
        tool("delete_file", "path", "key"),
    ],
    "vault": [tool("read_private", "case"), tool("note", "text", "key")],
}


def main():
    role, cases, log = sys.argv[1], json.load(open(sys.argv[2])), sys.argv[3]

    def carry_out(name, arguments):
        with open(log, "a") as file:
            file.write(json.dumps({"tool": name, "arguments": arguments}) + "\n")
        if name == "read_private":
            return cases[arguments["case"]]["private"]
        subject = next(iter(arguments.values()))
        return cases.get(subject, {}).get("injected", "done")

    for line in sys.stdin:
        message = json.loads(line)
        method, request = message.get("method"), message.get("id")
        if request is None:
            continue
        answer = {"jsonrpc": "2.0", "id": request}
        if method == "initialize":
            info = {"name": role, "version": "1"}
            revision = message["params"]["protocolVersion"]
            answer["result"] = {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": info}
        elif method == "tools/list":
            answer["result"] = {"tools": TOOLS[role]}
        elif method == "tools/call":
            text = carry_out(message["params"]["name"], message["params"].get("arguments", {}))
            answer["result"] = {"content": [{"type": "text", "text": text}]}
        elif method == "ping":
            answer["result"] = {}
        else:
            answer["error"] = {"code": -32601, "message": "unknown method"}
        print(json.dumps(answer), flush=True)


main()
