#!/usr/bin/env python3
"""Prints what docs/benchmarks.md holds: the ratios, the start and the memory, against the goals.

    report.py RESULT.json EMPTY.json

RESULT is what `mcp-bench compare --out` wrote, EMPTY what empty.py did. A scenario with errors has
no ratio: a gateway that answers wrongly is not fast.
"""

import json
import sys

GOALS = {"ratio": 3.0, "rss_mib": 20.0, "first_call_ms": 100.0}
# The goal of the ratio is for these: 1 KiB, closed loop, audit in batches.
SCENARIOS_WITH_A_GOAL = {"echo-1k", "echo-1k-modern"}
BUSY_SHARE = 0.15


def verdict(value: float, goal: float) -> str:
    return f"{'within' if value <= goal else 'ABOVE'} the goal of {goal:g}"


def ratio(row: dict) -> str:
    if row["errors"]:
        return f"{row['errors']} errors"
    if row["cpu_vs_floor"] is None:
        return "–"
    text = f"{row['cpu_vs_floor']:.2f}"
    if row["target"] != "quaymaster" or row["scenario"] not in SCENARIOS_WITH_A_GOAL:
        return text
    return f"{text} ({verdict(row['cpu_vs_floor'], GOALS['ratio'])})"


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
    busiest = max(row["foreign_cpu_share"]["median"] for row in result["summary"])
    if busiest > BUSY_SHARE:
        print(f"\nNot to be recorded: other work used up to {busiest:.0%} of the machine.")


if __name__ == "__main__":
    main()
