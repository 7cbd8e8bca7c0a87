#!/bin/sh
# A throw-away PostgreSQL server for the tests, on loopback, from Debian's package.
#
#   scripts/postgres.sh start      start it, if it does not run yet
#   scripts/postgres.sh stop       stop it and keep its data
#   scripts/postgres.sh url        print its address
#   scripts/postgres.sh run CMD…   run CMD with the server up; stop the server after
#                                  it, if this command started it
#
# Its data lives in .cache/postgres and may be deleted whenever it is stopped.
# Everybody on this machine may log in: keep nothing in it.
#
#   QUAYMASTER_TEST_PG_PORT        another port than 54329
#   QUAYMASTER_TEST_PG_BIN         another folder with initdb and pg_ctl
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
port=${QUAYMASTER_TEST_PG_PORT:-54329}
url="postgres://quaymaster@127.0.0.1:$port/postgres"
place=$root/.cache/postgres
owner=

say() { printf '%s\n' "postgres.sh: $*" >&2; }
fail() { say "$@"; exit 1; }

find_binaries() {
    if [ -n "${QUAYMASTER_TEST_PG_BIN:-}" ]; then
        bin=$QUAYMASTER_TEST_PG_BIN
    else
        # The newest of Debian's versions, else whatever the path has.
        bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        [ -x "$bin/initdb" ] || bin=$(dirname -- "$(command -v initdb || echo /nowhere/initdb)")
    fi
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] ||
        fail "no PostgreSQL server here. On Debian and Ubuntu: apt-get install postgresql"
}

# PostgreSQL refuses to run as root, so root hands it to an unprivileged user,
# who may not be allowed to enter the folder that we are in.
as_owner() (
    cd /
    if [ -z "$owner" ]; then
        "$@"
    elif command -v runuser >/dev/null; then
        runuser -u "$owner" -- "$@"
    else
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    fi
)

choose_place() {
    if [ "$(id -u)" -eq 0 ]; then
        if id postgres >/dev/null 2>&1; then owner=postgres; else owner=nobody; fi
        mkdir -p "$root/.cache"
        # A checkout below /root, say, cannot be entered by that user.
        if ! as_owner test -x "$root/.cache"; then
            place=/var/tmp/quaymaster-test-postgres-$port
        fi
    fi
    mkdir -p "$place"
    chmod 700 "$place"
    if [ -n "$owner" ]; then chown "$owner" "$place"; fi
    data=$place/data
    log=$place/server.log
}

runs() { as_owner "$bin/pg_ctl" status -D "$data" >/dev/null 2>&1; }
port_in_use() { sed -n 4p "$data/postmaster.pid" 2>/dev/null || true; }
answers() { as_owner "$bin/pg_isready" -q -h 127.0.0.1 -p "$(port_in_use)"; }

# Makes the cluster beside its place and moves it there, so that one that is there is whole.
make_cluster() {
    version=$("$bin/initdb" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    if [ -f "$data/PG_VERSION" ] && [ "$(cat "$data/PG_VERSION")" = "$version" ]; then return; fi
    say "making a cluster of PostgreSQL $version in $data"
    rm -rf "$data" "$data.new"
    as_owner "$bin/initdb" -D "$data.new" -U quaymaster --auth=trust -E UTF8 --locale=C >"$place/initdb.log" 2>&1 ||
        { cat "$place/initdb.log" >&2; fail "initdb failed"; }
    mv "$data.new" "$data"
}

# True if this call started the server.
start() {
    if command -v flock >/dev/null; then
        exec 9>"$place/lock"
        flock 9
    fi
    started=false
    # A server that was killed a moment ago still counts as running, and one that starts does not answer yet.
    tries=0
    while runs && ! answers; do
        tries=$((tries + 1))
        [ "$tries" -le 30 ] || fail "it runs but does not answer: see $log"
        sleep 1
    done
    if ! runs; then
        make_cluster
        # fsync stays on: what the tests prove about durability should be true here as well.
        as_owner "$bin/pg_ctl" start -s -w -t 60 -D "$data" -l "$log" -o "-p $port \
            -c fsync=on -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
            -c max_connections=200 -c shared_buffers=32MB" 9>&- ||
            { tail -n 20 "$log" >&2; fail "it did not start; is port $port taken? Then set QUAYMASTER_TEST_PG_PORT"; }
        started=true
    fi
    exec 9>&-
    [ "$(port_in_use)" = "$port" ] || fail "it already runs on port $(port_in_use): stop it first, or use that port"
}

stop() {
    if runs; then as_owner "$bin/pg_ctl" stop -s -w -t 60 -m fast -D "$data"; fi
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
    url)
        printf '%s\n' "$url"
        ;;
    start)
        find_binaries
        choose_place
        start
        ;;
    stop)
        find_binaries
        choose_place
        stop
        ;;
    run)
        [ $# -gt 0 ] || fail "run what?"
        find_binaries
        choose_place
        start
        if $started; then trap stop EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; fi
        QUAYMASTER_TEST_POSTGRES_URL=$url "$@"
        ;;
    *)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "$0" >&2
        exit 2
        ;;
esac
