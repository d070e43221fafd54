#!/usr/bin/env bash
# A container engine for the demo, the tests and the benchmarks.
#
#   engine.sh [options] up       find an engine, or start a private one; idempotent
#   engine.sh [options] env      print DOCKER_HOST=… of the engine that `up` chose
#   engine.sh [options] status   say what runs; exit 0 if the engine answers, 3 if not
#   engine.sh [options] down     stop the private engine (an engine found running is left alone)
#   engine.sh [options] crash    end the private engine and all that it runs at once, as a power failure does
#
# Options
#   --name NAME       another engine beside the usual one; always private
#   --private         start a private engine even where one runs already
#   --data-root DIR   where the private engine keeps images (default: .cache/testbed/engine/NAME/data)
#   --tmpfs SIZE      mount a tmpfs of that size (such as 512m) as data root: for tests of a full disk
#   --purge           with `down`: remove the private engine's images and containers too
#
# `up` looks in this order: DOCKER_HOST, the Docker sockets, the rootful and the rootless Podman
# socket. If nothing answers, on Debian as root, it installs `docker.io` from Debian (which is
# announced) and starts a `dockerd` of its own, without a bridge and without touching iptables:
# containers and builds have the host network only.
#
# What it deliberately does not do: configure or stop an engine that somebody else started.
# Messages go to stderr, data to stdout.

set -euo pipefail

program=engine.sh
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

verb= name=default private=false data_root= tmpfs= purge=false
while [ $# -gt 0 ]; do
    case $1 in
        up | env | down | status | crash) [ -z "$verb" ] || usage; verb=$1 ;;
        --name) name=${2:?--name needs a value}; shift ;;
        --private) private=true ;;
        --data-root) data_root=${2:?--data-root needs a value}; shift ;;
        --tmpfs) tmpfs=${2:?--tmpfs needs a value}; shift ;;
        --purge) purge=true ;;
        *) usage ;;
    esac
    shift
done
[ -n "$verb" ] || usage
[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || fail "engine name \`$name\`: only small letters, digits and \`-\`"
[ "$name" = default ] || private=true

state=$project/.cache/testbed/engine/$name
mkdir -p "$state"
# A Unix socket's path may have 107 bytes, and the engine adds its own folders below the exec root,
# so both live in a short folder whose name is derived from the state folder.
run=/run/ioc-testbed-$(printf %s "$state" | cksum | cut -d' ' -f1)
socket=$run/docker.sock
log=$state/dockerd.log

# Remembered by `up`, so that `down` needs no options.
remembered() { [ -f "$state/$1" ] && cat "$state/$1" || true; }
[ -n "$data_root" ] || data_root=$(remembered data-root)
[ -n "$data_root" ] || data_root=$state/data

# Does the engine behind this DOCKER_HOST answer? curl where there is one, else perl, which every
# Debian has.
answers() {
    local host=$1
    case $host in
        unix://*)
            local path=${host#unix://}
            [ -S "$path" ] || return 1
            if command -v curl >/dev/null; then
                curl -fs --max-time 5 --unix-socket "$path" http://localhost/_ping >/dev/null 2>&1
            else
                perl -MIO::Socket::UNIX -e '
                    alarm 5;
                    my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
                    print $s "GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n"; $s->flush;
                    my $l = <$s> // ""; exit($l =~ m{^HTTP/1\.[01] 200} ? 0 : 1)' "$path" 2>/dev/null
            fi
            ;;
        tcp://* | http://*)
            command -v curl >/dev/null && curl -fs --max-time 5 "http://${host#*://}/_ping" >/dev/null 2>&1
            ;;
        *) return 1 ;;
    esac
}

# The DOCKER_HOST of an engine that already runs, if any.
running_engine() {
    if [ -n "${DOCKER_HOST:-}" ]; then
        answers "$DOCKER_HOST" && { echo "$DOCKER_HOST"; return 0; }
        fail "the engine that DOCKER_HOST names does not answer: \`$DOCKER_HOST\`" \
            "start it, or \`unset DOCKER_HOST\` to let $program choose"
    fi
    local path
    for path in /var/run/docker.sock /run/docker.sock \
        "${XDG_RUNTIME_DIR:-/nonexistent}/docker.sock" \
        /run/podman/podman.sock "${XDG_RUNTIME_DIR:-/nonexistent}/podman/podman.sock"; do
        [ -S "$path" ] || continue
        if answers "unix://$path"; then
            echo "unix://$path"
            return 0
        elif [ ! -w "$path" ]; then
            say "\`$path\` is there, but \`$(id -un)\` may not use it (group: $(stat -c %G "$path"))"
        else
            say "\`$path\` is there, but nothing answers on it"
        fi
    done
    return 1
}

install_engine() {
    command -v dockerd >/dev/null && return 0
    command -v apt-get >/dev/null || fail "no container engine answers, and this is not Debian" \
        "install and start Docker or Podman, then run this again"
    say "installing docker.io from Debian (apt-get install --no-install-recommends docker.io)"
    # The package would start an engine of its own; ours is the only one wanted.
    local policy=/usr/sbin/policy-rc.d ours=false
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        ours=true
    fi
    local status=0
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker.io || {
            apt-get update -q &&
                DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker.io
        }
    } >"$state/apt.log" 2>&1 || status=$?
    $ours && rm -f $policy
    [ $status = 0 ] || { tail -n 15 "$state/apt.log" >&2; fail "docker.io could not be installed (all output: \`$state/apt.log\`)"; }
    if [ -d /run/systemd/system ]; then
        systemctl disable -q docker.service docker.socket containerd.service 2>>"$state/apt.log" ||
            say "could not disable the system's own docker service; it starts at the next boot"
    fi
}

