#!/usr/bin/env bash
# Drives the real Codex CLI against a serving gateway, with a script in place of its model.
#
#   with_gateway.py -- run.sh FOLDER      FOLDER holds the npm packages of ../agents
#
# Codex lists the tools, makes an allowed call, a call that policy denies for its arguments, and
# asks for a tool that it was not offered, which must never reach the server. Then the audit must
# know which thread, model and sandbox Codex claimed.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
out=$QM_SCRATCH/codex
mkdir -p "$out"

stop() {
    printf 'codex: %s\n' "$*" >&2
    exit 1
}

codex=$(find "$1/node_modules/@openai" -type f -path '*/bin/codex' -perm -u+x | head -n 1)
[ -n "$codex" ] || stop "no codex below $1. Install it: scripts/setup.sh agents"

# The calls come from the scenario that every client plays, so that they are the same everywhere.
calls_of() {
    python3 - "$here/../scenario.json" "$@" <<'END'
import json
import sys

scenario, names = json.load(open(sys.argv[1])), sys.argv[2:]
expectations = {
    "allowed": {"status": "completed", "contains": '"status":"success"'},
    "denied": {"status": "failed", "contains": "policy.denied"},
    "gated": {"contains": "approval.required"},
    # The role may not see it, so Codex was not offered it and does not know it.
    "hidden": {"status": "unsupported"},
    "unknown": {"status": "unsupported"},
}
calls = [
    {
        "server": "quaymaster",
        "tool": scenario[name]["tool"],
        "arguments": scenario[name]["arguments"],
        "expect": expectations[name],
    }
    for name in names
]
print(json.dumps({"calls": calls}))
END
}

# Runs the scripted calls as one role. `auto` is what a user has: Codex itself decides by the
# annotations what may run unasked, so honest annotations are tested as well.
run_as() {
    local role=$1 variable
    shift
    variable=QM_TOKEN_${role^^}
    calls_of "$@" >"$out/$role.json"
    "$here/codex-mcp-e2e.sh" --quiet --codex "$codex" --script "$out/$role.json" --name quaymaster \
        --url "$QM_URL" --bearer-env "$variable" --approve auto --out "$out/$role"
}

echo "-- Codex as the analyst: an allowed call, and tools that it is not offered"
run_as analyst allowed hidden unknown
echo "-- Codex as the support agent: a call denied for its arguments, and one that needs approval"
run_as support denied gated

echo "-- the audit knows what Codex claimed of itself"
"$QM_BIN" audit query --config "$QM_CONFIG" --json >"$out/audit.json"
thread=$(sed -n 's/.*"type":"thread.started","thread_id":"\([^"]*\)".*/\1/p' "$out/analyst/events.jsonl")
[ -n "$thread" ] || stop "Codex named no thread in its events"
for claim in "$thread" mock-model read-only; do
    grep -qF -- "$claim" "$out/audit.json" || stop "the audit does not hold the claim $claim"
done
hidden=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["unknown"]["tool"])' "$here/../scenario.json")
if grep -qF -- "$hidden" "$out/audit.json"; then stop "a tool that was not offered reached the server"; fi
echo "ok"
