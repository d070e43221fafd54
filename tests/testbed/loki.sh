#!/usr/bin/env bash
# A real Loki on the loopback interface, as the log store that old log lines come from.
#
#   loki.sh [OPTION]... up       build it once, and start it; idempotent
#   loki.sh [OPTION]... env      print LOKI_URL=…
#   loki.sh [OPTION]... status   exit 0 if it answers, 3 if not
#   loki.sh [OPTION]... kill     end it with SIGKILL
#   loki.sh [OPTION]... start    start it again on the same port, with what it had stored
#   loki.sh [OPTION]... down     end it and remove what it stored
#   loki.sh build                only build it
#
#   --name NAME      several side by side (default: `default`)
#   --die-with PID   is ended when that process ends
#
# Loki 3.7.8 is built from Go modules (minutes; kept in .cache/testbed/loki). What it stores is a folder; lines may be
# of any time, so that tests can tell of last week: those older than three hours are found after a POST to /flush.
# Messages go to stderr, data to stdout.
#
# What it deliberately does not do: logins, several tenants, retention.

set -euo pipefail

program=loki.sh
bed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(cd "$bed/../.." && pwd -P)

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

name=default watcher= option=()
while [ $# -gt 0 ]; do
    case $1 in
        --name) name=$2 option=(--name "$2"); shift 2 ;;
        --die-with) watcher=$2; shift 2 ;;
        *) break ;;
    esac
done

version=v3.7.8
home=$project/.cache/testbed/loki
binary=$home/bin/loki
state=$home/state
[ "$name" = default ] || state=$home/state-$name
. "$bed/go.bash"
. "$bed/part.bash"

pid_of() { cat "$state/pid" 2>/dev/null || true; }
is_running() { local pid; pid=$(pid_of); [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$binary" ]; }
url() { echo "http://127.0.0.1:$(cut -d' ' -f1 "$state/ports")"; }
answers() { is_running && curl -fs --max-time 5 "$(url)/ready" >/dev/null 2>&1; }

# Loki's own go.mod replaces one of its modules by a folder that is not part of the published sources; what it
# requires otherwise is used as it stands.
build() {
    local folder modules=$go_cache/loki.mod
    [ "$(cat "$home/bin/version" 2>/dev/null)" != "$version" ] || return 0
    mkdir -p "$home/bin"
    folder=$(go_module github.com/grafana/loki/v3 "$version")
    cp "$folder/go.mod" "$modules"
    cp "$folder/go.sum" "${modules%.mod}.sum"
    go mod edit -dropreplace=github.com/grafana/loki/pkg/push "$modules"
    go_build "$folder" ./cmd/loki "$binary" '' "-mod=mod -modfile=$modules"
    echo "$version" >"$home/bin/version"
    go_tidy_up
}

start() {
    local http grpc waited=0
    mkdir -p "$state"
    [ -e "$state/ports" ] || free_ports 2 >"$state/ports"
    read -r http grpc <"$state/ports"
    cat >"$state/loki.yaml" <<YAML
auth_enabled: false
analytics: {reporting_enabled: false}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: $http
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: $grpc
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: $state/data
  storage: {filesystem: {chunks_directory: $state/data/chunks, rules_directory: $state/data/rules}}
  replication_factor: 1
  ring: {instance_addr: 127.0.0.1, kvstore: {store: inmemory}}
frontend: {address: 127.0.0.1}
memberlist: {bind_addr: [127.0.0.1]}
schema_config:
  configs:
  - {from: 2020-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}
limits_config:
  reject_old_samples: false
  unordered_writes: true
  allow_structured_metadata: true
ingester: {lifecycler: {min_ready_duration: 0s, final_sleep: 0s}}
YAML
    setsid "$binary" -config.file="$state/loki.yaml" >>"$state/loki.log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/pid"
    until answers; do
        is_running || [ $waited -lt 10 ] || { tail -n 15 "$state/loki.log" >&2; fail "loki ended while starting (log: \`$state/loki.log\`)"; }
        [ $waited -lt 600 ] || fail "loki was not ready within 60 s (log: \`$state/loki.log\`)"
        sleep 0.1
        waited=$((waited + 1))
    done
}

stop() { # SIGNAL
    ! is_running || kill -"$1" "$(pid_of)"
    while is_running; do sleep 0.1; done
}

mkdir -p "$home"
exec 9>"$home/lock"
flock 9

case ${1:-} in
    build) build ;;
    up)
        build
        answers || {
            stop KILL
            start
            [ -z "$watcher" ] || die_with "$watcher" "$bed/$program" "${option[@]}" down
        }
        say "answers: $(url)"
        ;;
    env)
        is_running || fail 'loki does not run' "$0 up"
        echo "LOKI_URL=$(url)"
        ;;
    status)
        answers || { say 'loki does not run'; exit 3; }
        echo "answers: $(url)"
        ;;
    kill) stop KILL ;;
    start)
        [ -e "$state/ports" ] || fail "there is no loki called \`$name\`" "$0 ${option[*]} up"
        answers || start
        ;;
    down)
        stop TERM
        rm -rf "$state"
        ;;
    *) usage ;;
esac
