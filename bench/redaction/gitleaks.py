"""Secrets against the samples of gitleaks: which of its true positives are found, which of its false positives are not.

    python3 gitleaks.py REPOSITORY BINARY      (a clone of github.com/gitleaks/gitleaks; the example `records`)

Its rules are written in Go, each with samples beside it. They are read here and never copied: literal samples are taken as
they are, generated ones (`secrets.NewSecret(<expression>)`) are made anew with a fixed seed. What cannot be read that way is counted.
"""

import json
import random
import re
import subprocess
import sys
from collections import defaultdict

try:
    from re import _constants as codes, _parser as parser
except ImportError:
    import sre_constants as codes, sre_parse as parser

R = random.Random(20260722)
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def generate(pattern):
    """A text that the expression fits."""
    out = []
    for code, value in pattern:
        if code is codes.LITERAL:
            out.append(chr(value))
        elif code is codes.IN:
            choices = []
            for kind, inner in value:
                if kind is codes.LITERAL:
                    choices.append(chr(inner))
                elif kind is codes.RANGE:
                    choices += [chr(c) for c in range(inner[0], inner[1] + 1)]
                elif kind is codes.CATEGORY:
                    choices += list("0123456789" if inner is codes.CATEGORY_DIGIT else ALPHABET + "_")
            out.append(R.choice(choices or list(ALPHABET)))
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, inner = value
            most = least + 10 if most is codes.MAXREPEAT else most
            out += [generate(inner) for _ in range(R.randint(least, most))]
        elif code is codes.SUBPATTERN:
            out.append(generate(value[3]))
        elif code is codes.BRANCH:
            out.append(generate(R.choice(value[1])))
        elif code is codes.ANY:
            out.append(R.choice(ALPHABET))
    return "".join(out)


def new(expression, *_):
    return generate(parser.parse(expression.replace("(?i:", "(?:").replace("(?-i:", "(?:").replace("(?i)", "")))


NAMESPACE = {
    "new": new,
    "hex_": lambda n: f"[a-f0-9]{{{n}}}", "numeric": lambda n: f"[0-9]{{{n}}}", "alnum": lambda n: f"[a-z0-9]{{{n}}}",
    "short": lambda n: f"[a-z0-9_-]{{{n}}}", "extended": lambda n: rf"[a-z0-9=_\-]{{{n}}}", "long": lambda n: rf"[a-z0-9\/=_\+\-]{{{n}}}",
    "uuid": lambda: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
}
CALLS = [
    (r"secrets\.NewSecretWithEntropy", "new"), (r"secrets\.NewSecret", "new"), (r"utils\.Hex8_4_4_4_12", "uuid"), (r"utils\.Hex", "hex_"), (r"utils\.Numeric", "numeric"),
    (r"utils\.AlphaNumericExtendedLong", "long"), (r"utils\.AlphaNumericExtendedShort", "short"), (r"utils\.AlphaNumericExtended", "extended"), (r"utils\.AlphaNumeric", "alnum"),
]


def value(expression):
    """The text that an expression in Go is, or nothing if it is more than strings and generators."""
    parts, rest = [], expression.strip()
    for raw, quoted, code in re.findall(r"`([^`]*)`|(\"(?:[^\"\\\n]|\\.)*\")|([^`\"]+)", rest):
        if code:
            for call, name in CALLS:
                code = re.sub(call, name, code)
            code = re.sub(r"//.*", "", code)
            parts.append(code.replace("\n", " "))
        else:
            parts.append(repr(raw) if not quoted else quoted)
    try:
        made = eval("(" + "".join(parts) + ")", {"__builtins__": {}}, NAMESPACE)  # Of a repository that was looked at.
        return made if isinstance(made, str) else None
    except Exception:
        return None


