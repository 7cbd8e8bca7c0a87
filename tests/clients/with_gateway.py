#!/usr/bin/env python3
"""Runs a command with a real Quaymaster serving beside it, and stops it on every way out.

    with_gateway.py [--upstreams | --console] -- COMMAND [ARG...]

Without `--upstreams` the demo serves. With it, the demo's configuration is extended by five MCP
upstreams (one in each protocol era and one of tasks over HTTP, one of the Python SDK over HTTP+SSE,
the filesystem server and `slow.mjs` over stdio) and `quaymaster serve` serves that. With `--console` it
gets a console, a local user who decides, and a mail server.

The command finds everything in its environment:

    QM_BIN               the binary under test (set by the caller)
    QM_URL               the MCP address, for all workspaces
    QM_WORKSPACE_URL     the MCP address of the demo's workspace
    QM_TOKEN_ANALYST     tokens of the demo's two roles
    QM_TOKEN_SUPPORT
    QM_CONFIG            the configuration folder that is being served
    QM_FILES             the folder that the filesystem server shows (`--upstreams` only)
    QM_SCRATCH           a folder that is removed in the end
    QM_CONSOLE           where the console is, and the file with a line of JSON for each mail
    QM_MAILS             (`--console` only)
    QM_MAIL_PORT         where its mail server is, which knows no TLS (`--console` only)
    QM_CERTIFICATES      a folder with certificates for others; the gateway trusts `ca.pem` there
                         (`--console` only)

It exits with the command's status, or 2 if the gateway could not be started.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
UPSTREAMS = HERE.parent / "upstream"
START_LIMIT_S = 60
STOP_LIMIT_S = 15
COMMAND_LIMIT_S = 900


class Trouble(Exception):
    """What kept the gateway from serving, for people."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def setting(name: str, hint: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Trouble(f"{name} is not set; {hint}")
    return value


