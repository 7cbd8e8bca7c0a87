#!/usr/bin/env bash
# Counts what a catalogue of 1,000 tools costs a client in tokens, with and without a search, and how
# long a search takes (see docs/benchmarks.md, "Tokens").
#
#   bench/tokens/run.sh
#
#   QM_BIN    the binary to ask (default: it is built in release)
#   PROFILE   the profile in which searches are timed (default: release)
#
# Installs one npm package, pinned, into the cache. The configurations and logs are left in .cache/tokens.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/environment.sh"
cd "$root"

QM_NODE=$(clients_node) || { echo "tokens: there is no Node. Install it: scripts/setup.sh test" >&2; exit 1; }
tokenizer=$cache/tokenizer-$(digest bench/tokens/package-lock.json)
if [ ! -d "$tokenizer" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$tokenizer.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    cp bench/tokens/package{,-lock}.json "$new"
    (cd "$new" && npm ci --no-fund --no-audit --loglevel=error)
    mv -T "$new" "$tokenizer"
fi

profile=${PROFILE:-release}
if [ -z "${QM_BIN:-}" ]; then
    cargo build --locked --profile "$profile" --package quaymaster --bin quaymaster
    folder=$profile
    if [ "$profile" = dev ]; then folder=debug; fi
    QM_BIN=$target/$folder/quaymaster
fi
export QM_BIN QM_NODE QM_TOKENIZER=$tokenizer

place=$cache/tokens
mkdir -p "$place"
example() { cargo run --quiet --locked --profile "$profile" --package quaymaster-catalog --example large_catalogue -- "$1"; }
example tools >"$place/catalogue.json"
python3 bench/tokens/measure.py "$place/catalogue.json" "$place"
echo
example time
