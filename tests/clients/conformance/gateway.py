"""A gateway with one workspace and one role, in front of the MCP servers of a test, with token, policy and audit on."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from with_gateway import Child, free_port, setting  # noqa: E402

SETTINGS = """apiVersion: quaymaster/v1
listen: {{ address: "127.0.0.1:{port}" }}
dataFolder: ./data
workspaces:
  suite: {{ title: Suite, catalogue: {{ search: never }} }}
defaultWorkspace: suite
roles:
  suite: {{ clearance: internal }}
"""

CONNECTOR = """apiVersion: connector/v1
kind: Connector
metadata: {{ name: {name}, version: 1.0.0, owner: {{ team: t, contact: t@example.test }}, workspaces: [suite] }}
spec:
  engine: mcp
  prefix: ""
  server: {{ transport: http, url: "{url}", era: {era} }}
  limits: {{ timeout: 30s, bytes: 4MiB }}
  classification: {{ default: internal }}
{offers}
"""


def connector(name: str, url: str, era: str = "auto", *, tools=(), prompts=(), resources=()) -> tuple[str, str]:
    """The name and the text of a connector; `resources` are patterns of addresses."""
    access = "access: { roles: [suite] }"
    # Our names have no hyphens.
    lines = {
        "tools": [f"{{ name: {tool}, rename: {tool.replace('-', '_')}, effect: read, {access} }}" for tool in tools],
        "prompts": [f"{{ name: {prompt}, {access} }}" for prompt in prompts],
        "resources": [f'{{ name: group_{at}, uri: "{uri}", {access} }}' for at, uri in enumerate(resources)],
    }
    offers = [line for member, items in lines.items() if items for line in [f"  {member}:", *(f"    - {item}" for item in items)]]
    return name, CONNECTOR.format(name=name, url=url, era=era, offers="\n".join(offers))


class Gateway:
    """Quaymaster serving `connectors`."""

    def __init__(self, name: str, folder: pathlib.Path, connectors: list[tuple[str, str]]):
        self.binary = setting("QM_BIN", "run this by scripts/test-clients.sh")
        self.folder = folder / name
        (self.folder / "connectors").mkdir(parents=True)
        (self.folder / "policies").mkdir()
        (self.folder / "quaymaster.yaml").write_text(SETTINGS.format(port=free_port()))
        for file, text in connectors:
            (self.folder / "connectors" / f"{file}.yaml").write_text(text)
        config = ["--config", str(self.folder)]
        made = [*config, "--actor", "suite", "--role", "suite", "--workspace", "suite", "--expires", "1d"]
        self.token = subprocess.check_output([self.binary, "token", "create", *made], text=True).strip()
        self.child = Child(name, [self.binary, "serve", *config, "--json"], folder)
        try:
            self.url = self.child.json_line()["mcp_url"]
        except BaseException:
            self.child.stop()
            raise

    def verify(self) -> None:
        subprocess.run([self.binary, "audit", "verify", "--config", str(self.folder)], check=True, stdout=subprocess.DEVNULL)
