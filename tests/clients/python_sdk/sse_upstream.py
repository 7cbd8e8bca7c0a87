#!/usr/bin/env python3
"""An MCP server of the Python SDK over HTTP+SSE, on loopback.

    sse_upstream.py PORT

The SDK owns the transport, the session and the protocol; here are only tools like those of
`tests/upstream/everything.mjs`, so that the same tests fit.
"""

import sys

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("sse-upstream")


class Response(BaseModel):
    response: str


@server.tool()
async def test_simple_text() -> str:
    return "This is a simple text response for testing."


@server.tool()
async def test_error_handling() -> str:
    raise ValueError("This tool intentionally returns an error for testing")


@server.tool()
async def test_tool_with_progress(ctx: Context) -> str:
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100, f"Completed step {progress} of 100")
    return "done"


@server.tool()
async def test_tool_with_logging(ctx: Context) -> str:
    for data in ("started", "processing data", "completed"):
        await ctx.info(data)
    return "logged"


@server.tool()
async def test_elicitation(message: str, ctx: Context) -> str:
    answer = await ctx.elicit(message, Response)
    return answer.model_dump_json()


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.resource("sse://note")
def note() -> str:
    return "A note over HTTP+SSE."


if __name__ == "__main__":
    server.run("sse", host="127.0.0.1", port=int(sys.argv[1]))
