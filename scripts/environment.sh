# Where things are, for the other scripts. To be sourced by bash; changes nothing on disk.
#
#   QUAYMASTER_CACHE   where set-up puts what the tests need (default: .cache in the project)

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=${QUAYMASTER_CACHE:-$root/.cache}
target=${CARGO_TARGET_DIR:-$root/target}

# rustup's folder is not on the path of a shell that was open when rustup ran.
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# What is installed is named by what it was asked to be, so another checkout can share the cache.
digest() { cat "$@" | sha256sum | cut -c 1-12; }
clients=$cache/clients-$(digest "$root/tests/clients/package-lock.json" "$root/tests/clients/requirements.txt")
agents=$cache/agents-$(digest "$root/tests/clients/agents/package-lock.json")

have() { command -v "$1" >/dev/null 2>&1; }

# Node as the npm packages bring it; elsewhere than on Linux, the system's.
clients_node() {
    local node
    for node in "$clients"/node_modules/node-linux-*/bin/node; do
        if [ -x "$node" ]; then
            printf '%s\n' "$node"
            return
        fi
    done
    command -v node
}
