#!/usr/bin/env python3
"""`quaymaster policy prove` with a real solver, on the demo's policies and on changed copies of them.

Run by `scripts/test-clients.sh prove`, beside a gateway that serves the demo.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = pathlib.Path(os.environ["QM_CONFIG"])
ESCALATION = "desk_create_support_escalation"
CRITICAL = 'context.arguments.severity == "critical"'

FLOW = [
    "flow.confidential-is-not-published",
    "flow.restricted-stays-inside",
    "flow.strangers-do-not-send-private-data",
    "flow.strangers-do-not-write-outside",
]


def prove(*arguments, config=CONFIG, solver=HERE / "cvc5"):
    """The exit code, the answer, and what was said on standard error."""
    what, *others = arguments
    command = [os.environ["QM_BIN"], "policy", "prove", what, "--json", "--connect", "--config", str(config)]
    path = f"{pathlib.Path(os.environ['QM_PYTHON']).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "CVC5": str(solver), "PATH": path}
    done = subprocess.run(command + others, env=environment, capture_output=True, text=True, timeout=300)
    answer = json.loads(done.stdout) if done.stdout else None
    return done.returncode, answer, done.stderr


def findings(answer, what="tool"):
    return {finding[what]: finding["finding"] for finding in answer["findings"]}


class Proofs(unittest.TestCase):
    def changed(self, change):
        """The demo's policies, with `change` made to the text of its escalations."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["QM_SCRATCH"]))
        text = (CONFIG / "policies/escalations.cedar").read_text()
        changed = change(text)
        self.assertNotEqual(text, changed)
        (folder / "escalations.cedar").write_text(changed)
        shutil.copy(CONFIG / "policies/information-flow.cedar", folder)
        return folder

    def test_what_is_never_allowed_is_proved_and_what_is_not_has_an_example(self):
        claim = ["--tool", ESCALATION, "--when", CRITICAL]
        code, answer, said = prove("never", *claim, "--unapproved")
        self.assertEqual((code, answer and answer["holds"]), (0, True), said)
        code, answer, said = prove("never", *claim)
        self.assertEqual(code, 1, said)
        example = answer["findings"][0]["example"]
        self.assertIn("support", example["roles"])
        context = "\n".join(example["context"])
        self.assertIn('"critical"', context)
        self.assertIn("approved = true", context)
        code, answer, said = prove("never", *claim, "--role", "analyst")
        self.assertEqual((code, answer and answer["holds"]), (0, True), said)
        address = 'context.arguments.summary like "*@*"'
        code, answer, said = prove("never", "--tool", ESCALATION, "--when", address)
        self.assertEqual((code, answer and answer["holds"]), (0, True), said)

    def test_no_time_and_no_environment_is_there_that_cannot_be(self):
        impossible = "context.time.hour > 23 || context.time.weekday == 0 || context.environment != resource.environment"
        code, answer, said = prove("never", "--when", impossible)
        self.assertEqual((code, answer and answer["holds"]), (0, True), said)
        self.assertGreater(len(answer["findings"]), 3)

    def test_policies_that_allow_less_are_implied_and_others_are_not(self):
        stricter = self.changed(lambda text: text.replace('severity != "critical"', 'severity == "low"'))
        code, answer, said = prove("implies", "--policies", str(stricter))
        self.assertEqual((code, answer and answer["holds"]), (0, True), said)
        lenient = self.changed(lambda text: text.replace('@approval("support_manager")', ""))
        code, answer, said = prove("implies", "--policies", str(lenient))
        self.assertEqual(code, 1, said)
        self.assertEqual({tool for tool, found in findings(answer).items() if found == "fails"}, {ESCALATION})
        example = next(one for one in answer["findings"] if one["tool"] == ESCALATION)["example"]
        self.assertIn("approved = false", example["context"])

    def test_a_policy_that_changes_nothing_is_found(self):
        # In the demo everything stays inside, so what is said of the outside changes nothing.
        of_flow = dict.fromkeys(FLOW, "holds")
        code, answer, said = prove("useless")
        self.assertEqual((code, answer and findings(answer, "policy")), (1, of_flow), said)
        more = """
            @id("twice") permit (principal in Role::"support", action == Action::"call",
              resource == Tool::"%s") when { context.arguments.severity == "low" };
            @id("at-25") forbid (principal, action == Action::"call", resource) when { context.time.hour == 25 };
        """ % ESCALATION
        config = pathlib.Path(tempfile.mkdtemp(dir=os.environ["QM_SCRATCH"])) / "config"
        shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("data", "*.db*", "*.sock"))
        with (config / "policies/escalations.cedar").open("a") as policies:
            policies.write(more)
        code, answer, said = prove("useless", config=config)
        self.assertEqual(code, 1, said)
        self.assertEqual(findings(answer, "policy"), {"twice": "holds", "at-25": "holds", **of_flow})

    def test_what_cannot_be_asked_has_a_code(self):
        code, answer, said = prove("never", "--when", "context.arguments.severity ==")
        self.assertEqual((code, answer), (2, None))
        self.assertIn("proof.condition", said)
        code, answer, said = prove("never", "--tool", ESCALATION, "--when", "context.arguments.no_such == 1")
        self.assertEqual((code, answer), (2, None), said)
        self.assertIn("proof.condition", said)
        code, answer, said = prove("never", solver="/no/such/solver")
        self.assertEqual((code, answer), (4, None))
        self.assertIn("proof.no_solver", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
