#!/usr/bin/env python3
"""The demo on a file system that is really full: nothing runs without a record, and nothing is lost.

Run by `scripts/test-clients.sh tlog` in a mount namespace of its own, where this may mount a small file system.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

REVISION = "2026-07-28"
LIMIT_S = 60


def call(url, token, tool, arguments):
    """The result of a call, or the protocol's error."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": REVISION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


def until(what, is_so):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if is_so():
            return
        time.sleep(0.2)
    raise AssertionError(f"{what} never came about")


def main():
    place = pathlib.Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)], check=True)
    command = [os.environ["QM_BIN"], "demo", "--json", "--listen", "127.0.0.1:0", "--data", str(place / "demo")]
    gateway = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = json.loads(gateway.stdout.readline())
        url, token = ready["mcp_url"], ready["tokens"]["analyst"]
        tool, arguments = "metrics_monthly_revenue", {"from": "2026-01-01", "to": "2026-04-01"}

        def works():
            return "audit.unavailable" not in json.dumps(call(url, token, tool, arguments))

        assert works(), "the demo answers"
        filler = place / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        until("that nothing runs on a full disk", lambda: not works())
        assert not works(), "and it stays so"
        filler.unlink()
        until("that it goes on", works)
        verify = [os.environ["QM_BIN"], "audit", "verify", "--json", "--config", str(place / "demo")]
        done = subprocess.run(verify, capture_output=True, text=True, timeout=60)
        found = json.loads(done.stdout)
        assert found["intact"], found["problems"]
        events = found["events"]
        # The intent of a call that was refused for want of a record may have been stored later.
        assert events["call.intent"] >= events["call.outcome"] >= 2, events
        print(f"a full disk stopped calls until there was room; {found['records']} records, intact")
    finally:
        gateway.terminate()
        gateway.wait(timeout=30)
        subprocess.run(["umount", str(place)], check=False)
        place.rmdir()


if __name__ == "__main__":
    sys.exit(main())
