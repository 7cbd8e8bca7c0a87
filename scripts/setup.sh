#!/usr/bin/env bash
# Installs what is missing on Debian or Ubuntu, says each thing it does, and asks nothing.
#
#   scripts/setup.sh build     Rust and a C compiler
#   scripts/setup.sh test      these, and PostgreSQL, Node, Python, Chromium, a keyring, cargo-nextest and the MCP
#                              clients that the tests drive
#   scripts/setup.sh agents    Codex and Claude Code (about 800 MB), for `make test-clients`
#
# What is there is left alone, so a second run downloads nothing. Root's work is done by sudo
# where we are not root. On other systems the names of what is missing are printed instead.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

RUST_VERSION=1.95.0
NEXTEST_VERSION=0.9.143
# Where Debian puts a server that is on nobody's path. Another value only in setup_test.sh.
POSTGRES_BIN=${QUAYMASTER_SETUP_POSTGRES_BIN:-/usr/lib/postgresql/*/bin}

say() { printf 'setup: %s\n' "$*"; }
stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        stop "this needs root, and there is no sudo. As root, run: $*"
    fi
}

# Installs Debian packages, all in one go.
install_packages() {
    if [ $# -eq 0 ]; then return; fi
    have apt-get || stop "missing, by the names of their Debian packages: $*. Install them and run this again."
    say "installing with apt-get: $*"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

has_postgres() {
    have initdb && return
    local folder
    # Unquoted on purpose: it is a pattern.
    for folder in $POSTGRES_BIN; do
        if [ -x "$folder/initdb" ]; then return 0; fi
    done
    return 1
}

has_python() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

packages_to_build() { have cc || echo build-essential; }

packages_for_npm() { { have node && have npm; } || echo nodejs npm; }

packages_to_test() {
    packages_to_build
    has_postgres || echo postgresql
    packages_for_npm
    has_python || echo python3 python3-venv
    have chromium || echo chromium
    have dbus-run-session || echo dbus
    have gnome-keyring-daemon || echo gnome-keyring
    have secret-tool || echo libsecret-tools
}

install_rust() {
    if ! have cargo; then
        say "installing Rust $RUST_VERSION with rustup into ${CARGO_HOME:-$HOME/.cargo} (no cargo found)"
        local script
        script=$(mktemp)
        curl --proto '=https' --tlsv1.2 --silent --show-error --fail --location https://sh.rustup.rs --output "$script"
        sh "$script" -y --profile minimal --component clippy --component rustfmt \
            --default-toolchain "$RUST_VERSION" --no-modify-path
        rm -f "$script"
        have cargo || stop "rustup ended well, but there is no cargo in ${CARGO_HOME:-$HOME/.cargo}/bin"
        say "to use cargo in your own shell: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
    fi
    local least found
    least=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    found=$(cargo --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n%s\n' "$least" "$found" | sort -V | head -n 1)" != "$least" ]; then
        stop "cargo is $found, and Quaymaster needs $least or newer. With rustup: rustup update stable." \
            "Where cargo is a package of the system: remove it, and run this again to get rustup's."
    fi
}

install_components() {
    local component
    for component in clippy fmt; do
        if cargo "$component" --version >/dev/null 2>&1; then continue; fi
        have rustup || stop "\`cargo $component\` is missing. On Debian and Ubuntu: apt-get install rust-clippy rustfmt"
        say "installing clippy and rustfmt with rustup (no \`cargo $component\`)"
        rustup component add clippy rustfmt
        return
    done
}

install_nextest() {
    if cargo nextest --version >/dev/null 2>&1; then return; fi
    say "building cargo-nextest $NEXTEST_VERSION (not found; takes some minutes)"
    cargo install cargo-nextest --locked --version "$NEXTEST_VERSION"
}

# Fills a new folder by a function and puts it in place whole, so that one that is there is complete.
install_folder() {
    local folder=$1 fill=$2
    mkdir -p "$cache"
    new=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    "$fill" "$new" || stop "could not be installed: see above"
    rm -rf "$folder"
    # Where another set-up was faster, its folder is as good.
    mv -T "$new" "$folder" 2>/dev/null || true
}

fill_clients() {
    cp "$root"/tests/clients/package{,-lock}.json "$1" &&
        (cd "$1" && npm ci --no-fund --no-audit --loglevel=error) &&
        python3 -m venv "$1/venv" &&
        "$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --ignore-requires-python --requirement "$root/tests/clients/requirements.txt"
}

fill_agents() {
    cp "$root"/tests/clients/agents/package{,-lock}.json "$1" &&
        (cd "$1" && npm ci --no-fund --no-audit --loglevel=error)
}

install_clients() {
    # A virtual environment dies with the Python it was made from.
    if ! "$clients/venv/bin/python" -c '' 2>/dev/null; then
        say "installing the MCP clients of tests/clients, pinned, from npm and PyPI into $clients"
        install_folder "$clients" fill_clients
    fi
    # Node looks for packages above the file that imports them.
    ln -sfn "$clients/node_modules" "$root/tests/clients/node_modules"
}

install_agents() {
    if [ -d "$agents" ]; then return; fi
    say "installing Codex and Claude Code, pinned, from npm into $agents"
    install_folder "$agents" fill_agents
}

case ${1:-} in
    build)
        # shellcheck disable=SC2046 # one word for each package
        install_packages $(packages_to_build)
        install_rust
        ;;
    test)
        # shellcheck disable=SC2046
        install_packages $(packages_to_test)
        install_rust
        install_components
        install_nextest
        install_clients
        ;;
    agents)
        # shellcheck disable=SC2046
        install_packages $(packages_for_npm)
        install_agents
        ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
