#!/usr/bin/env python3
"""Prints what docs/benchmarks.md holds: the ratios, the start and the memory, against the goals.

    report.py RESULT.json EMPTY.json

RESULT is what `mcp-bench compare --out` wrote, EMPTY what empty.py did. A scenario with errors has
no ratio: a gateway that answers wrongly is not fast.
"""

import json
import sys

GOALS = {"ratio": 3.0, "rss_mib": 20.0, "first_call_ms": 100.0}


def verdict(value: float, goal: float) -> str:
    return f"{'within' if value <= goal else 'ABOVE'} the goal of {goal:g}"


def ratio(row: dict) -> str:
    if row["errors"]:
        return f"{row['errors']} errors"
    if row["cpu_vs_floor"] is None:
        return "–"
    text = f"{row['cpu_vs_floor']:.2f}"
    return f"{text} ({verdict(row['cpu_vs_floor'], GOALS['ratio'])})" if row["target"] == "quaymaster" else text


def main() -> None:
    result, empty = (json.load(open(path)) for path in sys.argv[1:])
    print("| scenario | target | CPU µs a call | × pooled | calls/s | p50 µs | p99 µs | RSS MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in result["summary"]:
        cpu, rss = row["cpu_us_per_call"], row["rss_mib"]
        print(
            f"| {row['scenario']} | {row['target']} | {cpu['median']:.0f} |" if cpu else f"| {row['scenario']} | {row['target']} | – |",
            f"{ratio(row)} | {row['per_second']['median']:.0f} | {row['p50_us']['median']:.0f} |",
            f"{row['p99_us']['median']:.0f} | {rss:.1f} |" if rss else f"{row['p99_us']['median']:.0f} | – |",
        )
    print()
    for name, start in result["cold_start"].items():
        goal = f" ({verdict(start['first_call_ms'], GOALS['first_call_ms'])})" if name == "quaymaster" else ""
        print(f"start to first answered call, {name}: {start['first_call_ms']:.0f} ms{goal}")
    print(f"resident memory, empty: {empty['rss_mib']} MiB ({verdict(empty['rss_mib'], GOALS['rss_mib'])})")
    print(f"start to ready, empty: {empty['ready_ms']} ms")


if __name__ == "__main__":
    main()
