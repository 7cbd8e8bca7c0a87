#!/usr/bin/env python3
"""What the conformance suite runs as "the client": a gateway before the scenario's server, and a client before that.

    MCP_CONFORMANCE_SCENARIO=NAME driver.py URL      the suite sets the variable and gives the address

So a scenario judges what the gateway sends to servers. `client.json` says what is configured for it, and `play.mjs`
is the client, in the era that QM_CLIENT_ERA names. What goes wrong here is noted in QM_SCRATCH, where `client.py` looks.
"""

import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
NAME = os.environ["MCP_CONFORMANCE_SCENARIO"]
SCENARIO = json.loads((HERE / "client.json").read_text())["scenarios"].get(NAME)
if SCENARIO is None:
    # Most scenarios are left out, so the rest is loaded only now.
    sys.exit(0)

import signal  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402

from gateway import Gateway, connector  # noqa: E402
from with_gateway import Trouble, setting  # noqa: E402

LIMIT_S = 25


def play(url: str, folder: pathlib.Path) -> None:
    offers = {member: SCENARIO.get(member, []) for member in ("tools", "prompts", "resources")}
    gateway = Gateway("gateway", folder, [connector("scenario", url, **offers)])
    try:
        environment = {**os.environ, "QM_URL": gateway.url, "QM_TOKEN": gateway.token}
        command = [setting("QM_NODE", "run this by scripts/test-clients.sh"), str(HERE / "play.mjs")]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        if run.returncode != 0:
            raise gateway.child.trouble(f"did not serve its client\n{run.stderr}")
    except subprocess.TimeoutExpired:
        raise gateway.child.trouble(f"kept its client waiting for {LIMIT_S} s") from None
    finally:
        gateway.child.stop()
    gateway.verify()


def main() -> int:
    # The suite ends a client that takes too long; the gateway must end with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir=setting("QM_SCRATCH", "run this by client.py")))
    try:
        play(sys.argv[1], folder)
        return 0
    except Trouble as trouble:
        (folder / "trouble").write_text(f"{NAME}: {trouble}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
