"""FastMCP's client in each era, over HTTP and stdio, to the demo and through it to MCP servers of each era."""

import asyncio
import os
import pathlib
import sys
import unittest
import warnings

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python_sdk"))
from peer import LEGACY, LIMIT_S, MODERN, SCENARIO, token  # noqa: E402

MODES = {LEGACY: "legacy", MODERN: MODERN}
UPSTREAMS = ("legacy", "modern")


class Gateway:
    """What holds in every era. The subclasses say which."""

    version: str

    def connect(self, role: str = "analyst", **options) -> Client:
        transport = StreamableHttpTransport(os.environ["QM_URL"], headers={"Authorization": f"Bearer {token(role)}"})
        return Client(transport, mode=MODES[self.version], timeout=LIMIT_S, **options)

    async def test_the_client_speaks_the_era_that_it_should(self):
        async with self.connect() as client:
            self.assertEqual(client.session.protocol_version, self.version)

    async def test_an_allowed_call_is_answered_and_others_are_refused_with_their_code(self):
        async with self.connect() as client:
            self.assertIn(SCENARIO["allowed"]["tool"], [tool.name for tool in await client.list_tools()])
            allowed = await client.call_tool(SCENARIO["allowed"]["tool"], SCENARIO["allowed"]["arguments"])
            self.assertEqual(allowed.structured_content["status"], "success")
        for name in ("invalid", "denied", "gated", "hidden", "unknown"):
            step = SCENARIO[name]
            async with self.connect(step["role"]) as client:
                with self.subTest(name), self.assertRaisesRegex(ToolError, step["code"]):
                    await client.call_tool(step["tool"], step["arguments"])

    async def test_prompts_resources_templates_and_completions_of_upstreams(self):
        async with self.connect() as client:
            self.assertIn("test://static-text", [str(resource.uri) for resource in await client.list_resources()])
            templates = [template.uri_template for template in await client.list_resource_templates()]
            self.assertEqual(templates, ["test://template/{id}/data"])
            read = await client.read_resource("test://template/7/data")
            self.assertIn('"id":"7"', read[0].text)
            with self.assertRaises(MCPError):
                await client.read_resource("test://nobody")
            for upstream in UPSTREAMS:
                with self.subTest(upstream):
                    name = f"{upstream}_test_prompt_with_arguments"
                    self.assertIn(name, [prompt.name for prompt in await client.list_prompts()])
                    prompt = await client.get_prompt(name, {"arg1": "a", "arg2": "b"})
                    self.assertIn("arg1='a'", prompt.messages[0].content.text)
                    reference = {"type": "ref/prompt", "name": name}
                    completion = await client.complete(reference, {"name": "arg1", "value": "a"})
                    self.assertEqual(completion.values, [])

    async def test_what_upstreams_ask_the_client_answers(self):
        async def elicited(message, response_type, params, context):
            return {"name": "Ada"} if "name" in params.requested_schema["properties"] else {"response": "Ada"}

        async def sampled(messages, params, context):
            return "Paris"

        calls = {
            "legacy_test_elicitation": ({"message": "Who?"}, "Ada"),
            "modern_test_input_required_result_elicitation": ({}, "Ada"),
            "legacy_test_sampling": ({"prompt": "Capital?"}, "Paris"),
            "modern_test_input_required_result_sampling": ({}, "Paris"),
            "legacy_child_ask": ({"methods": ["roots/list"]}, "harbour"),
            "modern_test_input_required_result_list_roots": ({}, "harbour"),
        }
        able = {"elicitation_handler": elicited, "sampling_handler": sampled, "roots": ["file:///harbour"]}
        async with self.connect(**able) as client:
            for name, (arguments, says) in calls.items():
                with self.subTest(name):
                    result = await client.call_tool(name, arguments)
                    self.assertIn(says, result.content[0].text)

    async def test_progress_and_log_messages_of_upstreams_reach_the_client(self):
        for upstream in UPSTREAMS:
            with self.subTest(upstream):
                seen, logged = [], []

                async def progress(done, total, message, seen=seen):
                    seen.append(done)

                async def log(message, logged=logged):
                    logged.append(message)

                # The level is asked for by each call of the one era, and once for the session in the other.
                async with self.connect(log_handler=log) as client:
                    if self.version == LEGACY:
                        # The SDK warns that the next revision has no such request; this one has.
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            await client.set_logging_level("info")
                    await client.call_tool(f"{upstream}_test_tool_with_progress", progress_handler=progress)
                    await client.call_tool(f"{upstream}_test_tool_with_logging")
                # Reports that come too fast may be dropped.
                self.assertTrue(seen and set(seen) <= {0, 50, 100}, seen)
                self.assertEqual(len(logged), 3)

    async def test_over_stdio_it_lists_calls_and_is_refused(self):
        arguments = ["stdio", "--config", os.environ["QM_CONFIG"]]
        transport = StdioTransport(os.environ["QM_BIN"], arguments, keep_alive=False)
        async with Client(transport, mode=MODES[self.version], timeout=LIMIT_S) as client:
            self.assertIn(SCENARIO["allowed"]["tool"], [tool.name for tool in await client.list_tools()])
            allowed = await client.call_tool(SCENARIO["allowed"]["tool"], SCENARIO["allowed"]["arguments"])
            self.assertEqual(allowed.structured_content["status"], "success")
            with self.assertRaisesRegex(ToolError, SCENARIO["unknown"]["code"]):
                await client.call_tool(SCENARIO["unknown"]["tool"], {})

    async def test_parallel_calls_all_get_their_own_answer(self):
        step = SCENARIO["allowed"]
        async with self.connect() as client:
            results = await asyncio.gather(*(client.call_tool(step["tool"], step["arguments"]) for _ in range(20)))
        self.assertEqual(len({result.structured_content["audit_id"] for result in results}), 20)


class LegacyClient(Gateway, unittest.IsolatedAsyncioTestCase):
    version = LEGACY


class ModernClient(Gateway, unittest.IsolatedAsyncioTestCase):
    version = MODERN


if __name__ == "__main__":
    unittest.main()
