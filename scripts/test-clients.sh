#!/usr/bin/env bash
# Drives the real binary with real MCP clients. Installs nothing: `scripts/setup.sh` does.
#
#   scripts/test-clients.sh sdk      the Python and TypeScript SDKs, FastMCP, the MCP Inspector and
#                                    mcpcheck, and MCP servers of both eras behind the gateway
#   scripts/test-clients.sh conformance  the MCP conformance suite: its client through the gateway to a
#                                    server, and the gateway as the client of its servers
#   scripts/test-clients.sh console  a person in Chromium on the console's pages, and a mail server
#   scripts/test-clients.sh identity an OAuth 2.1 provider as issuer of access tokens, and mcp-authlab
#   scripts/test-clients.sh prove    the solver cvc5, on the demo's policies
#   scripts/test-clients.sh tlog     aics-tlog, an independent verifier of transparency logs, on the audit log
#   scripts/test-clients.sh injection  agent-injection-bench's cases against the policies about information flow
#   scripts/test-clients.sh agents   Codex by a scripted model, and Claude Code
#
#   QM_BIN   the binary to test (default: it is built)
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"

stop() {
    printf 'test-clients: %s\n' "$*" >&2
    exit 1
}

build() {
    if [ -n "${QM_BIN:-}" ]; then
        [ -x "$QM_BIN" ] || stop "there is no binary at $QM_BIN. Build it: cargo build --workspace --bins --tests"
        return
    fi
    cargo build --locked --package quaymaster --bin quaymaster
    export QM_BIN=$target/debug/quaymaster
}

need_clients() {
    [ -d "$clients" ] && [ "$root/tests/clients/node_modules" -ef "$clients/node_modules" ] ||
        stop "the MCP clients are not installed. Install them: scripts/setup.sh test"
    QM_NODE=$(clients_node) || stop "there is no Node. Install it: scripts/setup.sh test"
    export QM_NODE QM_PYTHON="$clients/venv/bin/python"
}

sdk() {
    need_clients
    build
    local gateway=tests/clients/with_gateway.py
    export PYTHONDONTWRITEBYTECODE=1
    echo "-- the demo: Python SDK, TypeScript SDK, MCP Inspector"
    "$gateway" -- bash -c '
        set -e
        "$QM_PYTHON" tests/clients/python_sdk/test_demo.py
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/typescript_sdk/demo.test.mjs
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/inspector/demo.test.mjs
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
    echo "-- upstreams of both eras, one over HTTP+SSE and the filesystem server: Python SDK, FastMCP, TypeScript SDK, MCP Inspector, mcpcheck"
    "$gateway" --upstreams -- bash -c '
        set -e
        "$QM_PYTHON" tests/clients/python_sdk/test_upstreams.py
        "$QM_PYTHON" tests/clients/python_sdk/test_revisions.py
        "$QM_PYTHON" tests/clients/fastmcp_client/test_gateway.py
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/typescript_sdk/upstreams.test.mjs
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/typescript_sdk/tasks.test.mjs
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/inspector/upstreams.test.mjs
        "$QM_PYTHON" tests/clients/mcpcheck/check.py
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
}

conformance() {
    need_clients
    build
    export PYTHONDONTWRITEBYTECODE=1
    tests/clients/conformance/run.py
    tests/clients/conformance/client.py
}

console() {
    need_clients
    have chromium || stop "there is no Chromium. Install it: scripts/setup.sh test"
    build
    export PYTHONDONTWRITEBYTECODE=1
    tests/clients/with_gateway.py --console -- bash -c '
        set -e
        "$QM_NODE" --test --test-timeout=180000 --test-reporter=spec tests/clients/console/console.test.mjs
        "$QM_NODE" --test --test-timeout=180000 --test-reporter=spec tests/clients/console/mail.test.mjs
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
    echo "-- logging in at an identity provider"
    # As it stands in the provider's configuration.
    export CONSOLE_SECRET=console-secret
    tests/clients/with_gateway.py --console -- bash -c '
        set -e
        "$QM_NODE" --test --test-timeout=180000 --test-reporter=spec tests/clients/oidc/login.test.mjs
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
}

identity() {
    need_clients
    build
    export PYTHONDONTWRITEBYTECODE=1
    # As it stands in the provider's configuration.
    export IDP_SECRET=gate-secret
    tests/clients/with_gateway.py -- bash -c '
        set -e
        "$QM_NODE" --test --test-timeout=120000 --test-reporter=spec tests/clients/oidc/identity.test.mjs
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
}

prove() {
    need_clients
    build
    export PYTHONDONTWRITEBYTECODE=1
    tests/clients/with_gateway.py -- tests/clients/cvc5/test_prove.py
}

tlog() {
    need_clients
    build
    export PYTHONDONTWRITEBYTECODE=1
    tests/clients/with_gateway.py -- bash -c '
        set -e
        "$QM_PYTHON" tests/clients/tlog/test_log.py
        "$QM_BIN" audit verify --config "$QM_CONFIG"
    '
    echo "-- a full disk"
    if unshare --mount --map-root-user true 2>/dev/null; then
        unshare --mount --map-root-user "$QM_PYTHON" tests/clients/tlog/test_full_disk.py
    else
        echo "not tried: this machine lets nobody mount a small file system in a namespace of their own"
    fi
}

injection() {
    need_clients
    build
    PYTHONDONTWRITEBYTECODE=1 "$QM_PYTHON" tests/clients/injection/test_flow.py
}

agents() {
    [ -d "$agents" ] || stop "Codex and Claude Code are not installed. Install them: scripts/setup.sh agents"
    build
    tests/clients/with_gateway.py -- tests/clients/codex/run.sh "$agents"
    tests/clients/with_gateway.py -- tests/clients/claude_code/run.sh "$agents"
}

case ${1:-} in
    sdk) sdk ;;
    conformance) conformance ;;
    console) console ;;
    identity) identity ;;
    prove) prove ;;
    tlog) tlog ;;
    injection) injection ;;
    agents) agents ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
