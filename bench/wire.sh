#!/usr/bin/env bash
# Measures what docs/benchmarks.md says under "The wire": long lists, long results, idle sessions.
#
#   bench/wire.sh                 all three
#   bench/wire.sh lists|results|sessions
#
#   QM_BIN   the binary to measure (default: it is built in release)
#
# Nothing is left running. The machine should have nothing else to do.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/environment.sh"
cd "$root"

place=$cache/wire
rm -rf "$place"
mkdir -p "$place"

if [ -z "${QM_BIN:-}" ]; then
    cargo build --locked --release --package quaymaster --bin quaymaster
    QM_BIN=$target/release/quaymaster
fi
CARGO_TARGET_DIR=$cache/bench-target cargo build --locked --release --manifest-path bench/Cargo.toml
bench=$cache/bench-target/release/mcp-bench

# A configuration folder $1 that listens on port $2 and has $3 tools of the upstream at port $4.
configure() {
    mkdir -p "$place/$1/connectors"
    cat >"$place/$1/quaymaster.yaml" <<END
apiVersion: quaymaster/v1
listen: { address: "127.0.0.1:$2", maxConnections: 24000, maxSessions: 20000, maxSessionsPerActor: 20000 }
dataFolder: ./data
workspaces:
  bench: { title: Benchmark, catalogue: { search: never } }
defaultWorkspace: bench
roles:
  bench: { clearance: internal }
audit: { batchWindow: 5ms }
END
    python3 - "$3" "$4" >"$place/$1/connectors/upstream.yaml" <<'END'
import sys

count, port = int(sys.argv[1]), sys.argv[2]
names = ["echo", "fill"] + [f"record_lookup_{i}" for i in range(2, count)]
print(f"""apiVersion: connector/v1
kind: Connector
metadata:
  name: upstream
  version: 1.0.0
  owner: {{ team: bench, contact: bench@example.test }}
  workspaces: [bench]
spec:
  engine: mcp
  prefix: ""
  server: {{ transport: http, url: "http://127.0.0.1:{port}/mcp" }}
  limits: {{ timeout: 30s, bytes: 4MiB }}
  classification: {{ default: internal }}
  tools:""")
for name in names[:count]:
    print(f"    - {{ name: {name}, effect: read, access: {{ roles: [bench] }} }}")
END
}

new_token() {
    "$QM_BIN" token create --config "$place/$1" --actor bench --role bench --workspace bench --expires 1d
}

# Runs the scenarios of bench/wire.toml whose names begin with $1.
compare() {
    sed -e "s|@BIN@|$QM_BIN|; s|@PLACE@|$place|; s|@LISTS@|$(new_token lists)|; s|@RESULTS@|$(new_token results)|; s|@EVENTS@|$(new_token events)|" \
        bench/wire.toml >"$place/wire.toml"
    "$bench" compare "$place/wire.toml" --out "$place/$1.json" --logs "$place/logs" --scenarios "$2"
}

sessions() {
    "$bench" upstream --listen 127.0.0.1:9121 --tools 10 >"$place/upstream.log" 2>&1 &
    local upstream=$! gateway url=http://127.0.0.1:9124/mcp token
    token=$(new_token idle)
    "$QM_BIN" serve --config "$place/idle" >"$place/idle.log" 2>&1 &
    gateway=$!
    # shellcheck disable=SC2064 # The processes of now.
    trap "kill $upstream $gateway 2>/dev/null || true" EXIT
    until curl --silent --fail --output /dev/null "http://127.0.0.1:9124/readyz"; do sleep 0.2; done
    ulimit -n 20000
    echo "-- with a connection each"
    "$bench" sessions --url "$url" --pid "$gateway" --header "Authorization: Bearer $token" --counts 1000,5000,9900 --hold-connections
    echo "-- without a connection"
    kill "$gateway" && wait "$gateway" || true
    "$QM_BIN" serve --config "$place/idle" >>"$place/idle.log" 2>&1 &
    gateway=$!
    # shellcheck disable=SC2064
    trap "kill $upstream $gateway 2>/dev/null || true" EXIT
    until curl --silent --fail --output /dev/null "http://127.0.0.1:9124/readyz"; do sleep 0.2; done
    "$bench" sessions --url "$url" --pid "$gateway" --header "Authorization: Bearer $token" --counts 1000,5000,10000
    kill "$gateway" "$upstream"
}

configure lists 9114 1000 9111
configure results 9115 10 9112
configure events 9116 10 9113
configure idle 9124 10 9121
case ${1:-all} in
    lists) compare lists list-1000,list-1000-modern ;;
    results) compare results fill-1m,fill-1m-modern,fill-1m-events ;;
    sessions) sessions ;;
    all)
        compare lists list-1000,list-1000-modern
        compare results fill-1m,fill-1m-modern,fill-1m-events
        sessions
        ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
