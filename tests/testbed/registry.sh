#!/usr/bin/env bash
# Two real registries on this machine: Debian's docker-registry, one open and one that wants a login.
#
#   registry.sh up     start both (nothing to do when they answer), then print the environment
#   registry.sh env    print the environment, if both answer; fail otherwise
#   registry.sh down   stop them; with `--purge` remove what they hold too
#
# The environment:
#   REGISTRY=127.0.0.1:PORT           the open one, plain HTTP, deletes allowed
#   REGISTRY_LOGIN=127.0.0.1:PORT     the one with a login, plain HTTP
#   REGISTRY_USER, REGISTRY_PASSWORD  that login; it is made up and worth nothing
#
# The package is unpacked below .cache/testbed/registry and not installed: the registry is one program without
# dependencies. Messages go to stderr, data to stdout.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
state=$project/.cache/testbed/registry
program=$state/usr/bin/docker-registry
user=operator password=only-for-tests

say() { printf 'registry.sh: %s\n' "$*" >&2; }
fail() { printf 'registry.sh: error: %s\n' "$*" >&2; exit 1; }

# One line with host and port, written when a registry was started.
address() { cat "$state/$1.address" 2>/dev/null; }

answers() {
    local at=$1 expected=$2 status
    [ -n "$at" ] || return 1
    status=$(python3 - "$at" <<'PYTHON' 2>/dev/null
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=5)
connection.request("GET", "/v2/")
print(connection.getresponse().status)
PYTHON
    ) || return 1
    [ "$status" = "$expected" ]
}

run_state() { answers "$(address open)" 200 && answers "$(address login)" 401; }

fetch_program() {
    [ -x "$program" ] && return
    command -v apt-get >/dev/null || fail "docker-registry comes from Debian, and this is not Debian"
    say "fetching docker-registry from Debian (5 MB)"
    local work
    work=$(mktemp -d)
    (cd "$work" && apt-get download -qq docker-registry >&2 2>/dev/null) ||
        (cd "$work" && apt-get update -qq >&2 && apt-get download -qq docker-registry >&2) ||
        fail "apt-get cannot download docker-registry"
    mkdir -p "$state"
    dpkg -x "$work"/docker-registry_*.deb "$state"
    rm -rf "$work"
}

# A port that is free now; somebody may take it before us, then `start` tries another.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() { # NAME STATUS
    local name=$1 expected=$2 attempt port
    for attempt in 1 2 3; do
        port=$(free_port)
        mkdir -p "$state/$name"
        {
            printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n'
            printf 'storage: {filesystem: {rootdirectory: "%s"}, delete: {enabled: true}}\n' "$state/$name"
            printf 'http: {addr: "127.0.0.1:%s"}\n' "$port"
            if [ "$name" = login ]; then
                printf 'auth: {htpasswd: {realm: ioc-tests, path: "%s"}}\n' "$state/htpasswd"
            fi
        } >"$state/$name.yaml"
        # Also the descriptors of a caller's locks are closed: the registry outlives us.
        setsid "$program" serve "$state/$name.yaml" >"$state/$name.log" 2>&1 </dev/null 7>&- 8>&- 9>&- &
        echo $! >"$state/$name.pid"
        printf '127.0.0.1:%s\n' "$port" >"$state/$name.address"
        local wait
        for wait in $(seq 50); do
            answers "127.0.0.1:$port" "$expected" && return
            kill -0 "$(cat "$state/$name.pid")" 2>/dev/null || break
            sleep 0.1
        done
        stop "$name"
    done
    fail "the registry \`$name\` does not start; see $state/$name.log"
}

stop() {
    local name=$1 pid
    pid=$(cat "$state/$name.pid" 2>/dev/null) || return 0
    if [ "$(readlink -f "/proc/$pid/exe" 2>/dev/null)" = "$program" ]; then
        kill "$pid" 2>/dev/null || true
    fi
    rm -f "$state/$name.pid" "$state/$name.address"
}

print_environment() {
    printf 'REGISTRY=%s\nREGISTRY_LOGIN=%s\n' "$(address open)" "$(address login)"
    printf 'REGISTRY_USER=%s\nREGISTRY_PASSWORD=%s\n' "$user" "$password"
}

case "${1:-}" in
up)
    mkdir -p "$state"
    # one start at a time
    exec 9>"$state.lock"
    flock 9
    if ! run_state; then
        fetch_program
        stop open
        stop login
        # bcrypt is what docker-registry reads; libc's crypt makes it, through Perl that every Debian has
        perl -e 'my @c = ("a".."z", "A".."Z", 0..9);
            my $salt = join "", map { $c[rand @c] } 1..22;
            print "$ARGV[0]:", crypt($ARGV[1], "\$2b\$05\$$salt"), "\n"' "$user" "$password" >"$state/htpasswd"
        start open 200
        start login 401
        say "open at $(address open), with a login at $(address login)"
    fi
    print_environment
    ;;
env)
    run_state || fail "not running; run: tests/testbed/registry.sh up"
    print_environment
    ;;
down)
    stop open
    stop login
    [ "${2:-}" = --purge ] && rm -rf "$state"
    say "stopped"
    ;;
*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
