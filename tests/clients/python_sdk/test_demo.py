"""The Python SDK's client against the demo, in both eras over HTTP, and over stdio."""

import asyncio
import re
import unittest
import warnings

from peer import LEGACY, MODERN, SCENARIO, call, over_http, over_stdio, refusal, shape

CODEX_SAFE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Demo:
    """What holds in every era. The subclasses say which."""

    version: str

    def connect(self, role: str):
        return over_http(self.version, role)

    async def test_the_server_says_who_it_is(self):
        async with self.connect("analyst") as client:
            self.assertEqual(client.server_info.name, "quaymaster")
            self.assertIsNotNone(client.server_capabilities.tools)

    async def test_the_list_holds_what_the_role_may_see_always_in_the_same_order(self):
        async with self.connect("analyst") as client:
            names = [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
            again = [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
        async with self.connect("analyst") as other:
            elsewhere = [tool.name for tool in (await other.list_tools()).tools]
        self.assertIn(SCENARIO["allowed"]["tool"], names)
        self.assertNotIn(SCENARIO["hidden"]["tool"], names)
        self.assertEqual(names, again)
        self.assertEqual(names, elsewhere)
        for name in names:
            self.assertRegex(name, CODEX_SAFE)

    async def test_annotations_are_honest(self):
        tools = {}
        for role in ("analyst", "support"):
            async with self.connect(role) as client:
                tools |= {tool.name: tool for tool in (await client.list_tools()).tools}
        self.assertTrue(tools[SCENARIO["allowed"]["tool"]].annotations.read_only_hint)
        write = tools[SCENARIO["denied"]["tool"]].annotations
        self.assertEqual((write.read_only_hint, write.destructive_hint), (False, False))
        self.assertNotIn("idempotency_key", tools[SCENARIO["denied"]["tool"]].input_schema["properties"])

    async def test_an_allowed_call_is_answered_with_rows(self):
        async with self.connect("analyst") as client:
            result = await call(client, "allowed")
        self.assertFalse(result.is_error)
        self.assertEqual(result.structured_content["status"], "success")
        self.assertRegex(result.structured_content["audit_id"], "^call_")
        self.assertTrue(result.structured_content["data"]["rows"])
        self.assertTrue(result.content)

    async def test_a_call_that_policy_forbids_is_denied(self):
        async with self.connect("support") as client:
            result = await call(client, "denied")
        self.assertEqual(refusal(result), SCENARIO["denied"]["code"])
        self.assertIn("leave e-mail addresses out", result.structured_content["message"])
        self.assertNotIn("ada@example.test", result.model_dump_json())

    async def test_a_call_that_needs_approval_says_so_and_does_not_run(self):
        async with self.connect("support") as client:
            result = await call(client, "gated")
        self.assertEqual(refusal(result), SCENARIO["gated"]["code"])
        self.assertEqual(result.structured_content["status"], "requires_approval")

    async def test_invalid_arguments_are_refused_without_being_repeated(self):
        async with self.connect("analyst") as client:
            result = await call(client, "invalid")
        self.assertEqual(refusal(result), SCENARIO["invalid"]["code"])
        self.assertNotIn("20260101", shape(result))

    async def test_a_hidden_tool_and_an_unknown_one_are_answered_alike(self):
        async with self.connect("analyst") as client:
            hidden, unknown = await call(client, "hidden"), await call(client, "unknown")
        self.assertEqual(refusal(hidden), SCENARIO["hidden"]["code"])
        names = (SCENARIO["hidden"]["tool"], SCENARIO["unknown"]["tool"])
        self.assertEqual(shape(hidden, *names), shape(unknown, *names))

    async def test_parallel_calls_all_get_their_own_answer(self):
        async with self.connect("analyst") as client:
            results = await asyncio.gather(*(call(client, "allowed") for _ in range(20)))
        ids = {result.structured_content["audit_id"] for result in results}
        self.assertEqual(len(ids), 20)


class LegacyOverHttp(Demo, unittest.IsolatedAsyncioTestCase):
    version = LEGACY

    async def test_ping_is_answered(self):
        async with self.connect("analyst") as client:
            # The SDK warns that the next revision has no ping; this one has.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                await client.send_ping()


class ModernOverHttp(Demo, unittest.IsolatedAsyncioTestCase):
    version = MODERN


class OverStdio(unittest.IsolatedAsyncioTestCase):
    async def test_both_eras_list_call_and_refuse(self):
        for version in (LEGACY, MODERN):
            with self.subTest(version):
                async with over_stdio(version) as client:
                    names = [tool.name for tool in (await client.list_tools()).tools]
                    self.assertIn(SCENARIO["allowed"]["tool"], names)
                    result = await call(client, "allowed")
                    self.assertEqual(result.structured_content["status"], "success")
                    self.assertEqual(refusal(await call(client, "unknown")), SCENARIO["unknown"]["code"])


if __name__ == "__main__":
    unittest.main()
