#!/usr/bin/env bash
# Measures how much of bastioncorpus the rules for signs of poison find, and how often they take what is
# harmless for it (see docs/benchmarks.md, "Signs of poison").
#
#   bench/poisoning/run.sh [--json]
#
# Installs one PyPI package, pinned, into a folder of its own in the cache. `--json` prints every case with what was found.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/environment.sh"
cd "$root"

corpus=$cache/bastioncorpus-$(digest bench/poisoning/requirements.txt)
if [ ! -d "$corpus" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$corpus.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    python3 -m venv "$new"
    "$new/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement bench/poisoning/requirements.txt
    mv -T "$new" "$corpus"
fi

cargo build --quiet --locked --package quaymaster-catalog --example poisoning
"$corpus/bin/python" bench/poisoning/measure.py "$target/debug/examples/poisoning" "$@"
