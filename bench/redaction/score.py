"""Scores findings against what is known.

    python3 score.py truth.jsonl ours.jsonl presidio.jsonl [--misses]

Right-type recall: the share of values of a class of which findings of that class cover at least four fifths. Precision: the share
of findings of a class that lie on a value of that class. False positives: the share of values that are nobody's on which
there is any finding; of a sentence, one that lies on nothing personal and is of a class in the table.
"""

import json
import sys
from collections import defaultdict

# Names and addresses in sentences are the business of a model of language, and cities are no class here.
STRUCTURED = ["email", "phone", "credit_card", "iban", "ssn", "national_id", "ip", "mac", "date_of_birth"]
ALL = STRUCTURED + ["person_name", "address"]


def read(path):
    return [json.loads(line) for line in open(path)]


def overlap(a, b):
    return max(0, min(a["end"], b["end"]) - max(a["start"], b["start"]))


def score(truth, findings):
    gold, found = defaultdict(list), defaultdict(list)
    for item in truth:
        gold[item["record"], item["path"]].append(item)
    for item in findings:
        if "path" in item:
            found[item["record"], item["path"]].append(item)
    form = {item["record"]: item["form"] for item in truth}
    recall, precision, nobody = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    missed, wrong = [], []
    for key, items in gold.items():
        here = found.get(key, [])
        for item in items:
            kind = item["class"]
            if kind is None:
                alone = [f for f in here if not any(g["class"] and overlap(f, g) for g in items)]
                if item["field"] == "sentence":
                    alone = [f for f in alone if f["class"] in STRUCTURED]
                nobody[item["field"]][0] += bool(alone)
                nobody[item["field"]][1] += 1
                wrong += [(key, f) for f in alone]
                continue
            covered = sum(overlap(f, item) for f in here if f["class"] == kind)
            hit = covered >= 0.8 * (item["end"] - item["start"])
            for scope in ("all", item["form"]):
                recall[kind, scope][0] += hit
                recall[kind, scope][1] += 1
            if not hit:
                missed.append((key, item, here))
    for (record, path), items in found.items():
        for item in items:
            right = any(g["class"] == item["class"] and overlap(item, g) for g in gold.get((record, path), []))
            for scope in ("all", form[record]):
                precision[item["class"], scope][0] += right
                precision[item["class"], scope][1] += 1
    return recall, precision, nobody, missed, wrong


def share(pair):
    return "–" if not pair[1] else f"{pair[0] / pair[1]:.3f}"


def main():
    truth = read(sys.argv[1])
    results = [score(truth, read(path)) for path in sys.argv[2:4]]
    for scope in ["all", "named", "unnamed", "sentence"]:
        print(f"\n| {scope} | values | recall | Presidio | precision | Presidio |\n|---|---|---|---|---|---|")
        for kind in ALL:
            if results[0][0][kind, scope][1]:
                cells = [share(r[part][kind, scope]) for part in (0, 1) for r in results]
                print(f"| {kind} | {results[0][0][kind, scope][1]} | {' | '.join(cells)} |")
    print("\n| nobody's | values | false positives | Presidio |\n|---|---|---|---|")
    for field in sorted(results[0][2]):
        cells = [f"{100 * r[2][field][0] / r[2][field][1]:.2f} %" for r in results]
        print(f"| {field} | {results[0][2][field][1]} | {' | '.join(cells)} |")
    if "--misses" in sys.argv:
        records = open(sys.argv[1].replace("truth", "records")).read().splitlines()
        for (record, path), item, here in results[0][3]:
            print("missed", item["form"], item["locale"], item["class"], path, [(f["class"], f["detector"], f["start"], f["end"]) for f in here], records[record][:400] if item["form"] == "sentence" else json.loads(records[record]).get(path.split("/")[-1]) or json.loads(records[record]).get("customer", {}).get(path.split("/")[-1]), (item["start"], item["end"]))
        for (record, path), found in results[0][4]:
            print("wrong", path, found["class"], found["detector"], found["start"], found["end"], records[record][:300])


main()
