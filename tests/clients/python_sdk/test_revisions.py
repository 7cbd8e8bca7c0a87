"""Clients of old revisions, in raw HTTP: no current SDK speaks 2024-11-05 or 2025-03-26 as its own."""

import http.client
import json
import os
import unittest
import urllib.parse

from peer import LIMIT_S, token


class Answer:
    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.text = answer.read().decode()

    def json(self):
        return json.loads(self.text)


class Session:
    """A session of one revision, opened by hand."""

    def __init__(self, version: str, capabilities: dict | None = None):
        self.url = urllib.parse.urlsplit(os.environ["QM_URL"])
        self.http = http.client.HTTPConnection(self.url.netloc, timeout=LIMIT_S)
        self.headers = {
            "Authorization": f"Bearer {token('analyst')}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        info = {"name": "by-hand", "version": "1"}
        params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": info}
        answer = self.post(request(0, "initialize", params))
        self.opened = answer.json()["result"]
        self.headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, method: str, body: str | None = None, **headers) -> Answer:
        self.http.request(method, self.url.path, body, self.headers | headers)
        return Answer(self.http.getresponse())

    def post(self, message, **headers) -> Answer:
        return self.send("POST", json.dumps(message), **headers)

    def messages(self, message) -> list[dict]:
        """Everything that is said in answer, events or not."""
        answer = self.post(message)
        if answer.headers["Content-Type"] == "text/event-stream":
            lines = answer.text.splitlines()
            return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        said = answer.json()
        return said if isinstance(said, list) else [said]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.send("DELETE")
        self.http.close()


def request(id, method: str, params: dict | None = None) -> dict:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def call(id, tool: str, arguments: dict | None = None, **meta) -> dict:
    return request(id, "tools/call", {"name": tool, "arguments": arguments or {}, "_meta": meta})


class Revisions(unittest.TestCase):
    def test_every_revision_lists_and_calls(self):
        for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
            with self.subTest(version), Session(version) as session:
                self.assertEqual(session.opened["protocolVersion"], version)
                (listed,) = session.messages(request(1, "tools/list"))
                names = {tool["name"] for tool in listed["result"]["tools"]}
                self.assertIn("legacy_test_simple_text", names)
                (answer,) = session.messages(call(2, "legacy_test_simple_text"))
                self.assertIn("simple text response", answer["result"]["content"][0]["text"])
                other = "2025-06-18" if version != "2025-06-18" else "2025-11-25"
                for named, status in ((version, 200), (other, 400)):
                    answer = session.post(request(3, "ping"), **{"MCP-Protocol-Version": named})
                    self.assertEqual(answer.status, status, named)

    def test_a_batch_is_answered_message_by_message(self):
        with Session("2025-03-26") as session:
            said = session.messages(
                [
                    request(1, "ping"),
                    call(2, "legacy_test_tool_with_progress", progressToken="p"),
                    call(3, "modern_test_simple_text"),
                    call(4, "no_such_tool"),
                    request(5, "no/such"),
                ]
            )
        answers = {message["id"]: message for message in said if "id" in message}
        self.assertEqual(set(answers), {1, 2, 3, 4, 5})
        self.assertIn("simple text response", answers[3]["result"]["content"][0]["text"])
        self.assertTrue(answers[4]["result"]["isError"])
        self.assertEqual(answers[5]["error"]["code"], -32601)
        progress = [m["params"]["progress"] for m in said if m.get("method") == "notifications/progress"]
        self.assertTrue(progress)
        self.assertEqual(progress, sorted(progress))

    def test_a_batch_is_refused_in_every_other_revision(self):
        for version in ("2024-11-05", "2025-06-18", "2025-11-25"):
            with self.subTest(version), Session(version) as session:
                answer = session.post([request(1, "ping")])
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, -32600))

    def test_a_client_of_an_old_revision_is_not_asked_to_elicit_though_it_claims_so(self):
        with Session("2025-03-26", {"elicitation": {"form": {}}}) as session:
            said = session.messages(call(1, "legacy_test_elicitation", {"message": "Who is there?"}))
        self.assertNotIn("elicitation/create", [message.get("method") for message in said])
        self.assertTrue(said[-1]["result"]["isError"])


if __name__ == "__main__":
    unittest.main()
