#!/usr/bin/env bash
# Measures what a call through Quaymaster costs, against no hop, a blind hop and a hand-made
# governed hop, all in one sitting (see docs/benchmarks.md).
#
#   bench/run.sh                          three scenarios, three rounds: under four minutes
#   bench/run.sh --rounds 5               all scenarios; arguments go to `mcp-bench compare`
#   bench/run.sh --scenarios echo-16k
#
#   QM_BIN   the binary to measure (default: it is built in release)
#
# The result is left in .cache/bench/result.json. The machine should have nothing else to do.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/environment.sh"
cd "$root"

if [ $# -eq 0 ]; then set -- --scenarios echo-1k,echo-1k-modern,open-500; fi

# On a real disk, not below /tmp: the audit's fsync is part of what is measured.
place=$cache/bench
rm -rf "$place"
mkdir -p "$place"

if [ -z "${QM_BIN:-}" ]; then
    cargo build --locked --release --package quaymaster --bin quaymaster
    QM_BIN=$target/release/quaymaster
fi
CARGO_TARGET_DIR=$cache/bench-target cargo build --locked --release --manifest-path bench/Cargo.toml
bench=$cache/bench-target/release/mcp-bench

# A configuration folder $1 that listens on port $2; $3 is the audit's `strict`.
write_configuration() {
    mkdir -p "$place/$1/connectors"
    cat >"$place/$1/quaymaster.yaml" <<END
apiVersion: quaymaster/v1
listen: { address: "127.0.0.1:$2" }
dataFolder: ./data
workspaces:
  bench: { title: Benchmark }
defaultWorkspace: bench
roles:
  bench: { clearance: internal }
audit: { batchWindow: 5ms, strict: $3 }
END
}

write_connector() {
    cat >"$place/$1/connectors/upstream.yaml" <<'END'
apiVersion: connector/v1
kind: Connector
metadata:
  name: upstream
  version: 1.0.0
  owner: { team: bench, contact: bench@example.test }
  workspaces: [bench]
spec:
  engine: mcp
  prefix: ""
  server: { transport: http, url: "http://127.0.0.1:9101/mcp" }
  limits: { timeout: 30s, bytes: 1MiB }
  classification: { default: internal }
  tools:
    - name: echo
      effect: read
      access: { roles: [bench] }
END
}

new_token() {
    "$QM_BIN" token create --config "$place/$1" --actor bench --role bench --workspace bench --expires 1d
}

write_configuration usual 9104 false
write_configuration strict 9106 true
write_configuration empty 9107 false
write_connector usual
write_connector strict
sed -e "s|@BIN@|$QM_BIN|; s|@PLACE@|$place|; s|@TOKEN_USUAL@|$(new_token usual)|; s|@TOKEN_STRICT@|$(new_token strict)|" \
    bench/quaymaster.toml >"$place/compare.toml"

python3 bench/empty.py "$QM_BIN" "$place/empty" >"$place/empty.json"
"$bench" compare "$place/compare.toml" --out "$place/result.json" --logs "$place/logs" "$@"
echo
python3 bench/report.py "$place/result.json" "$place/empty.json"
