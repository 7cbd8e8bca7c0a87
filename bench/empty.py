#!/usr/bin/env python3
"""Measures a gateway that has nothing to serve: resident memory, and how soon it is ready.

    empty.py BINARY CONFIGURATION-FOLDER    prints {"rss_mib": …, "ready_ms": …}

The medians of five starts. Memory is that of the process once it says that it serves.
"""

import json
import re
import statistics
import subprocess
import sys
import time

STARTS = 5


def one_start(binary: str, folder: str) -> tuple[float, float]:
    began = time.monotonic()
    command = [binary, "serve", "--config", folder, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as gateway:
        try:
            if not gateway.stdout.readline():
                raise SystemExit(f"empty.py: {binary} ended before it served")
            ready_ms = (time.monotonic() - began) * 1000
            status = open(f"/proc/{gateway.pid}/status").read()
            rss_kib = int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))
        finally:
            gateway.terminate()
    return rss_kib / 1024, ready_ms


def main() -> None:
    binary, folder = sys.argv[1:]
    starts = [one_start(binary, folder) for _ in range(STARTS)]
    rss_mib, ready_ms = (statistics.median(values) for values in zip(*starts))
    print(json.dumps({"rss_mib": round(rss_mib, 1), "ready_ms": round(ready_ms, 1)}))


if __name__ == "__main__":
    main()
