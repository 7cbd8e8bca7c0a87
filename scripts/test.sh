#!/usr/bin/env bash
# Runs every test but those of the agents, from a bare checkout on, and stops what it started.
#
#   scripts/test.sh               everything
#   scripts/test.sh lint          format, lints, shell scripts
#   scripts/test.sh fuzz-replay   the fuzz corpora, on the stable compiler
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"

# Each step runs in a process group of its own, so that whatever ends this script ends it whole.
set -m
step_pid=''
stop_step() {
    trap - EXIT INT TERM HUP
    if [ -n "$step_pid" ]; then
        kill -TERM -- "-$step_pid" 2>/dev/null || true
        wait "$step_pid" 2>/dev/null || true
    fi
    exit "$1"
}
trap 'stop_step $?' EXIT
trap 'stop_step 130' INT
trap 'stop_step 143' TERM
trap 'stop_step 129' HUP

# Runs one step; its output is its own, and the time that it took is told.
step() {
    local title=$1 began=$SECONDS status=0
    shift
    printf '== %s\n' "$title"
    "$@" </dev/null &
    step_pid=$!
    wait "$step_pid" || status=$?
    step_pid=''
    if [ "$status" -ne 0 ]; then
        printf '== %s FAILED (status %s) after %s s: %s\n' "$title" "$status" "$((SECONDS - began))" "$*" >&2
        exit "$status"
    fi
    printf '== %s: %s s\n' "$title" "$((SECONDS - began))"
}

check_shell() {
    local script status=0
    for script in scripts/*.sh scripts/tests/*.sh bench/*.sh bench/*/*.sh tests/clients/*/*.sh .ci/run; do
        bash -n "$script" || status=1
    done
    if have shellcheck; then
        shellcheck --external-sources --source-path=scripts --severity=warning scripts/*.sh scripts/tests/*.sh bench/*.sh bench/*/*.sh .ci/run || status=1
    fi
    return "$status"
}

lint() {
    step "format" cargo fmt --all --check
    step "shell scripts" check_shell
    step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
}

# rustdoc takes its time even where it finds nothing, so only crates with an example are asked.
documentation_tests() {
    local crate package
    for crate in crates/*/; do
        # An opening fence that is Rust: without a language, or with one of rustdoc's words.
        if grep -rqE '^\s*//[/!] ```(rust|no_run|should_panic|compile_fail|edition)' "$crate/src" ||
            awk '/^[ \t]*\/\/[\/!] ```/ { open = !open; if (open && /```$/) { found = 1 } } END { exit !found }' \
                $(find "$crate/src" -name '*.rs'); then
            package=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$crate/Cargo.toml" | head -n 1)
            cargo test --doc --locked --package "$package"
        fi
    done
}

fuzz_replay() {
    step "fuzz corpora" cargo nextest run --locked --package quaymaster-gateway --package quaymaster-redaction --test it corpus
}

case ${1:-all} in
    all)
        step "set-up" scripts/setup.sh test
        step "set-up's own tests" scripts/tests/setup_test.sh
        lint
        # The fuzz corpora are replayed here, by crates/gateway/tests/it/corpus.rs.
        step "tests" scripts/postgres.sh run cargo nextest run --workspace --locked
        step "documentation tests" documentation_tests
        step "build of the binary" cargo build --workspace --bins --tests --locked
        QM_BIN=$target/debug/quaymaster step "MCP clients" scripts/test-clients.sh sdk
        QM_BIN=$target/debug/quaymaster step "an OAuth 2.1 provider" scripts/test-clients.sh identity
        QM_BIN=$target/debug/quaymaster step "a solver for policies" scripts/test-clients.sh prove
        QM_BIN=$target/debug/quaymaster step "an independent verifier of the audit log" scripts/test-clients.sh tlog
        QM_BIN=$target/debug/quaymaster step "injected instructions" scripts/test-clients.sh injection
        QM_BIN=$target/debug/quaymaster step "the console in a browser" scripts/test-clients.sh console
        QM_BIN=$target/debug/quaymaster step "MCP conformance suite" scripts/test-clients.sh conformance
        printf 'All tests passed in %s s.\n' "$SECONDS"
        ;;
    lint) lint ;;
    fuzz-replay) fuzz_replay ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
