#!/usr/bin/env bash
# A Podman of the tests' own: its API on a socket, its images and containers apart from the machine's.
#
#   podman.sh [options] up       start it; idempotent
#   podman.sh [options] env      print PODMAN_HOST=… for use as DOCKER_HOST
#   podman.sh [options] status   exit 0 if it answers, 3 if not
#   podman.sh [options] down     stop its containers and its API; images stay
#
# Options
#   --name NAME   another one beside the usual one
#   --purge       with `down`: remove its images and containers too
#
# Installs `podman` from Debian where it is missing (which is announced). Containers and builds have the
# host network only, so neither a bridge nor a network program is needed. On a machine whose processes
# may not raise their limits, Podman's own defaults fail; the limits here are below any machine's.
#
# What it deliberately does not do: touch the Podman of the machine or of a user.
# Messages go to stderr, data to stdout.

set -euo pipefail

program=podman.sh
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

verb= name=default purge=false
while [ $# -gt 0 ]; do
    case $1 in
        up | env | down | status) [ -z "$verb" ] || usage; verb=$1 ;;
        --name) name=${2:?--name needs a value}; shift ;;
        --purge) purge=true ;;
        *) usage ;;
    esac
    shift
done
[ -n "$verb" ] || usage
[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || fail "name \`$name\`: only small letters, digits and \`-\`"

state=$project/.cache/testbed/podman/$name
mkdir -p "$state"
# Short, because a Unix socket's path may have 107 bytes and conmon has sockets below it.
run=/run/ioc-podman-$(printf %s "$state" | cksum | cut -d' ' -f1)
socket=$run/podman.sock
log=$state/service.log

answers() { [ -S "$socket" ] && curl -fs --max-time 5 --unix-socket "$socket" http://localhost/_ping >/dev/null 2>&1; }

# Podman with the settings of this test bed and none of the machine's.
own_podman() {
    CONTAINERS_CONF=$state/containers.conf CONTAINERS_STORAGE_CONF=$state/storage.conf \
        podman --tmpdir "$run/tmp" "$@"
}

install_podman() {
    command -v podman >/dev/null && return 0
    command -v apt-get >/dev/null || fail "there is no podman, and this is not Debian" "install Podman, then run this again"
    say "installing podman from Debian (apt-get install --no-install-recommends podman runc)"
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends podman runc || {
            apt-get update -q &&
                DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends podman runc
        }
    } >"$state/apt.log" 2>&1 || {
        tail -n 15 "$state/apt.log" >&2
        fail "podman could not be installed (all output: \`$state/apt.log\`)"
    }
    if [ -d /run/systemd/system ]; then
        systemctl disable -q --now podman.socket podman.service 2>>"$state/apt.log" ||
            say "could not disable the system's own Podman socket; it starts at the next boot"
    fi
}

service_pid() {
    local pid
    pid=$(cat "$run/service.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = podman ] && echo "$pid"
}

start() {
    [ "$(id -u)" = 0 ] || fail "only root can start the Podman of the tests" "run the tests as root, or without this part"
    install_podman
    mkdir -p "$run" "$state/storage"
    local runtime
    runtime=$(command -v runc >/dev/null && echo runc || echo crun)
    cat >"$state/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
log_driver = "k8s-file"
[engine]
runtime = "$runtime"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
    cat >"$state/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$state/storage"
runroot = "$run/run"
CONF
    rm -f "$socket"
    say "starting podman system service (images in \`$state/storage\`, log \`$log\`)"
    CONTAINERS_CONF=$state/containers.conf CONTAINERS_STORAGE_CONF=$state/storage.conf \
        setsid podman --tmpdir "$run/tmp" system service --time=0 "unix://$socket" >>"$log" 2>&1 </dev/null 9>&- &
    local child=$! waited=0
    echo "$child" >"$run/service.pid"
    until answers; do
        if ! kill -0 $child 2>/dev/null; then
            tail -n 15 "$log" >&2
            fail "podman ended while starting (all output: \`$log\`)"
        fi
        [ $waited -lt 300 ] || fail "podman did not answer within 30 s (log: \`$log\`)"
        sleep 0.1
        waited=$((waited + 1))
    done
}

stop() {
    if [ -f "$state/containers.conf" ] && command -v podman >/dev/null && [ -d "$run" ]; then
        own_podman stop --all --time 2 >>"$log" 2>&1 || true
        if $purge; then own_podman rm --all --force --time 0 >>"$log" 2>&1 || true; fi
    fi
    local pid waited=0
    if pid=$(service_pid); then
        say "stopping podman (process $pid)"
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do
            [ $waited -lt 300 ] || fail "podman (process $pid) did not stop within 30 s (log: \`$log\`)"
            sleep 0.1
            waited=$((waited + 1))
        done
    fi
    awk -v a="$state/storage" -v b="$run" '
        index($2, a "/") == 1 || index($2, b "/") == 1 || $2 == b { print $2 }' /proc/mounts |
        sort -r | while read -r mounted; do umount "$mounted" 2>/dev/null || umount -l "$mounted"; done
    rm -rf "$run"
    if $purge; then
        rm -rf "$state/storage"
        say "removed \`$state/storage\`"
    fi
}

# One `up` or `down` at a time.
exec 9>"$state/lock"
flock 9

case $verb in
    up)
        if answers; then
            say "answers: unix://$socket"
        else
            start
            say "answers: unix://$socket"
        fi
        ;;
    env)
        answers || fail "it does not run" "$0 up"
        echo "PODMAN_HOST=unix://$socket"
        ;;
    status)
        answers || { say "does not answer"; exit 3; }
        echo "answers: unix://$socket"
        ;;
    down) stop ;;
esac
