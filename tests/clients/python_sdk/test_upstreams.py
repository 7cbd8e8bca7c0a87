"""The Python SDK's client in each era, through the gateway, to real MCP servers of each era."""

import json
import unittest
import uuid

import anyio
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult
from peer import LEGACY, LIMIT_S, MODERN, over_http, over_stdio, refusal

# `sse` is a server of the SDK itself, over the transport HTTP+SSE.
UPSTREAMS = ("legacy", "modern", "sse")


class Upstreams:
    """What holds whichever era the client speaks. The subclasses say which."""

    version: str

    def connect(self, **options):
        return over_http(self.version, "analyst", **options)

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

    async def test_what_a_server_asks_reaches_the_client_and_its_answer_the_server(self):
        asked = []

        async def ada(_, params):
            asked.append(params.message)
            return ElicitResult(action="accept", content={"name": "Ada", "response": "Ada"})

        async with self.connect(elicitation_callback=ada) as client:
            session = await client.call_tool("legacy_test_elicitation", {"message": "Who is there?"})
            stateless = await client.call_tool("modern_test_input_required_result_elicitation")
            shared = await client.call_tool("sse_test_elicitation", {"message": "Who else?"})
        self.assertIn('"response":"Ada"', session.content[0].text)
        self.assertEqual(stateless.content[0].text, "Hello, Ada!")
        self.assertIn('"response":"Ada"', shared.content[0].text)
        self.assertEqual(asked, ["Who is there?", "What is your name?", "Who else?"])

    async def test_a_client_that_cannot_be_asked_is_told_so_and_nothing_hangs(self):
        async with self.connect() as client:
            for upstream in ("legacy", "sse"):
                session = await client.call_tool(f"{upstream}_test_elicitation", {"message": "Who is there?"})
                self.assertTrue(session.is_error, upstream)
            try:
                code = refusal(await client.call_tool("modern_test_input_required_result_elicitation"))
            except MCPError as error:
                code = error.data["code"]
            self.assertEqual(code, "client.capability")

    async def test_prompts_and_resources_of_upstreams_of_either_era(self):
        async with self.connect() as client:
            prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
            self.assertEqual(prompts, {f"{upstream}_test_prompt_with_arguments" for upstream in UPSTREAMS})
            for upstream in UPSTREAMS:
                with self.subTest(upstream):
                    arguments = {"arg1": "a", "arg2": "b"}
                    prompt = await client.get_prompt(f"{upstream}_test_prompt_with_arguments", arguments)
                    self.assertIn("arg1='a'", prompt.messages[0].content.text)
            listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
            of_sessions = {"test://static-text", "test://static-binary", "test://watched-resource"}
            self.assertEqual(listed, of_sessions | {"sse://note"})
            note = await client.read_resource("sse://note")
            self.assertEqual(note.contents[0].text, "A note over HTTP+SSE.")
            text = await client.read_resource("test://static-text")
            self.assertIn("static text resource", text.contents[0].text)
            data = await client.read_resource("test://template/7/data")
            self.assertIn('"id":"7"', data.contents[0].text)
            for hidden in ("test://template/../../data", "test://nobody", "file:///etc/passwd"):
                with self.assertRaises(MCPError, msg=hidden) as refused:
                    await client.read_resource(hidden)
                self.assertEqual(refused.exception.data["code"], "tool.not_found")

    async def test_what_an_upstream_logs_reaches_the_client_that_called_it(self):
        for upstream in UPSTREAMS:
            with self.subTest(upstream):
                logged = []

                async def note(params, logged=logged):
                    logged.append(params.data)

                async with self.connect(logging_callback=note, log_level="info") as client:
                    result = await client.call_tool(f"{upstream}_test_tool_with_logging")
                self.assertFalse(result.is_error)
                self.assertEqual(len(logged), 3, logged)

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


class OverStdio(unittest.IsolatedAsyncioTestCase):
    async def test_what_a_server_asks_reaches_a_client_of_either_era_over_stdio(self):
        for version in (LEGACY, MODERN):
            with self.subTest(version):
                asked = []

                async def ada(_, params, asked=asked):
                    asked.append(params.message)
                    return ElicitResult(action="accept", content={"name": "Ada", "response": "Ada"})

                async with over_stdio(version, elicitation_callback=ada) as client:
                    session = await client.call_tool("legacy_test_elicitation", {"message": "Who is there?"})
                    stateless = await client.call_tool("modern_test_input_required_result_elicitation")
                self.assertIn('"response":"Ada"', session.content[0].text)
                self.assertEqual(stateless.content[0].text, "Hello, Ada!")
                self.assertEqual(asked, ["Who is there?", "What is your name?"])


if __name__ == "__main__":
    unittest.main()