class Child:
    """A process that we start, read from, and certainly stop."""

    def __init__(self, name: str, command: list[str], folder: pathlib.Path, env: dict[str, str] | None = None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )

    def trouble(self, what: str) -> Trouble:
        tail = self.log.read_text(errors="replace")[-3000:]
        return Trouble(f"{self.name} {what}\n--- end of its log ---\n{tail}")

    def first_line(self) -> str:
        deadline = time.monotonic() + START_LIMIT_S
        line = b""
        pipe = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self.trouble(f"said nothing within {START_LIMIT_S} s")
            byte = os.read(pipe, 1)
            if not byte:
                raise self.trouble(f"ended with status {self.process.wait()} before it served")
            line += byte
        return line.decode()

    def json_line(self) -> dict:
        line = self.first_line()
        try:
            return json.loads(line)
        except ValueError:
            raise self.trouble(f"printed something else than JSON: {line!r}") from None

    def listens(self, port: int) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.trouble(f"ended with status {self.process.returncode} before it served")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise self.trouble(f"does not listen on port {port} after {START_LIMIT_S} s")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                print(f"with_gateway: {self.name} ignored SIGTERM for {STOP_LIMIT_S} s", file=sys.stderr)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Gateway:
    """The demo, or the demo's configuration with more upstreams, and what is behind it."""

    def __init__(self, folder: pathlib.Path, mode: str):
        self.binary = ""
        self.folder = folder
        self.children: list[Child] = []
        self.mode = mode

    def start(self) -> dict[str, str]:
        self.binary = setting("QM_BIN", "run the tests by scripts/test-clients.sh")
        facts = self.demo("demo")
        variables = {
            "QM_URL": facts["mcp_url"],
            "QM_WORKSPACE_URL": facts["workspace_url"],
            "QM_TOKEN_ANALYST": facts["tokens"]["analyst"],
            "QM_TOKEN_SUPPORT": facts["tokens"]["support"],
            "QM_CONFIG": facts["config"],
            "QM_SCRATCH": str(self.folder),
        }
        if self.mode == "--console":
            self.children.pop().stop()
            variables.update(self.add_console(pathlib.Path(facts["config"])))
            trust = {"SSL_CERT_FILE": f"{variables['QM_CERTIFICATES']}/ca.pem", "RUST_LOG": "info"}
            gateway = self.run("gateway", [self.binary, "serve", "--config", facts["config"], "--json"], trust)
            variables["QM_CONSOLE"] = gateway.json_line()["console_url"]
        if self.mode == "--upstreams":
            self.children.pop().stop()
            workspace = urllib.parse.urlsplit(facts["workspace_url"]).path.split("/")[2]
            variables["QM_FILES"] = self.add_upstreams(pathlib.Path(facts["config"]), workspace)
            gateway = self.run("gateway", [self.binary, "serve", "--config", facts["config"], "--json"])
            gateway.json_line()
        return variables

    def demo(self, name: str) -> dict:
        data = str(self.folder / name)
        listen = f"127.0.0.1:{free_port()}"
        return self.run(name, [self.binary, "demo", "--data", data, "--listen", listen, "--json"]).json_line()

    def run(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        child = Child(name, command, self.folder, env)
        self.children.append(child)
        return child

    def add_upstreams(self, config: pathlib.Path, workspace: str) -> str:
        """Starts the HTTP upstreams and writes a connector for each upstream; gives the files' folder."""
        node = setting("QM_NODE", "run the tests by scripts/test-clients.sh")
        modules = HERE / "node_modules"
        files = self.folder / "files"
        files.mkdir()
        (files / "harbour.txt").write_text("Quay 7 is free at noon.\n")
        values = {"WORKSPACE": workspace, "NODE": node, "MODULES": str(modules), "UPSTREAMS": str(UPSTREAMS), "FILES": str(files)}
        for era in ("legacy", "modern"):
            port = free_port()
            values[f"{era.upper()}_PORT"] = str(port)
            command = [node, str(UPSTREAMS / "everything.mjs")]
            self.run(f"upstream-{era}", command, {"PORT": str(port), "ERA": era}).listens(port)
        values["SSE_PORT"] = str(free_port())
        python = setting("QM_PYTHON", "run the tests by scripts/test-clients.sh")
        command = [python, str(HERE / "python_sdk" / "sse_upstream.py"), values["SSE_PORT"]]
        self.run("upstream-sse", command).listens(int(values["SSE_PORT"]))
        values["TASKS_PORT"] = str(free_port())
        command = [node, str(HERE / "typescript_sdk" / "tasks_server.mjs")]
        self.run("tasks", command, {"PORT": values["TASKS_PORT"]}).listens(int(values["TASKS_PORT"]))
        for template in sorted((HERE / "connectors").glob("*.yaml")):
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", value)
            (config / "connectors" / template.name).write_text(text)
        return str(files)

    def add_console(self, config: pathlib.Path) -> dict[str, str]:
        """Starts a mail server and has the configuration tell of requests there; gives where all that is."""
        port, mails = free_port(), str(self.folder / "mails")
        python = setting("QM_PYTHON", "run the tests by scripts/test-clients.sh")
        self.run("mail", [python, str(HERE / "console" / "mail_server.py"), str(port), mails]).listens(port)
        certificates = self.folder / "certificates"
        certificates.mkdir()
        subprocess.run([python, str(HERE / "console" / "certificates.py"), str(certificates)], check=True)
        settings = config / "quaymaster.yaml"
        text = settings.read_text()
        for old, new in [
            ("  allowedHosts: []", "  console: 127.0.0.1:0\n  allowedHosts: []"),
            ("localUser: { roles: [analyst, support],", "localUser: { roles: [support_manager],"),
        ]:
            if old not in text:
                raise Trouble(f"the demo's settings have no `{old}`")
            text = text.replace(old, new)
        text += f"""
approvals:
  email:
    host: 127.0.0.1
    port: {port}
    tls: none
    from: Quaymaster <approvals@example.test>
    to: {{ support_manager: [mo@example.test] }}
    workspaces: [sales]
"""
        settings.write_text(text)
        return {"QM_MAILS": mails, "QM_MAIL_PORT": str(port), "QM_CERTIFICATES": str(certificates)}

    def stop(self) -> None:
        while self.children:
            self.children.pop().stop()


def run(command: list[str], mode: str) -> int:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="quaymaster-clients."))
    gateway = Gateway(folder, mode)
    try:
        variables = gateway.start()
        status = subprocess.run(command, env={**os.environ, **variables}, timeout=COMMAND_LIMIT_S).returncode
        if status != 0:
            for log in sorted(folder.glob("*.log")):
                print(f"--- end of {log.name} ---\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        return status
    except subprocess.TimeoutExpired:
        print(f"with_gateway: the command was stopped after {COMMAND_LIMIT_S} s", file=sys.stderr)
        return 1
    except Trouble as trouble:
        print(f"with_gateway: {trouble}", file=sys.stderr)
        return 2
    finally:
        gateway.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    # SIGTERM unwinds like an exception, so that `finally` stops what was started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGHUP, lambda number, _: sys.exit(128 + number))
    arguments = sys.argv[1:]
    if "--" not in arguments or not arguments[arguments.index("--") + 1 :]:
        print(__doc__, file=sys.stderr)
        return 2
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    if options not in ([], ["--upstreams"], ["--console"]):
        print(__doc__, file=sys.stderr)
        return 2
    return run(command, "".join(options))


if __name__ == "__main__":
    sys.exit(main())
