"""How much of bastioncorpus is found, and how often what is harmless is taken for poison.

Usage: measure.py PROGRAM [--json]. PROGRAM reads JSON strings from standard input, one a line, and writes a line of
JSON for each: a list of findings with `rule` and `severity`.

The rules were made while looking at the cases of `seen` alone: those whose id has a SHA-256 that begins with an even
byte. The others were not looked at.
"""

import collections
import hashlib
import importlib.resources
import json
import subprocess
import sys

WEIGHTS = {"low": 0, "medium": 1, "high": 2}


def cases():
    text = importlib.resources.files("bastioncorpus").joinpath("corpus/injections.jsonl").read_text("utf-8")
    for line in text.splitlines():
        if line.strip():
            case = json.loads(line)
            case["seen"] = hashlib.sha256(case["id"].encode()).digest()[0] % 2 == 0
            yield case


def weights(program, cases):
    lines = "".join(json.dumps(case["text"]) + "\n" for case in cases)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    for case, line in zip(cases, done.stdout.splitlines(), strict=True):
        found = json.loads(line)
        case["rules"] = [finding["rule"] for finding in found]
        case["weight"] = max((WEIGHTS[finding["severity"]] for finding in found), default=-1)


def table(title, groups, cases):
    print(f"\n{title:<28} {'medium or high':>16} {'high':>12}")
    for name, group in groups:
        group = list(group)
        if group:
            medium = sum(case["weight"] >= 1 for case in group)
            high = sum(case["weight"] >= 2 for case in group)
            print(f"{name:<28} {medium:>7} of {len(group):>4}  {high:>4} of {len(group):>4}")


def grouped(cases, member):
    groups = collections.defaultdict(list)
    for case in cases:
        groups[case.get(member) or case["category"]].append(case)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def main():
    program = sys.argv[1]
    all_cases = list(cases())
    weights(program, all_cases)
    bad = [case for case in all_cases if case["label"] == "malicious"]
    good = [case for case in all_cases if case["label"] == "benign"]
    if "--json" in sys.argv:
        json.dump(all_cases, sys.stdout, indent=1)
        return
    table("found (recall)", [
        ("all malicious", bad),
        ("  looked at", [case for case in bad if case["seen"]]),
        ("  not looked at", [case for case in bad if not case["seen"]]),
    ], bad)
    table("taken for it (false)", [
        ("all benign", good),
        ("  looked at", [case for case in good if case["seen"]]),
        ("  not looked at", [case for case in good if not case["seen"]]),
    ], good)
    table("malicious by channel", grouped(bad, "channel"), bad)
    table("malicious by language", grouped(bad, "lang"), bad)
    table("malicious by tactic", grouped(bad, "tactic"), bad)
    table("benign by channel", grouped(good, "channel"), good)


main()
