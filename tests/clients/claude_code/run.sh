#!/usr/bin/env bash
# `claude mcp add` and `claude mcp list` of the real Claude Code, over HTTP and over stdio. The list
# is a health check: Claude Code really connects. It needs no log-in.
#
#   with_gateway.py -- run.sh FOLDER      FOLDER holds the npm packages of ../agents
set -euo pipefail

stop() {
    printf 'claude-code: %s\n' "$*" >&2
    exit 1
}

claude=$1/node_modules/.bin/claude
[ -x "$claude" ] || stop "no claude below $1. Install it: scripts/setup.sh agents"

# A home and a project of its own: whoever runs this keeps their configuration.
export HOME=$QM_SCRATCH/claude-home
mkdir -p "$HOME" "$QM_SCRATCH/claude-project"
cd "$QM_SCRATCH/claude-project"
export DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
run() { timeout --kill-after=5 120 "$claude" "$@" </dev/null; }

run mcp add --transport http quaymaster "$QM_URL" --header "Authorization: Bearer $QM_TOKEN_ANALYST"
run mcp add quaymaster-stdio -- "$QM_BIN" stdio --config "$QM_CONFIG"
run mcp add --transport http quaymaster-stranger "$QM_URL" --header "Authorization: Bearer nobody"

# Its exit status is 0 in any case, so the words decide.
listed=$(run mcp list)
printf '%s\n' "$listed"
connected() { grep -E "^$1: .*✔ Connected" <<<"$listed" >/dev/null; }
connected quaymaster || stop "it does not connect over HTTP"
connected quaymaster-stdio || stop "it does not connect over stdio"
! connected quaymaster-stranger || stop "it connects with a wrong token"
echo "ok"
