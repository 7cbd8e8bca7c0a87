#!/usr/bin/env bash
# Compares redaction with Presidio on the same records, and with the samples of gitleaks (see docs/benchmarks.md, "Redaction").
#
#   bench/redaction/run.sh              seeds that nothing was developed with
#   bench/redaction/run.sh dev          seeds of development
#
#   COUNT      records with names of fields for each of eleven locales (default: 30)
#   GITLEAKS   a clone of github.com/gitleaks/gitleaks; without one that part is left out
#
# Installs Presidio, spaCy's small English model, presidio-evaluator and Faker, pinned, from PyPI into the cache. Records and findings
# are left in .cache/redaction. Presidio needs about a minute of CPU for 1,000 records.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/environment.sh"
cd "$root"

set=${1:-held-out}
case $set in
    dev) seed=1 ;;
    held-out) seed=90001 ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac

python=$cache/redaction-venv-$(digest bench/redaction/requirements.txt)
if [ ! -x "$python/bin/python" ]; then
    mkdir -p "$cache"
    python3 -m venv "$python"
    # All that is needed is named: presidio-evaluator, of which only the data is used, would bring much more.
    "$python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement bench/redaction/requirements.txt ||
        { rm -rf "$python"; exit 1; }
fi

cargo build --quiet --locked --release --package quaymaster-redaction --example records
records=$target/release/examples/records
place=$cache/redaction
mkdir -p "$place"
cd "$place"
"$python/bin/python" "$root/bench/redaction/generate.py" "$seed" "${COUNT:-30}" "$set.truth.jsonl" >"$set.records.jsonl"
echo "ours:     $("$records" <"$set.records.jsonl" 2>&1 >"$set.ours.jsonl")"
echo "Presidio: $("$python/bin/python" "$root/bench/redaction/presidio.py" <"$set.records.jsonl" 2>&1 >"$set.presidio.jsonl" | tail -n 1)"
"$python/bin/python" "$root/bench/redaction/score.py" "$set.truth.jsonl" "$set.ours.jsonl" "$set.presidio.jsonl"
echo
"$python/bin/python" "$root/bench/redaction/result.py" >result.json
echo "a result of $(wc -c <result.json) bytes: $("$records" <result.json 2>&1 >/dev/null)"
if [ -n "${GITLEAKS:-}" ]; then
    echo
    "$python/bin/python" "$root/bench/redaction/gitleaks.py" "$GITLEAKS" "$records"
fi
