#!/usr/bin/env bash
# Builds Quaymaster by the profile `demo`, which is quick to build, and runs `quaymaster demo`.
# Arguments go to it: scripts/demo.sh --tour
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"

cargo build --locked --profile demo --package quaymaster --bin quaymaster
exec "$target/demo/quaymaster" demo "$@"
