"""The Python SDK's client in each era, through the gateway, to real MCP servers of each era."""

import json
import unittest
import uuid

import anyio
from peer import LEGACY, LIMIT_S, MODERN, over_http, refusal

UPSTREAMS = ("legacy", "modern")


class Upstreams:
    """What holds whichever era the client speaks. The subclasses say which."""

    version: str

    def connect(self):
        return over_http(self.version, "analyst")

    async def test_a_tool_of_an_upstream_of_either_era_answers(self):
        async with self.connect() as client:
            for upstream in UPSTREAMS:
                with self.subTest(upstream):
                    result = await client.call_tool(f"{upstream}_test_simple_text")
                    self.assertFalse(result.is_error)
                    self.assertIn("simple text response", result.content[0].text)
                    self.assertRegex(json.dumps(result.meta), "call_")

    async def test_a_tool_that_fails_says_so(self):
        async with self.connect() as client:
            for upstream in UPSTREAMS:
                with self.subTest(upstream):
                    result = await client.call_tool(f"{upstream}_test_error_handling")
                    self.assertTrue(result.is_error)

    async def test_progress_of_an_upstream_reaches_the_client(self):
        for upstream in UPSTREAMS:
            with self.subTest(upstream):
                seen = []

                async def note(progress, total, message, seen=seen):
                    seen.append((progress, total, message))

                async with self.connect() as client:
                    tool = f"{upstream}_test_tool_with_progress"
                    result = await client.call_tool(tool, progress_callback=note)
                self.assertFalse(result.is_error)
                # The numbers pass; the upstream's words do not, as nothing has classified them.
                self.assertTrue(seen)
                self.assertLessEqual(set(seen), {(0, 100, None), (50, 100, None), (100, 100, None)})
                self.assertEqual(seen, sorted(set(seen)))

    async def test_a_cancelled_call_is_cancelled_at_the_upstream(self):
        token = {"token": str(uuid.uuid4())}
        running = anyio.Event()

        async def note(*_):
            running.set()

        async with self.connect() as client:
            with anyio.fail_after(LIMIT_S):
                async with anyio.create_task_group() as calls:
                    calls.start_soon(lambda: client.call_tool("slow_wait", token, progress_callback=note))
                    await running.wait()
                    calls.cancel_scope.cancel()
            outcome = await client.call_tool("slow_outcome", token)
        self.assertEqual(outcome.content[0].text, "cancelled")

    async def test_the_filesystem_server_shows_what_its_connector_offers_and_no_more(self):
        async with self.connect() as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            offered = {name for name in tools if name.startswith("files_")}
            self.assertEqual(offered, {"files_read", "files_list_directory"})
            self.assertNotIn("path", tools["files_list_directory"].input_schema.get("properties", {}))
            listing = await client.call_tool("files_list_directory")
            self.assertIn("harbour.txt", listing.content[0].text)
            outside = await client.call_tool("files_read", {"path": "/etc/passwd"})
            self.assertTrue(outside.is_error)
            self.assertNotIn("root:", outside.model_dump_json())
            hidden = await client.call_tool("files_write_file", {"path": "x", "content": "y"})
            self.assertEqual(refusal(hidden), "tool.not_found")


class LegacyClient(Upstreams, unittest.IsolatedAsyncioTestCase):
    version = LEGACY


class ModernClient(Upstreams, unittest.IsolatedAsyncioTestCase):
    version = MODERN


if __name__ == "__main__":
    unittest.main()
