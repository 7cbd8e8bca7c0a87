#!/usr/bin/env bash
# Tests scripts/setup.sh on machines that lack one thing or another.
#
# Each machine is a folder of programs that is the whole path: the ordinary tools by links, and
# stand-ins for whatever would install or download, which write down how they were called and
# "install" further stand-ins. Nothing is downloaded and nothing outside a temporary folder is touched.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/quaymaster-setup-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

failures=0
machine='' bin='' log='' output='' status=0

# A program called NAME that logs its call and then does BODY.
stand_in() {
    printf '#!/bin/sh\nprintf "%%s\\n" "%s $*" >>"%s"\n%s\n' "$1" "$log" "${2:-}" >"$bin/$1"
    chmod +x "$bin/$1"
}

# A machine with no developer's tools at all, not even a package manager.
bare_machine() {
    machine=$scratch/$1
    bin=$machine/bin log=$machine/log
    mkdir -p "$bin" "$machine/home" "$machine/tmp"
    : >"$log"
    local tool
    for tool in bash sh env cat cut dirname head id ln mkdir mktemp mv printf rm sed sha256sum sort cp chmod; do
        ln -s "$(type -P "$tool")" "$bin/$tool"
    done
    # `id` decides whether sudo is needed, so it must not depend on who runs this test.
    rm "$bin/id"
    printf '#!/bin/sh\necho 0\n' >"$bin/id"
    chmod +x "$bin/id"
    mkdir "$machine/project"
    cp -r "$root/scripts" "$root/Cargo.toml" "$machine/project/"
    mkdir -p "$machine/project/tests/clients/agents"
    cp "$root"/tests/clients/package*.json "$root/tests/clients/requirements.txt" "$machine/project/tests/clients/"
    cp "$root"/tests/clients/agents/package*.json "$machine/project/tests/clients/agents/"
}

with_debian() {
    # What the packages would bring is made by a script beside the path.
    cat >"$machine/unpack" <<END
#!/bin/sh
for package; do
    case \$package in
        build-essential) cp "$machine/plain" "$bin/cc" ;;
        postgresql) mkdir -p "$machine/pg/15/bin" && cp "$machine/plain" "$machine/pg/15/bin/initdb" ;;
        nodejs) cp "$machine/plain" "$bin/node" ;;
        npm) cp "$machine/npm" "$bin/npm" ;;
        python3) cp "$machine/python3" "$bin/python3" ;;
        chromium) cp "$machine/plain" "$bin/chromium" ;;
        dbus) cp "$machine/plain" "$bin/dbus-run-session" ;;
        gnome-keyring) cp "$machine/plain" "$bin/gnome-keyring-daemon" ;;
        libsecret-tools) cp "$machine/plain" "$bin/secret-tool" ;;
    esac
done
END
    chmod +x "$machine/unpack"
    stand_in plain && mv "$bin/plain" "$machine/plain"
    stand_in npm 'mkdir -p node_modules' && mv "$bin/npm" "$machine/npm"
    # shellcheck disable=SC2016 # for the stand-in to expand
    stand_in python3 'if [ "$1" = -m ] && [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi' &&
        mv "$bin/python3" "$machine/python3"
    stand_in apt-get "case \$1 in install) shift; \"$machine/unpack\" \"\$@\" ;; esac"
}

with_cargo() {
    # shellcheck disable=SC2016 # for the stand-in to expand
    stand_in cargo 'case $1 in
        --version) echo "cargo '"$1"' (abc 2026-01-01)" ;;
        nextest) [ -e "$0.nextest" ] ;;
        install) : >"$0.nextest" ;;
    esac'
}

with_rustup_to_download() {
    with_cargo 1.95.0 && mv "$bin/cargo" "$machine/cargo"
    stand_in rustup-init "mkdir -p \"\$HOME/.cargo/bin\" && cp \"$machine/cargo\" \"\$HOME/.cargo/bin/cargo\""
    # The last argument of curl is the file to write.
    stand_in curl "for last; do :; done; cp \"$bin/rustup-init\" \"\$last\""
}

with_everything() {
    with_debian
    "$machine/unpack" build-essential postgresql nodejs npm python3 chromium dbus gnome-keyring libsecret-tools
    with_cargo 1.95.0
    : >"$bin/cargo.nextest"
}

run_setup() {
    status=0
    output=$(env -i PATH="$bin" HOME="$machine/home" TMPDIR="$machine/tmp" \
        QUAYMASTER_SETUP_POSTGRES_BIN="$machine/pg/*/bin" \
        "$machine/project/scripts/setup.sh" "$1" 2>&1 </dev/null) || status=$?
}

fail() {
    failures=$((failures + 1))
    printf 'FAIL %s: %s\n--- calls ---\n%s\n--- said (status %s) ---\n%s\n' \
        "$current" "$1" "$(cat "$log")" "$status" "$output" >&2
}
succeeds() { [ "$status" -eq 0 ] || fail "should have succeeded"; }
fails() { [ "$status" -ne 0 ] || fail "should have failed"; }
called() { grep -qF -- "$1" "$log" || fail "should have called: $1"; }
not_called() { ! grep -qE "^($1)( |$)" "$log" || fail "should not have called $1"; }
said() { grep -qF -- "$1" <<<"$output" || fail "should have said: $1"; }
said_nothing() { [ -z "$output" ] || fail "should have said nothing"; }
times_called() { [ "$(grep -cF -- "$1" "$log")" -eq "$2" ] || fail "should have called $2 times: $1"; }