def items(body):
    """The elements of a list in Go: cut at commas that stand in no text and no brackets."""
    depth, start, at, out = 0, 0, 0, []
    while at < len(body):
        c = body[at]
        if c in "`\"":
            end = at + 1
            while end < len(body) and body[end] != c:
                end += 2 if c == '"' and body[end] == "\\" else 1
            at = end
        elif body.startswith("//", at):
            end = body.find("\n", at)
            body = body[:at] + body[end if end >= 0 else len(body) :]
            continue
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0:
                out.append(body[start:at])
                return [i for i in out if i.strip()], at
        elif c == "," and depth == 0:
            out.append(body[start:at])
            start = at + 1
        at += 1
    return [i for i in out + [body[start:]] if i.strip()], at


FORMS = ["{0}_api_token = \"{1}\"", "\"{0}_secret\": \"{1}\"", "{0}Token: {1}", "export {0}_KEY='{1}'", "{0}.key => \"{1}\"", "var {0}Key = `{1}`"]


def samples(source):
    """The samples of a file: rule, text, whether it is a secret. And how many could not be read."""
    unread = 0
    for function in re.split(r"\nfunc ", source)[1:]:
        rule = re.search(r"RuleID:\s+\"([^\"]+)\"", function)
        if not rule:
            continue
        for name, is_secret in (("tps", True), ("fps", False)):
            for found in re.finditer(rf"{name}\s*:?=\s*\[\]string\{{", function):
                elements, _ = items(function[found.end() :])
                for element in elements:
                    text = value(element)
                    if text is None:
                        unread += 1
                    else:
                        yield rule[1], text, is_secret
        for found in re.finditer(r"GenerateSampleSecrets\(", function):
            arguments, _ = items(function[found.end() :])
            if len(arguments) == 2:
                identifier, secret = value(arguments[0]), value(arguments[1])
                if identifier is None or secret is None:
                    unread += 1
                else:
                    for form in FORMS:
                        yield rule[1], form.format(identifier, secret), True
    if unread:
        yield None, str(unread), False


def main():
    repository, binary = sys.argv[1:3]
    git = lambda *a: subprocess.run(["git", "-C", repository, *a], check=True, capture_output=True, text=True).stdout
    files = [f for f in git("ls-tree", "-r", "--name-only", "HEAD", "cmd/generate/config/rules").split("\n") if f.endswith(".go") and not f.endswith("_test.go")]
    all_samples, unread = [], 0
    for file in files:
        for rule, text, is_secret in samples(git("show", f"HEAD:{file}")):
            if rule is None:
                unread += int(text)
            else:
                all_samples.append((rule, text, is_secret))
    records = "".join(json.dumps({"text": text}) + "\n" for _, text, _ in all_samples)
    done = subprocess.run([binary], input=records, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in done.splitlines():
        line = json.loads(line)
        if line.get("class", "refused").startswith(("secret_", "refused")):
            found.setdefault(line["record"], []).append(line.get("detector"))
    by_rule = defaultdict(lambda: [0, 0])
    true, false = [0, 0], [0, 0]
    for number, (rule, text, is_secret) in enumerate(all_samples):
        tally = true if is_secret else false
        tally[0] += number in found
        tally[1] += 1
        if is_secret:
            by_rule[rule][0] += number in found
            by_rule[rule][1] += 1
        if "--misses" in sys.argv and is_secret != (number in found):
            print("missed" if is_secret else "wrong", rule, text[:160].replace("\n", "\\n"), found.get(number))
    whole = sum(1 for hit, count in by_rule.values() if hit == count)
    some = sum(1 for hit, _ in by_rule.values() if hit)
    print(f"commit {git('rev-parse', 'HEAD').strip()[:8]}: {len(by_rule)} rules with samples, {unread} samples not read")
    print(f"true positives found: {true[0]} of {true[1]} ({100 * true[0] / true[1]:.1f} %); rules all of whose samples are found: {whole}, some: {some}")
    print(f"false positives found: {false[0]} of {false[1]} ({100 * false[0] / false[1]:.1f} %)")


main()
