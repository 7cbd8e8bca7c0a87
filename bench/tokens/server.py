#!/usr/bin/env python3
"""An MCP server over stdio (2025-11-25) that offers the tools of one system of a catalogue.

    server.py CATALOGUE.json SYSTEM

It stands behind the gateway while tokens are counted; a call of it says which tool it was.
"""

import json
import sys


def definition(tool: dict) -> dict:
    schema = tool["inputSchema"]
    if tool["effect"] != "read":
        # Every write needs one; the gateway fills it in and hides it from agents.
        properties = {**schema["properties"], "idempotency_key": {"type": "string"}}
        schema = {**schema, "properties": properties}
    return {"name": tool["name"], "title": tool["title"], "description": tool["description"], "inputSchema": schema}


def main() -> None:
    catalogue, system = sys.argv[1:]
    with open(catalogue) as file:
        tools = [definition(tool) for tool in json.load(file) if tool["connector"] == system]
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        method, params = message.get("method"), message.get("params", {})
        answer = {
            "initialize": lambda: {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": system, "version": "1"},
            },
            "ping": dict,
            "tools/list": lambda: {"tools": tools},
            "tools/call": lambda: {"content": [{"type": "text", "text": f"{params['name']} was called"}]},
        }.get(method)
        reply = {"result": answer()} if answer else {"error": {"code": -32601, "message": "method not found"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