private_pid() {
    local pid
    pid=$(cat "$run/docker.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

start_private() {
    [ "$(id -u)" = 0 ] || fail "no container engine answers, and only root can start one" \
        "start Docker or Podman, or run this as root on Debian"
    install_engine
    mkdir -p "$run" "$data_root"
    [ -n "$(ls -A "$data_root")" ] || touch "$data_root/.ioc-testbed"
    if [ -n "$tmpfs" ] && ! mountpoint -q "$data_root"; then
        mount -t tmpfs -o "size=$tmpfs" ioc-testbed "$data_root"
        say "mounted a tmpfs of $tmpfs on \`$data_root\`"
    fi
    printf %s "$data_root" >"$state/data-root"
    rm -f "$socket" "$run/docker.pid"
    say "starting a private dockerd (images in \`$data_root\`, log \`$log\`)"
    # A configuration file of the machine must not reach it, hence --config-file.
    echo '{}' >"$state/daemon.json"
    setsid dockerd --config-file "$state/daemon.json" --data-root "$data_root" --exec-root "$run/exec" \
        --pidfile "$run/docker.pid" -H "unix://$socket" --bridge none --iptables=false \
        --ip-forward=false --ip-masq=false >>"$log" 2>&1 </dev/null 9>&- &
    local child=$! waited=0
    until answers "unix://$socket"; do
        if ! kill -0 $child 2>/dev/null; then
            tail -n 15 "$log" >&2
            fail "dockerd ended while starting (all output: \`$log\`)"
        fi
        [ $waited -lt 600 ] || fail "dockerd did not answer within 60 s (log: \`$log\`)"
        sleep 0.1
        waited=$((waited + 1))
    done
}

# No signal that could be caught, no time to write anything down.
crash_private() {
    local pid init
    pid=$(private_pid) || fail "the private engine does not run" "$0 --name $name up"
    say "killing the private dockerd (process $pid) and its containers"
    local inits
    inits=$(cat "$run"/exec/containerd/daemon/io.containerd.runtime.v2.task/moby/*/init.pid 2>/dev/null || true)
    kill -KILL "$pid"
    local left
    for left in /proc/[0-9]*; do
        left=${left#/proc/}
        if tr '\0' ' ' <"/proc/$left/cmdline" 2>/dev/null | grep -qF -- "$run/exec/"; then
            kill -KILL "$left" 2>/dev/null || true
        fi
    done
    # The first process of a process namespace takes all others with it.
    for init in $inits; do kill -KILL "$init" 2>/dev/null || true; done
    for init in $pid $inits; do
        while kill -0 "$init" 2>/dev/null; do sleep 0.05; done
    done
    stop_private
}

stop_private() {
    local pid waited=0
    if pid=$(private_pid); then
        say "stopping the private dockerd (process $pid)"
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do
            [ $waited -lt 600 ] || fail "dockerd (process $pid) did not stop within 60 s (log: \`$log\`)"
            sleep 0.1
            waited=$((waited + 1))
        done
    fi
    # What a dockerd that was killed left behind: its containerd, shims, and mounts.
    local left
    for left in /proc/[0-9]*; do
        left=${left#/proc/}
        if tr '\0' ' ' <"/proc/$left/cmdline" 2>/dev/null | grep -qF -- "$run/exec/"; then
            kill "$left" 2>/dev/null || true
        fi
    done
    awk -v a="$data_root" -v b="$run" '
        index($2, a "/") == 1 || index($2, b "/") == 1 || $2 == b { print $2 }' /proc/mounts |
        sort -r | while read -r mounted; do umount "$mounted" 2>/dev/null || umount -l "$mounted"; done
    if [ "$(awk -v d="$data_root" '$2 == d && $1 == "ioc-testbed"' /proc/mounts)" ]; then
        umount "$data_root"
    fi
    rm -rf "$run"
    if $purge; then
        rm -f "$state/data-root"
        if [ -e "$data_root/.ioc-testbed" ]; then
            rm -rf "$data_root"
            say "removed \`$data_root\`"
        elif [ -d "$data_root" ]; then
            say "\`$data_root\` was not made by $program; leaving it"
        fi
    fi
    rm -f "$state/docker-host"
}

# One `up` or `down` at a time.
exec 9>"$state/lock"
flock 9

case $verb in
    up)
        host=$(remembered docker-host)
        if [ -n "$host" ] && [ "$host" = "unix://$socket" ] && answers "$host"; then
            say "the private engine answers: $host"
        elif ! $private && host=$(running_engine); then
            say "using the engine that runs already: $host"
            printf %s "$host" >"$state/docker-host"
        else
            if [ -n "${DOCKER_HOST:-}" ] && ! $private; then exit 1; fi
            start_private
            printf %s "unix://$socket" >"$state/docker-host"
            say "the private engine answers: unix://$socket"
        fi
        ;;
    env)
        host=$(remembered docker-host)
        [ -n "$host" ] || fail "no engine was chosen yet" "$0 up"
        echo "DOCKER_HOST=$host"
        ;;
    status)
        host=$(remembered docker-host)
        if [ -z "$host" ]; then
            say "no engine was chosen yet"
            exit 3
        elif ! answers "$host"; then
            say "does not answer: $host"
            exit 3
        fi
        echo "answers: $host"
        if pid=$(private_pid) && [ "$host" = "unix://$socket" ]; then
            echo "private: dockerd process $pid, images in $data_root ($(du -sh "$data_root" 2>/dev/null | cut -f1))"
        fi
        ;;
    crash) crash_private ;;
    down)
        host=$(remembered docker-host)
        if [ -n "$host" ] && [ "$host" != "unix://$socket" ]; then
            say "$host was not started by $program; leaving it alone"
            rm -f "$state/docker-host"
        else
            stop_private
        fi
        ;;
esac
