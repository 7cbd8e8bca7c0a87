"""The Python SDK's client, connected to the gateway in one era or over stdio.

What every test here shares: how to connect, the scenario, and how to read the
reason of a refusal, which is a tool result or a protocol error (MCP keeps both).
"""

import json
import logging
import os
import pathlib
from contextlib import asynccontextmanager

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError

# unittest turns asyncio's debug mode on, which complains of every slow import.
logging.getLogger("asyncio").setLevel(logging.ERROR)

LEGACY, MODERN = "2025-11-25", "2026-07-28"
ERAS = {LEGACY: "legacy", MODERN: "auto"}
LIMIT_S = 30.0
SCENARIO = json.loads((pathlib.Path(__file__).parents[1] / "scenario.json").read_text())


def token(role: str) -> str:
    return os.environ[f"QM_TOKEN_{role.upper()}"]


@asynccontextmanager
async def over_http(version: str, role: str, url: str | None = None, **options):
    """A client that speaks `version`; it fails where the gateway chose another."""
    headers = {"Authorization": f"Bearer {token(role)}"}
    async with create_mcp_http_client(headers=headers) as http:
        transport = streamable_http_client(url or os.environ["QM_URL"], http_client=http)
        async with Client(transport, mode=ERAS[version], read_timeout_seconds=LIMIT_S, **options) as client:
            assert client.protocol_version == version, client.protocol_version
            yield client


@asynccontextmanager
async def over_stdio(version: str, **options):
    server = StdioServerParameters(
        command=os.environ["QM_BIN"], args=["stdio", "--config", os.environ["QM_CONFIG"]]
    )
    async with Client(server, mode=ERAS[version], read_timeout_seconds=LIMIT_S, **options) as client:
        assert client.protocol_version == version, client.protocol_version
        yield client


async def call(client: Client, name: str):
    """Makes one of the scenario's calls; gives a result or the protocol error."""
    step = SCENARIO[name]
    try:
        return await client.call_tool(step["tool"], step["arguments"])
    except MCPError as error:
        return error


def refusal(outcome) -> str:
    """The stable code of a refusal. Fails if the call was not refused."""
    if isinstance(outcome, MCPError):
        said = json.dumps([outcome.message, outcome.data])
        codes = {step["code"] for step in SCENARIO.values() if "code" in step}
        return next((code for code in sorted(codes) if code in said), said)
    assert outcome.is_error, f"not refused: {outcome}"
    return outcome.structured_content["error"]["code"]


def shape(outcome, *names: str) -> str:
    """The answer as a caller sees it, without what differs from call to call."""
    if isinstance(outcome, MCPError):
        text = json.dumps([outcome.code, outcome.message, outcome.data], sort_keys=True)
    else:
        text = outcome.model_dump_json()
        text = text.replace(outcome.structured_content["audit_id"], "AUDIT")
    for name in names:
        text = text.replace(name, "TOOL")
    return text