a_complete_machine_downloads_nothing() {
    with_everything
    run_setup build && succeeds && said_nothing
    run_setup test && succeeds
    : >"$log"
    run_setup test && succeeds && said_nothing
    not_called 'curl|apt-get|npm|rustup'
    ! grep -q '^cargo install' "$log" || fail "installed nextest again"
    ! grep -q 'pip install' "$log" || fail "installed the Python client again"
}

without_cargo_rustup_brings_the_pinned_version() {
    with_debian && "$machine/unpack" build-essential && with_rustup_to_download
    run_setup build
    succeeds
    called "curl --proto =https --tlsv1.2 --silent --show-error --fail --location https://sh.rustup.rs"
    called "--profile minimal --component clippy --component rustfmt --default-toolchain 1.95.0"
    said "installing Rust 1.95.0 with rustup"
    not_called apt-get
}

a_failed_download_stops_the_set_up() {
    with_debian && "$machine/unpack" build-essential
    stand_in curl 'exit 22'
    run_setup build
    fails
    not_called rustup-init
}

without_a_compiler_debian_brings_one() {
    with_debian && with_cargo 1.95.0
    run_setup build
    succeeds
    called "apt-get update"
    called "apt-get install --yes --no-install-recommends build-essential"
    said "installing with apt-get: build-essential"
    not_called 'curl|sudo'
}

whoever_is_not_root_uses_sudo() {
    with_debian && with_cargo 1.95.0
    printf '#!/bin/sh\necho 1000\n' >"$bin/id"
    # shellcheck disable=SC2016 # for the stand-in to expand
    stand_in sudo '"$@"'
    run_setup build
    succeeds
    called "sudo apt-get update"
    called "sudo env DEBIAN_FRONTEND=noninteractive apt-get install"
}

without_root_and_sudo_it_says_what_root_would_run() {
    with_debian && with_cargo 1.95.0
    printf '#!/bin/sh\necho 1000\n' >"$bin/id"
    run_setup build
    fails
    said "As root, run: apt-get update"
    not_called apt-get
}

another_system_is_told_the_names() {
    with_cargo 1.95.0
    run_setup test
    fails
    said "build-essential postgresql nodejs npm python3 python3-venv chromium dbus gnome-keyring libsecret-tools"
    not_called 'curl|npm'
}

an_old_cargo_is_named_with_the_way_out() {
    with_debian && "$machine/unpack" build-essential && with_cargo 1.63.0
    run_setup build
    fails
    said "cargo is 1.63.0, and Quaymaster needs 1."
    said "rustup update stable"
}

the_tests_get_everything_in_one_go() {
    with_debian && with_rustup_to_download
    run_setup test
    succeeds
    called "apt-get install --yes --no-install-recommends build-essential postgresql nodejs npm python3 python3-venv chromium dbus gnome-keyring libsecret-tools"
    times_called "apt-get update" 1
    called "cargo install cargo-nextest --locked --version 0.9.143"
    called "npm ci"
    called "pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python --requirement"
    [ -e "$machine/project/tests/clients/node_modules/" ] || fail "the clients are not linked"
}

missing_components_come_from_rustup() {
    with_everything
    # shellcheck disable=SC2016 # for the stand-in to expand
    stand_in cargo 'case $1 in
        --version) echo "cargo 1.95.0" ;;
        clippy) [ -e "$0.clippy" ] ;;
    esac'
    stand_in rustup ": >\"$bin/cargo.clippy\""
    run_setup test
    succeeds
    called "rustup component add clippy rustfmt"
    rm "$bin/cargo.clippy" "$bin/rustup"
    run_setup test
    fails
    said "apt-get install rust-clippy rustfmt"
}

a_failed_npm_leaves_nothing_half_done() {
    with_everything
    stand_in npm 'mkdir -p node_modules; exit 1'
    run_setup test
    fails
    [ -z "$(ls -A "$machine/project/.cache")" ] || fail "left: $(ls -A "$machine/project/.cache")"
    cp "$machine/npm" "$bin/npm"
    run_setup test
    succeeds
}

the_agents_are_a_step_of_their_own() {
    with_everything
    run_setup agents
    succeeds
    called "npm ci"
    not_called 'cargo|python3'
    : >"$log"
    run_setup agents
    not_called npm
}

an_unknown_step_shows_the_usage() {
    with_everything
    run_setup everything
    fails
    said "scripts/setup.sh build"
}

for current in $(declare -F | sed 's/^declare -f //' | grep -E '^(a|an|another|missing|the|whoever|without)_'); do
    before=$failures
    bare_machine "$current"
    "$current"
    if [ "$failures" -eq "$before" ]; then printf 'ok   %s\n' "$current"; fi
done
if [ "$failures" -gt 0 ]; then
    printf '%s checks of set-up failed\n' "$failures" >&2
    exit 1
fi
